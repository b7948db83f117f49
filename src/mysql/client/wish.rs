//! What a client wants of its reads, and what it is told of the proxy.

use super::Client;
use crate::dispatch::{Errand, Wanted};
use crate::mysql::session::asked::Asked;
use crate::mysql::session::wishes::{PREFIX, words};
use crate::refusal::Refusal;
use crate::route::{Caller, Wants};
use crate::sql::{self, Hint};
use crate::topology::NodeSet;
use std::time::Instant;

impl Client {
    /// What the comments in front of a text want; usually there are none.
    pub(super) fn hinted(&self, text: &[u8]) -> Result<Option<Box<Wanted>>, Refusal> {
        self.hinted_by(sql::hint(text).as_ref())
    }

    pub(super) fn hinted_by(&self, hint: Option<&Hint>) -> Result<Option<Box<Wanted>>, Refusal> {
        hint.map(|hint| Wanted::of_hint(hint, &words(&self.cluster.places)).map(Box::new))
            .transpose()
    }

    /// What is wanted of it beyond what the cluster is configured for.
    pub(super) fn wanted(&mut self, wants: Wants, asked: &Asked) -> Result<Wanted, Refusal> {
        if wants != Wants::Read {
            return Ok(Wanted::default());
        }
        let live = self.cluster.live.load();
        let caller = Caller {
            user: &self.pools.user,
            database: &self.pools.database,
            application_name: &self.entry.application,
        };
        let words = words(&self.cluster.places);
        let hint = (asked.wanted.as_deref(), asked.marks());
        let wanted = self.session.wants(hint, &live, &caller, &words)?;
        if let Some(after) = &wanted.after {
            self.cluster.is_left_behind(after)?;
        }
        Ok(wanted)
    }

    /// Where a statement would go now, line by line.
    pub(super) fn explain(&mut self, explained: &Asked) -> Result<Vec<String>, Refusal> {
        let wants = explained.wants();
        let wanted = self.wanted(wants, explained)?;
        let errand = Errand {
            wants,
            wanted,
            known: self.session.known,
            wrote: self.session.wrote.clone(),
            avoid: NodeSet::EMPTY,
            turn: self.cluster.turn(),
        };
        let mut lines = self.cluster.explain(&errand);
        if let Some(node) = self.node {
            let why = self.pin().name().unwrap_or("its transaction is open");
            let node = self.cluster.node_name(node);
            lines.insert(1, format!("Now: on {node}, whose connection the session keeps: {why}"));
        }
        Ok(lines)
    }

    /// What `@@tidegate_NAME` is.
    pub(super) async fn show(&self, name: &str) -> Result<String, Refusal> {
        let setting = self.session.settings.get(name).filter(|value| !value.is_empty());
        Ok(match (name, setting) {
            (_, Some(value)) => value.into(),
            ("consistency", None) => self.cluster.live.load().route.consistency.name().into(),
            ("route", None) => "any".into(),
            ("read_after", None) => String::new(),
            ("position", _) => {
                let open = self.link.is_some();
                match (self.session.written(), open) {
                    (Some(position), false) => position,
                    (_, true) => self.cluster.position_since(Some(Instant::now())).await?,
                    (None, false) => self.cluster.position_since(self.session.known.last()).await?,
                }
            }
            ("last_route", _) => match *self.entry.last_route.lock() {
                Some(last) => {
                    let (node, because) = (self.cluster.node_name(last.node), last.because);
                    format!("{node}: {} ({})", because.explain(), because.name())
                }
                None => "nothing was routed yet".into(),
            },
            ("cluster", _) => self.cluster.name.to_string(),
            ("version", _) => env!("CARGO_PKG_VERSION").into(),
            _ => return Err(Refusal::UnknownSetting { name: format!("@{PREFIX}{name}") }),
        })
    }
}
