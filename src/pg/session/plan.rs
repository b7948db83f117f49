//! From a client's bytes to a batch: what is asked up to the next Sync, as one decision.

use super::batch::{Batch, End, Item, Planned};
use super::undo::Undo;
use super::wishes::words;
use super::{Named, Session};
use crate::dispatch::{Wanted, Words};
use crate::pg::statement::{Judged, Place, Statement, Statements};
use crate::pg::wire::{self, HEADER, ParseBody, WireError};
use crate::refusal::Refusal;
use crate::route::Places;
use crate::sql::{self, Analysis, Catalog, Classifier, Hint, Pin, SetValue, Step, Why};
use arc_swap::Guard;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of a batch that are looked at before it must be decided.
pub const BATCH_LIMIT: usize = 32 * 1024;
/// A Parse message is kept whole, so it cannot be arbitrarily long.
const PARSE_LIMIT: usize = 16 * 1024 * 1024;
/// Frames that PostgreSQL itself bounds (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL_LIMIT: usize = 10_000;

/// What SHOW knows of ours.
pub const SHOWN: [&str; 7] = [
    "tidegate.cluster",
    "tidegate.consistency",
    "tidegate.last_route",
    "tidegate.position",
    "tidegate.read_after",
    "tidegate.route",
    "tidegate.version",
];

/// What planning needs besides the session itself.
pub struct Planner<'a> {
    pub classifier: &'a Classifier,
    /// What the names in texts mean.
    pub catalog: Guard<Arc<Catalog>>,
    pub statements: &'a Statements,
    /// The words for places in hints and settings.
    pub places: &'a Places,
    pub user: &'a str,
    pub database: &'a str,
    /// Commits wait for what the cluster is configured for, whatever a session likes.
    pub strict: bool,
}

impl Planner<'_> {
    fn words(&self) -> Words<'_> {
        words(self.places)
    }

    /// Looks at what arrived since the last call. `batch.end` is set when the batch can go.
    pub fn advance(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        input: &[u8],
    ) -> Result<(), WireError> {
        while batch.end.is_none() {
            let rest = &input[batch.len..];
            let Some(header) = wire::peek(rest)? else { break };
            let Some(here) = enough(header, rest.len())? else { break };
            let later = header.len - here;
            let body = &rest[HEADER..here];
            let item = self.item(session, batch, header.tag, body, later > 0)?;
            let (tag, len) = (header.tag, batch.len + here);
            batch.end = end_of(tag, later, len);
            batch.frames.push(Planned { item, tag, here, later });
            batch.len = len;
        }
        if session.reads_strings_differently() {
            batch.primary = batch.primary.or(Some(Why::Unparsed));
        }
        if session.is_serializable() {
            batch.primary = batch.primary.or(Some(Why::Transaction));
        }
        if batch.end.is_none() && batch.len > 0 && input.len() > BATCH_LIMIT {
            batch.end = Some(End::Open);
        }
        Ok(())
    }

    fn item(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        tag: u8,
        body: &[u8],
        cut: bool,
    ) -> Result<Item, WireError> {
        match tag {
            b'Q' => Ok(Item::Query(self.query(batch, body, cut)?)),
            b'P' => self.parse(session, batch, body),
            b'B' => self.bind(session, batch, body),
            b'D' | b'C' => self.named(session, batch, tag, body),
            b'E' => Ok(self.execute(session, batch, body)),
            b'S' => Ok(Item::Sync),
            b'F' => {
                batch.statements += 1;
                batch.primary = Some(Why::Function);
                Ok(Item::Function)
            }
            b'H' | b'X' | b'd' | b'c' | b'f' => Ok(Item::Pass),
            _ => Err(WireError::Unexpected { tag }),
        }
    }

    fn query(&self, batch: &mut Batch, body: &[u8], cut: bool) -> Result<Arc<Analysis>, WireError> {
        self.guard(batch, || sql::weakens_commits(body.strip_suffix(b"\0").unwrap_or(body)));
        let analysis = if cut {
            unseen(body)
        } else {
            match body.split_last() {
                Some((0, sql)) if !sql.contains(&0) => {
                    if let Some(hint) = sql::hint(sql) {
                        self.take_hint(batch, &hint);
                    }
                    self.classifier.analyse(sql, &self.catalog)
                }
                _ => {
                    let what = "the query is not one NUL-terminated string";
                    return Err(WireError::Malformed { tag: b'Q', what });
                }
            }
        };
        self.count(batch, &analysis);
        Ok(analysis)
    }

    fn parse(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        body: &[u8],
    ) -> Result<Item, WireError> {
        let ParseBody { name, content, query } = wire::parse_parse(body)?;
        self.guard(batch, || sql::weakens_commits(query));
        let apart = session.reads_locally || batch.changes_reading();
        let statement = match apart {
            true => self.alone(session, content, query),
            false => self.statement(session, content, query),
        };
        self.count_statement(batch, &statement);
        if name.is_empty() {
            let was = session.unnamed.replace(statement.clone());
            let undo = Some(Undo::Name { name: Box::default(), was });
            return Ok(Item::Parse { statement, named: false, duplicate: false, undo });
        }
        if let Some(known) = session.named(name) {
            let statement = known.clone();
            return Ok(Item::Parse { statement, named: true, duplicate: true, undo: None });
        }
        session.define(name, statement.clone());
        let undo = Some(Undo::Name { name: name.into(), was: None });
        Ok(Item::Parse { statement, named: true, duplicate: false, undo })
    }

    /// The statement of this text. Where a temporary table may hide another one, it is the
    /// session's alone.
    fn statement(&self, session: &mut Session, content: &[u8], query: &[u8]) -> Arc<Statement> {
        if session.pin == Some(Pin::TemporaryObject) {
            return self.alone(session, content, query);
        }
        let place = self.place(session);
        let params = session.variables.current();
        let judge = || self.judge(query);
        self.statements.intern((place, params), content, self.catalog.number(), judge)
    }

    fn alone(&self, session: &Session, content: &[u8], query: &[u8]) -> Arc<Statement> {
        self.statements.alone(content, self.judge(query), session.variables.current().reading())
    }

    fn judge(&self, query: &[u8]) -> Judged {
        let analysis = self.classifier.analyse(query, &self.catalog);
        Judged { analysis, catalog: self.catalog.number() }
    }

    /// The statement of this name, judged by the catalog of now.
    fn up_to_date(
        &self,
        session: &mut Session,
        name: &[u8],
        statement: Arc<Statement>,
    ) -> Arc<Statement> {
        if statement.catalog == self.catalog.number() {
            return statement;
        }
        let judged = self.judge(statement.query());
        let new = self.statements.judge_anew(self.place(session), &statement, judged);
        session.judge_anew(name, new.clone());
        new
    }

    fn place(&self, session: &mut Session) -> Place {
        let params = session.variables.current();
        match &session.place {
            Some((of, place)) if Arc::ptr_eq(of, params) => *place,
            _ => {
                let mut description = format!("{}\0{}", self.user, self.database);
                params.describe_analysis(&mut description);
                let place = self.statements.place(&description);
                session.place = Some((params.clone(), place));
                place
            }
        }
    }

    /// What these frames use without preparing it is prepared anew, because its plans are stale;
    /// then they have to be planned again.
    pub fn renew(&self, session: &mut Session, frames: &[Planned]) {
        self.statements.renew();
        for frame in frames {
            let (Item::Bind { statement: Some(old), unnamed: false, .. }
            | Item::DescribeStatement(Some(old), false)) = &frame.item
            else {
                continue;
            };
            let same = |named: &&mut Named| Arc::ptr_eq(&named.statement, old);
            if session.named.values_mut().any(|named| same(&named)) {
                let new = match session.variables.current().reads_as(&old.reading) {
                    true => self.statement(session, &old.content, old.query()),
                    false => {
                        let judged = self.judge(old.query());
                        self.statements.alone(&old.content, judged, old.reading.clone())
                    }
                };
                for named in session.named.values_mut().filter(same) {
                    *named = Named { statement: new.clone(), seen: false, ..*named };
                }
            }
        }
    }

    fn bind(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        body: &[u8],
    ) -> Result<Item, WireError> {
        let what = "its names have no end";
        let (portal, name, values) =
            wire::parse_bind(body).ok_or(WireError::Malformed { tag: b'B', what })?;
        let (statement, seen) = session.look_at(name).unzip();
        let statement = statement.map(|known| self.up_to_date(session, name, known));
        batch.look_at(seen, name);
        match &statement {
            Some(statement) => {
                self.count_statement(batch, statement);
                self.guard(batch, || sql::binds_weaker_commits(statement.query(), values));
            }
            None => batch.primary = batch.primary.or(Some(Why::Unparsed)),
        }
        let analysis = statement.as_ref().map(|s| &s.analysis).filter(|a| !a.steps.is_empty());
        if analysis.is_some() || !batch.bound.is_empty() || session.has_portals() {
            batch.bound.retain(|(bound, _)| **bound != *portal);
            batch.bound.push((portal.into(), analysis.cloned()));
        }
        let deallocates = analysis.is_some_and(|a| session.deallocates(a).is_some());
        Ok(Item::Bind { statement, unnamed: name.is_empty(), deallocates })
    }

    fn guard(&self, batch: &mut Batch, weakens: impl FnOnce() -> bool) {
        if self.strict && weakens() {
            batch.complain(Some(Refusal::WeakCommit));
        }
    }

    fn count_statement(&self, batch: &mut Batch, statement: &Statement) {
        if let Some(hint) = &statement.hint {
            self.take_hint(batch, hint);
        }
        self.count(batch, &statement.analysis);
        batch.primary = batch.primary.or(statement.primary());
    }

    /// Adds a statement to the batch, after a look at what it wants of the proxy itself.
    fn count(&self, batch: &mut Batch, analysis: &Analysis) {
        batch.count(analysis);
        for step in &analysis.steps {
            let wrong = match step {
                Step::Set { name, value: SetValue::Text(value) } => self.check_set(name, value),
                Step::ShowTidegate(name) => check_show(name, batch.statements),
                _ => Ok(()),
            };
            batch.complain(wrong.err());
        }
    }

    fn check_set(&self, name: &str, value: &str) -> Result<(), Refusal> {
        match name.strip_prefix("tidegate.") {
            Some(name) => Wanted::default().add(name, value, &self.words()),
            None => Ok(()),
        }
    }

    fn take_hint(&self, batch: &mut Batch, hint: &Hint) {
        match Wanted::of_hint(hint, &self.words()) {
            Ok(wanted) => batch.want(wanted),
            Err(refusal) => batch.complain(Some(refusal)),
        }
    }

    fn execute(&self, session: &mut Session, batch: &Batch, body: &[u8]) -> Item {
        let portal = wire::cstr(body).map_or(&[][..], |(name, _)| name);
        let effect = match batch.bound.iter().find(|(bound, _)| **bound == *portal) {
            Some((_, effect)) => effect.clone(),
            None => session.portal_effect(portal),
        };
        Item::Execute(effect.and_then(|effect| session.forget(&effect)))
    }

    fn named(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        tag: u8,
        body: &[u8],
    ) -> Result<Item, WireError> {
        match (tag, wire::parse_describe(tag, body)?) {
            (b'D', (b'S', name)) => {
                let (statement, seen) = session.look_at(name).unzip();
                batch.look_at(seen, name);
                Ok(Item::DescribeStatement(statement, name.is_empty()))
            }
            (b'C', (b'S', name)) => Ok(Item::CloseStatement(session.undefine(name))),
            _ => Ok(Item::Pass),
        }
    }
}

/// How many bytes of a frame must be in the buffer before it is acted on; `None`: wait for more.
fn enough(header: wire::Header, available: usize) -> Result<Option<usize>, WireError> {
    let whole = header.len;
    let bounded = |limit: usize| match whole > limit {
        true => Err(WireError::TooLong { tag: header.tag, len: whole as u32 - 1 }),
        false => Ok((available >= whole).then_some(whole)),
    };
    match header.tag {
        b'P' => bounded(PARSE_LIMIT),
        b'Q' | b'B' | b'F' | b'd' | b'f' if whole > BATCH_LIMIT => {
            Ok((available >= BATCH_LIMIT.min(whole)).then_some(available.min(whole)))
        }
        b'Q' | b'B' | b'F' | b'd' | b'f' => bounded(BATCH_LIMIT),
        _ => bounded(SMALL_LIMIT),
    }
}

fn end_of(tag: u8, later: usize, len: usize) -> Option<End> {
    match tag {
        b'X' => Some(End::Leave),
        b'S' | b'Q' | b'F' => Some(End::Ready),
        b'H' => Some(End::Open),
        _ if later > 0 || len >= BATCH_LIMIT => Some(End::Open),
        _ => None,
    }
}

/// A text that is too long to be looked at: it may do anything. One that sets a parameter is
/// told by its beginning, because PostgreSQL does not list them all; so is one that executes a
/// statement by its name.
fn unseen(beginning: &[u8]) -> Arc<Analysis> {
    let starts_with = |word: &[u8]| {
        let start = beginning.trim_ascii_start().get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let steps = if starts_with(b"set") {
        vec![Step::Pin(Pin::Setting)]
    } else if starts_with(b"execute") || starts_with(b"explain") {
        vec![Step::Hidden, Step::Pin(Pin::SqlPrepare)]
    } else {
        vec![Step::Hidden]
    };
    Arc::new(Analysis { primary: Some(Why::Unseen), steps, ..Analysis::default() })
}

/// A position is one of a moment: it must not be told before what goes before it is done.
fn check_show(name: &str, statements: usize) -> Result<(), Refusal> {
    match name {
        _ if !SHOWN.contains(&name) => Err(Refusal::UnknownSetting { name: name.into() }),
        // A Parse and a Bind of it count as two.
        "tidegate.position" if statements > 2 => Err(Refusal::NotAlone { name: name.into() }),
        _ => Ok(()),
    }
}

/// What a statement asks of the proxy itself.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// `SHOW tidegate.…`
    Show(&'a str),
    /// `EXPLAIN (TIDEGATE) …`
    Explain(&'a Analysis),
}

impl Question<'_> {
    /// The name of the one column of the answer.
    pub fn column(self) -> String {
        match self {
            Question::Show(name) => name.to_owned(),
            Question::Explain(_) => "QUERY PLAN".to_owned(),
        }
    }

    /// The tag of the answer.
    pub fn tag(self) -> &'static str {
        match self {
            Question::Show(_) => "SHOW",
            Question::Explain(_) => "EXPLAIN",
        }
    }
}

/// What a statement asks of the proxy, if that is all that it does.
pub fn asks_proxy(analysis: &Analysis) -> Option<Question<'_>> {
    match analysis.steps.as_slice() {
        [Step::ShowTidegate(name)] => Some(Question::Show(name)),
        [Step::Explain(explained)] => Some(Question::Explain(explained)),
        _ => None,
    }
}

/// Bytes that are cheap to clone.
pub fn say(build: impl FnOnce(&mut bytes::BytesMut)) -> Bytes {
    let mut out = bytes::BytesMut::new();
    build(&mut out);
    out.freeze()
}
