//! What a collector of traces is told of a transaction, or of a statement outside of one.
//!
//! Names are those of OpenTelemetry's semantic conventions for databases,
//! <https://opentelemetry.io/docs/specs/semconv/database/>; ours begin with `tidegate.`.

use super::{Dispatch, LastRoute};
use crate::spans::{Context, Sampled, Span, Tracer, Value};
use crate::sql::{Summary, summary};
use std::time::{Instant, SystemTime};

/// Texts of a transaction's statements that are told, in bytes.
const TEXTS: usize = 4096;
/// Its statements in a few words, in bytes.
const SUMMARIES: usize = 255;

/// A transaction, or a statement outside of one, while it runs.
#[derive(Debug)]
pub struct Traced {
    begun: (SystemTime, Instant),
    /// Where its span belongs; `None`: it has none.
    place: Option<Sampled>,
    /// A statement said whose span it hangs under: what later ones say does not count.
    has_context: bool,
    statements: i64,
    summary: Summary,
    /// Shapes, without literals.
    texts: String,
    /// Where it went, and why there.
    pub route: Option<LastRoute>,
    /// The code that it failed with.
    pub failure: Option<String>,
    /// How often it was asked again elsewhere, unseen.
    pub retries: i64,
    /// Rows that it returned or changed, where that is known.
    pub rows: Option<u64>,
}

/// Whose transaction it is.
pub struct Party<'a> {
    /// `db.system.name`
    pub system: &'static str,
    pub user: &'a str,
    pub database: &'a str,
}

impl Traced {
    /// It begins now. Lots are drawn for the case that no statement says whose it is.
    pub fn begin(tracer: &Tracer, route: Option<LastRoute>) -> Traced {
        Traced {
            begun: (SystemTime::now(), Instant::now()),
            place: tracer.draw().then_some(Sampled::ByLot),
            has_context: false,
            statements: 0,
            summary: Summary::default(),
            texts: String::new(),
            route,
            failure: None,
            retries: 0,
            rows: None,
        }
    }

    /// A statement of it. `context`: what its comment says. `shape` is asked for only if somebody
    /// will read it.
    pub fn add(&mut self, context: Option<Context>, shape: impl FnOnce() -> Option<String>) {
        self.statements += 1;
        if let Some(context) = context.filter(|_| !self.has_context) {
            self.has_context = true;
            self.place = context.sampled.then_some(Sampled::Under(context));
        }
        if self.place.is_none() {
            return;
        }
        let Some(shape) = shape() else { return };
        let told = summary(&shape);
        self.summary.operation = told.operation.filter(|_| self.statements == 1);
        append(&mut self.summary.text, &told.text, SUMMARIES);
        append(&mut self.texts, &shape, TEXTS);
    }

    fn span(self, cluster: &Dispatch, of: &Party<'_>) -> Option<Span> {
        let (start, began) = self.begun;
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("db.system.name", of.system.into()),
            ("db.namespace", of.database.into()),
            ("tidegate.cluster", (&*cluster.name).into()),
            ("tidegate.user", of.user.into()),
            ("tidegate.statements", Value::Whole(self.statements)),
        ];
        if let Some(operation) = self.summary.operation {
            attributes.push(("db.operation.name", Value::Text(operation)));
        }
        let summary = self.summary.text;
        if !summary.is_empty() {
            attributes.push(("db.query.summary", (&*summary).into()));
        }
        if !self.texts.is_empty() {
            attributes.push(("db.query.text", Value::Text(self.texts)));
        }
        if let Some(route) = self.route {
            cluster.add_route(&mut attributes, route);
        }
        if self.retries > 0 {
            attributes.push(("tidegate.retries", Value::Whole(self.retries)));
        }
        if let Some(rows) = self.rows.and_then(|rows| i64::try_from(rows).ok()) {
            attributes.push(("tidegate.rows", Value::Whole(rows)));
        }
        if let Some(code) = &self.failure {
            attributes.push(("db.response.status_code", (&**code).into()));
            attributes.push(("error.type", (&**code).into()));
        }
        Some(Span {
            place: self.place?,
            name: if summary.is_empty() { of.system.to_owned() } else { summary },
            start,
            took: began.elapsed(),
            attributes,
            failure: self.failure,
        })
    }
}

/// Adds `more` behind a semicolon, as long as all of it is no longer than `most`.
fn append(all: &mut String, more: &str, most: usize) {
    let gap = if all.is_empty() { "" } else { "; " };
    if !more.is_empty() && all.len() + gap.len() + more.len() <= most {
        all.push_str(gap);
        all.push_str(more);
    }
}

impl Dispatch {
    /// It is over: its span is handed in, if it has one.
    pub fn end_trace(&self, traced: Traced, of: &Party<'_>) {
        if let Some(span) = traced.span(self, of) {
            self.tracer.hand_in(span);
        }
    }

    fn add_route(&self, attributes: &mut Vec<(&'static str, Value)>, route: LastRoute) {
        let seen = self.monitor.published().load();
        let node = seen.node(route.node);
        if let Some((host, port)) = node.address.rsplit_once(':') {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            attributes.push(("server.address", host.into()));
            attributes.extend(port.parse().ok().map(|port| ("server.port", Value::Whole(port))));
        }
        attributes.push(("tidegate.node", (&*node.name).into()));
        attributes.push(("tidegate.route", node.role.name().into()));
        attributes.push(("tidegate.reason", route.because.name().into()));
        attributes.push(("tidegate.wait", Value::Fraction(route.waited.as_secs_f64())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(sampled: bool) -> Option<Context> {
        Some(Context { trace: [1; 16], parent: [2; 8], sampled, state: None })
    }

    fn said(shape: &str) -> impl FnOnce() -> Option<String> {
        let shape = shape.to_owned();
        || Some(shape)
    }

    #[test]
    fn the_first_context_decides_whether_there_is_a_span() {
        let mut traced = Traced::begin(&Tracer::off(), None);
        traced.add(None, || panic!("nobody reads it"));
        traced.add(context(true), said("SELECT ?"));
        assert_eq!(traced.place, context(true).map(Sampled::Under));
        traced.add(context(false), said("SELECT ?"));
        assert!(traced.place.is_some());
        let mut traced = Traced::begin(&Tracer::off(), None);
        traced.place = Some(Sampled::ByLot);
        traced.add(context(false), || panic!("nobody reads it"));
        traced.add(context(true), || panic!("nobody reads it"));
        assert_eq!(traced.place, None);
    }

    #[test]
    fn statements_are_told_in_their_order_up_to_a_limit() {
        let mut traced = Traced::begin(&Tracer::off(), None);
        traced.place = Some(Sampled::ByLot);
        traced.add(None, said("SELECT x FROM y"));
        assert_eq!(traced.summary.operation.as_deref(), Some("SELECT"));
        traced.add(None, said("UPDATE z SET x = ?"));
        assert_eq!(traced.summary.operation, None);
        assert_eq!(traced.summary.text, "SELECT y; UPDATE z");
        assert_eq!(traced.texts, "SELECT x FROM y; UPDATE z SET x = ?");
        (0..1000).for_each(|_| traced.add(None, said("SELECT x FROM y")));
        assert!(traced.summary.text.len() <= SUMMARIES && traced.texts.len() <= TEXTS);
        assert_eq!(traced.statements, 1002);
    }
}
