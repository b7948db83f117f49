//! From a client's bytes to a batch: what is asked up to the next Sync, as one decision.

use super::Session;
use super::undo::Undo;
use crate::pg::statement::{Statement, Statements};
use crate::pg::wire::{self, HEADER, ParseBody, WireError};
use crate::route::Wants;
use crate::sql::{Analysis, Classifier, Pin, Step, Why};
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of a batch that are looked at before it must be decided.
pub const BATCH_LIMIT: usize = 32 * 1024;
/// A Parse message is kept whole, so it cannot be arbitrarily long.
const PARSE_LIMIT: usize = 16 * 1024 * 1024;
/// Frames that PostgreSQL itself bounds (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL_LIMIT: usize = 10_000;

/// One frame of a batch, understood as far as needed.
#[derive(Debug)]
pub enum Item {
    Query(Arc<Analysis>),
    /// `duplicate`: the session has another statement of this name already.
    Parse {
        statement: Arc<Statement>,
        named: bool,
        duplicate: bool,
        undo: Option<Undo>,
    },
    /// `deallocates`: it is a DEALLOCATE of a statement that servers know by another name.
    Bind {
        statement: Option<Arc<Statement>>,
        deallocates: bool,
    },
    DescribeStatement(Option<Arc<Statement>>),
    CloseStatement(Option<Undo>),
    Execute(Option<Undo>),
    Sync,
    Function,
    /// Forwarded as it is; the reply, if any, is told by the tag.
    Pass,
}

impl Item {
    /// What it changed in the session when it was planned.
    pub fn undo(&self) -> Option<Undo> {
        match self {
            Item::Parse { undo, .. } | Item::CloseStatement(undo) | Item::Execute(undo) => {
                undo.clone()
            }
            _ => None,
        }
    }
}

/// A frame in the client's input buffer: the item, the bytes of it that are in the buffer,
/// and the bytes that are still to come and are forwarded unseen.
#[derive(Debug)]
pub struct Planned {
    pub item: Item,
    pub tag: u8,
    pub here: usize,
    pub later: usize,
}

/// Where a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a Sync, a simple query or a function call: the server answers ReadyForQuery.
    Ready,
    /// Something must be sent now, but the batch goes on (Flush, or it is too long to wait for).
    Open,
    /// Terminate.
    Leave,
}

/// A portal's name and the effect of its statement.
type Bound = (Box<[u8]>, Option<Arc<Analysis>>);

/// What is known of the batch so far.
#[derive(Debug, Default)]
pub struct Batch {
    pub frames: Vec<Planned>,
    /// Bytes of the input buffer that belong to it.
    pub len: usize,
    pub end: Option<End>,
    /// The strongest reason for the primary among its parts.
    pub primary: Option<Why>,
    /// It holds a BEGIN READ ONLY or plain reads only: see `wants`.
    pub statements: usize,
    /// Portals that it binds, where their statements have an effect or earlier ones had.
    bound: Vec<Bound>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.frames.clear();
        if self.frames.capacity() > 256 {
            self.frames = Vec::new();
        }
        self.len = 0;
        self.end = None;
        self.primary = None;
        self.statements = 0;
        self.bound.clear();
    }

    pub fn wants(&self) -> Wants {
        match (self.primary, self.end) {
            (Some(why), _) => Wants::Primary(why),
            (None, Some(End::Ready)) => Wants::Read,
            (None, _) => Wants::Primary(Why::Unseen),
        }
    }

    /// The single statement of a batch that is one simple query.
    pub fn only_query(&self) -> Option<&Arc<Analysis>> {
        match self.frames.as_slice() {
            [Planned { item: Item::Query(analysis), later: 0, .. }] => Some(analysis),
            _ => None,
        }
    }

    fn count(&mut self, analysis: &Analysis) {
        self.statements += 1;
        self.primary = self.primary.or(analysis.primary);
    }
}

/// What planning needs besides the session itself.
pub struct Planner<'a> {
    pub classifier: &'a Classifier,
    pub statements: &'a Statements,
}

impl Planner<'_> {
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
            b'D' | b'C' => self.named(session, tag, body),
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

    fn query(
        &self,
        batch: &mut Batch,
        body: &[u8],
        cut: bool,
    ) -> Result<Arc<Analysis>, WireError> {
        let analysis = if cut {
            unseen(body)
        } else {
            match body.split_last() {
                Some((0, sql)) if !sql.contains(&0) => self.classifier.analyse(sql),
                _ => {
                    let what = "the query is not one NUL-terminated string";
                    return Err(WireError::Malformed { tag: b'Q', what });
                }
            }
        };
        batch.count(&analysis);
        Ok(analysis)
    }

    fn parse(
        &self,
        session: &mut Session,
        batch: &mut Batch,
        body: &[u8],
    ) -> Result<Item, WireError> {
        let ParseBody { name, content, query } = wire::parse_parse(body)?;
        let statement = self.statements.intern(content, || self.classifier.analyse(query));
        batch.count(&statement.analysis);
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

    fn bind(&self, session: &Session, batch: &mut Batch, body: &[u8]) -> Result<Item, WireError> {
        let what = "its names have no end";
        let (portal, name, _) =
            wire::parse_bind(body).ok_or(WireError::Malformed { tag: b'B', what })?;
        let statement = session.statement(name).cloned();
        match &statement {
            Some(statement) => batch.count(&statement.analysis),
            None => batch.primary = batch.primary.or(Some(Why::Unparsed)),
        }
        let analysis = statement.as_ref().map(|s| &s.analysis).filter(|a| !a.steps.is_empty());
        if analysis.is_some() || !batch.bound.is_empty() || session.has_portals() {
            batch.bound.retain(|(bound, _)| **bound != *portal);
            batch.bound.push((portal.into(), analysis.cloned()));
        }
        let deallocates = analysis.is_some_and(|a| session.deallocates(a).is_some());
        Ok(Item::Bind { statement, deallocates })
    }

    fn execute(&self, session: &mut Session, batch: &Batch, body: &[u8]) -> Item {
        let portal = wire::cstr(body).map_or(&[][..], |(name, _)| name);
        let effect = match batch.bound.iter().find(|(bound, _)| **bound == *portal) {
            Some((_, effect)) => effect.clone(),
            None => session.portal_effect(portal),
        };
        Item::Execute(effect.and_then(|effect| session.forget(&effect)))
    }

    fn named(&self, session: &mut Session, tag: u8, body: &[u8]) -> Result<Item, WireError> {
        match (tag, wire::parse_describe(tag, body)?) {
            (b'D', (b'S', name)) => Ok(Item::DescribeStatement(session.statement(name).cloned())),
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
/// told by its beginning, because PostgreSQL does not list them all.
fn unseen(beginning: &[u8]) -> Arc<Analysis> {
    let word = beginning.trim_ascii_start().get(..3).unwrap_or_default();
    let step = match word.eq_ignore_ascii_case(b"set") {
        true => Step::Pin(Pin::Setting),
        false => Step::Hidden,
    };
    Arc::new(Analysis { primary: Some(Why::Unseen), steps: vec![step] })
}

/// The name asked for when a statement is a single `SHOW tidegate.…`.
pub fn asks_proxy(analysis: &Analysis) -> Option<&str> {
    match analysis.steps.as_slice() {
        [Step::ShowTidegate(name)] => Some(name),
        _ => None,
    }
}

/// Bytes that are cheap to clone.
pub fn say(build: impl FnOnce(&mut bytes::BytesMut)) -> Bytes {
    let mut out = bytes::BytesMut::new();
    build(&mut out);
    out.freeze()
}
