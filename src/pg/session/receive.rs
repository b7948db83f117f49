//! From the server's bytes to what the client gets: frames are checked against what is owed,
//! forwarded as they came, swallowed when they answer something of ours.

use super::delivery::Delivery;
use super::owed::{Owed, Queue};
use super::{Backend, Session, Tx};
use crate::pg::server_name::{PREFIX, STAND_IN};
use crate::pg::wire::{self, Fault, HEADER, Header, WireError};
use crate::sql::{SetValue, Step};
use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// As much of a frame that is looked into must be there; of a longer one, the front tells.
pub(super) const LOOK_LIMIT: usize = 48 * 1024;

/// The server said something that nobody is owed: the two sides no longer agree.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Desync {
    #[error("unexpected message {:?} while {awaited} is owed", *tag as char)]
    Unexpected { tag: u8, awaited: String },
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the server refused a parameter that it had accepted before: {0}")]
    Replay(String),
}

/// What the server's bytes led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Going,
    /// An error before anything was delivered, of a kind that another node may not have.
    Retry(Fault),
    /// The server said that it ends this connection.
    Fatal(Fault),
    /// It committed, and stopped waiting for its standbys.
    Unreplicated,
}

/// What an error may still be hidden by, while nothing of the answer reached the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hope {
    #[default]
    None,
    /// Preparing the batch's statements anew.
    Renewal,
    /// That, where no types are known to the client (`renewal`), or asking another node.
    /// `standby`: what only a standby says may be hidden, too.
    Elsewhere { renewal: bool, standby: bool },
}

impl Hope {
    pub fn is_elsewhere(self) -> bool {
        matches!(self, Hope::Elsewhere { .. })
    }

    fn hides(self, fault: &Fault) -> bool {
        match self {
            Hope::None => false,
            Hope::Renewal | Hope::Elsewhere { renewal: true, .. } if fault.is_stale_plan() => true,
            Hope::Renewal => false,
            Hope::Elsewhere { standby, .. } => {
                is_worth_another_node(fault) || (standby && fault.is_of_a_standby())
            }
        }
    }
}

/// Where the reading stands inside a long frame.
#[derive(Debug, Default)]
pub struct Flow {
    /// Bytes of the current frame that are still to come and are not looked at.
    left: usize,
    /// They go to the client.
    forward: bool,
    /// COPY IN by an Execute began: the Syncs sent so far are void.
    pub reopened: bool,
    pub hope: Hope,
}

impl Flow {
    /// The client has the front of a frame whose rest has not come.
    pub fn is_inside_frame(&self) -> bool {
        self.left > 0 && self.forward
    }
}

/// What receiving works on besides the session.
pub struct Incoming<'a> {
    pub backend: &'a mut Backend,
    pub owed: &'a mut Queue,
    pub flow: &'a mut Flow,
}

impl Session {
    /// Takes what it can of `chunk`; answers with the bytes taken and what came of them.
    pub fn receive(
        &mut self,
        chunk: &[u8],
        from: &mut Incoming<'_>,
        to: &mut Delivery<'_, '_>,
    ) -> Result<(usize, Outcome), Desync> {
        let mut at = 0;
        while at < chunk.len() {
            if from.holds_back(&chunk[at..]) {
                return Ok((at, Outcome::Going));
            }
            from.drain_says(to);
            if from.flow.left > 0 {
                let n = from.flow.left.min(chunk.len() - at);
                from.flow.left -= n;
                if from.flow.forward {
                    to.forward(at, at + n);
                }
                at += n;
                continue;
            }
            let rest = &chunk[at..];
            let Some(header) = wire::peek(rest)? else { break };
            let whole = rest.len() >= header.len;
            let looks = is_looked_into(header.tag) || from.compares(header.tag);
            if !whole && looks && rest.len() < LOOK_LIMIT {
                break;
            }
            let here = header.len.min(rest.len());
            let body = &rest[HEADER..here];
            match self.frame(header, body, from, to)? {
                Passage::Forward => to.forward(at, at + here),
                Passage::Swallow => {}
                Passage::Ends(outcome) => return Ok((at, outcome)),
            }
            from.flow.left = header.len - here;
            from.flow.forward = to.ends_at(at + here);
            at += here;
        }
        if from.flow.hope == Hope::None {
            from.drain_says(to);
        }
        Ok((at, Outcome::Going))
    }

    fn frame(
        &mut self,
        header: Header,
        body: &[u8],
        from: &mut Incoming<'_>,
        to: &mut Delivery<'_, '_>,
    ) -> Result<Passage, Desync> {
        match header.tag {
            b'D' if from.awaits_number() => {
                self.note_transaction(body);
                return Ok(Passage::Swallow);
            }
            b'D' | b'd' => return from.row(header.tag),
            b'S' => return Ok(self.parameter(body, from, to)),
            b'N' => return Ok(from.notice(body)),
            b'A' => return Ok(self.notification(body)),
            b'E' => return self.error(body, from, to),
            b'Z' => return self.ready_for_query(body, from),
            _ => {}
        }
        let Some(head) = from.owed.head() else {
            return Err(from.unexpected(header.tag));
        };
        match (head, header.tag) {
            (Owed::Replay | Owed::Transaction, b'C' | b'T') => Ok(Passage::Swallow),
            (Owed::Query { analysis, step, .. }, b'C') => {
                self.copying = false;
                if let Some(rows) = &mut self.rows {
                    *rows += rows_of(body);
                }
                let effect = analysis.steps.get(*step).cloned();
                *step += 1;
                if let Some(effect) = effect {
                    self.complete(&effect, body);
                    match &effect {
                        Step::DeallocateAll | Step::DiscardAll => {
                            self.forget_statements(from.backend);
                        }
                        Step::Deallocate(name) => drop(self.named.remove(name.as_bytes())),
                        _ => {}
                    }
                }
                Ok(Passage::Forward)
            }
            (Owed::Query { .. }, b'T' | b'I' | b'c' | b'H') | (Owed::Function, b'V') => {
                Ok(Passage::Forward)
            }
            (Owed::Query { .. }, b'G') => {
                self.copying = true;
                Ok(Passage::Forward)
            }
            _ => self.extended(header.tag, body, from),
        }
    }

    /// Answers of the extended protocol, each to its own message.
    fn extended(
        &mut self,
        tag: u8,
        body: &[u8],
        from: &mut Incoming<'_>,
    ) -> Result<Passage, Desync> {
        let passage = match (from.owed.head(), tag) {
            (Some(Owed::Parse { ours, .. } | Owed::Close { ours, .. }), b'1' | b'3') if *ours => {
                Passage::Swallow
            }
            (Some(Owed::Parse { .. }), b'1')
            | (Some(Owed::Bind), b'2')
            | (Some(Owed::Close { .. }), b'3')
            | (Some(Owed::Describe), b'T' | b'n') => Passage::Forward,
            (Some(Owed::Describe), b't') => return Ok(Passage::Forward),
            (Some(Owed::Types { ours, types, .. }), b't') => {
                types.extend_from_slice(&body[..body.len().min(LOOK_LIMIT)]);
                return Ok(if *ours { Passage::Swallow } else { Passage::Forward });
            }
            (Some(Owed::Types { .. }), b'T' | b'n') => self.compare(tag, body, from),
            (Some(Owed::Execute { .. }), b'H' | b'c') => return Ok(Passage::Forward),
            (Some(Owed::Execute { .. }), b'G') => {
                self.copying = !from.owed.enter_copy();
                from.flow.reopened = self.copying;
                return Ok(Passage::Forward);
            }
            (Some(Owed::Execute { effect, undo }), b'C') => {
                self.copying = false;
                if let Some(rows) = &mut self.rows {
                    *rows += rows_of(body);
                }
                let step = effect.as_ref().and_then(|a| a.steps.first()).cloned();
                // It was planned in a transaction that had failed, and whose end came before it.
                if undo.is_none() && matches!(step, Some(Step::DeallocateAll | Step::DiscardAll)) {
                    self.forget_statements(from.backend);
                }
                if let Some(step) = step {
                    self.complete(&step, body);
                }
                Passage::Forward
            }
            (Some(Owed::Execute { .. }), b'I' | b's') => Passage::Forward,
            (Some(Owed::CommitsAs { .. }), b'1' | b'2' | b'C') => return Ok(Passage::Swallow),
            (Some(Owed::CommitsAs { open }), b'3') => {
                *open -= 1;
                if *open > 0 {
                    return Ok(Passage::Swallow);
                }
                Passage::Swallow
            }
            _ => return Err(from.unexpected(tag)),
        };
        from.owed.pop();
        Ok(passage)
    }

    fn complete(&mut self, step: &Step, body: &[u8]) {
        let tag = wire::cstr(body).map_or(body, |(tag, _)| tag);
        self.apply(step, tag);
    }

    /// PostgreSQL reports some parameters whenever they change, by whatever means: for those its
    /// word is better than our reading of the statement.
    fn parameter(
        &mut self,
        body: &[u8],
        from: &mut Incoming<'_>,
        to: &mut Delivery<'_, '_>,
    ) -> Passage {
        from.backend.reported.take(body);
        if matches!(from.owed.head(), Some(Owed::Replay)) {
            return Passage::Swallow;
        }
        let Some((name, value)) = wire::parse_status(body) else { return Passage::Forward };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        match name.as_str() {
            "in_hot_standby" => Passage::Swallow,
            "server_version"
            | "server_encoding"
            | "integer_datetimes"
            | "is_superuser"
            | "session_authorization"
            | "scram_iterations" => Passage::Forward,
            _ => match self.variables.owed(&name) {
                Some(ours) => {
                    let mut out = BytesMut::new();
                    let (start, _) = wire::cstr(body).unwrap_or((body, body));
                    wire::put_parameter_status(&mut out, start, ours.as_bytes());
                    to.say(&out);
                    Passage::Swallow
                }
                None => {
                    let value = SetValue::Text(String::from_utf8_lossy(value).into());
                    self.variables.set(&name, &value);
                    Passage::Forward
                }
            },
        }
    }

    fn error(
        &mut self,
        body: &[u8],
        from: &mut Incoming<'_>,
        to: &mut Delivery<'_, '_>,
    ) -> Result<Passage, Desync> {
        let fault = Fault::parse(body);
        self.renews |= fault.is_stale_plan();
        if from.flow.hope.hides(&fault) {
            return Ok(Passage::Ends(Outcome::Retry(fault)));
        }
        if fault.is_fatal() {
            return Ok(Passage::Ends(Outcome::Fatal(fault)));
        }
        if from.owed.fails_apart() {
            let (session, backend) = (&mut *self, &mut *from.backend);
            from.owed.fail(|before, entry| session.failed(before, entry, backend));
            return Ok(Passage::Swallow);
        }
        self.copying = false;
        self.fault = Some(fault.code);
        self.doubt_what_failed(from.owed);
        let stale = matches!(from.owed.head(), Some(Owed::Stale));
        let duplicate = match from.owed.head() {
            Some(Owed::Duplicate(name)) => Some(std::mem::take(name)),
            _ => None,
        };
        match from.owed.head() {
            Some(Owed::Replay | Owed::Transaction) => return Err(Desync::Replay(fault.message)),
            Some(Owed::Query { .. } | Owed::Function) => {}
            _ => {
                let (session, backend) = (&mut *self, &mut *from.backend);
                from.owed.fail(|before, entry| session.failed(before, entry, backend));
            }
        }
        self.aborted = true;
        if stale {
            let mut out = BytesMut::new();
            wire::put_stale_plan(&mut out);
            to.say(&out);
            return Ok(Passage::Swallow);
        }
        if let Some(renamed) = self.rename_back(body, duplicate.as_deref()) {
            let mut out = BytesMut::new();
            wire::put_frame(&mut out, b'E', |b| b.put_slice(&renamed));
            to.say(&out);
            return Ok(Passage::Swallow);
        }
        Ok(Passage::Forward)
    }

    /// The client's own names in place of the shared ones.
    fn rename_back(&self, body: &[u8], stand_in: Option<&[u8]>) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).ok().filter(|t| t.contains(PREFIX))?;
        let mut renamed = text.to_owned();
        let mut rename = |ours: &str, name: &[u8]| {
            let name = format!("\"{}\"", String::from_utf8_lossy(name));
            renamed = renamed.replace(&format!("\"{ours}\""), &name);
        };
        stand_in.iter().for_each(|name| rename(STAND_IN, name));
        for (name, named) in &self.named {
            rename(&named.statement.server_name(), name);
        }
        Some(renamed.into_bytes())
    }

    fn ready_for_query(&mut self, body: &[u8], from: &mut Incoming<'_>) -> Result<Passage, Desync> {
        let tx = body.first().and_then(|s| Tx::from_status(*s));
        let Some(tx) = tx else { return Err(from.unexpected(b'Z')) };
        match from.owed.pop() {
            Some(Owed::Replay | Owed::OurSync) => return Ok(Passage::Swallow),
            Some(Owed::Query { .. } | Owed::Function | Owed::Sync) => {}
            Some(Owed::Transaction) => {
                self.ready(tx);
                return Ok(Passage::Swallow);
            }
            other => {
                let awaited = format!("{other:?}");
                return Err(Desync::Unexpected { tag: b'Z', awaited });
            }
        }
        self.copying = false;
        self.ready(tx);
        if self.hears.is_some() && tx == Tx::Idle && from.owed.is_empty() {
            self.ready_held = true;
            return Ok(Passage::Swallow);
        }
        Ok(Passage::Forward)
    }
}

pub(super) enum Passage {
    Forward,
    Swallow,
    Ends(Outcome),
}

impl Incoming<'_> {
    /// As long as a read may be asked of another node, what only announces an answer waits for
    /// the answer: a server that dies early must not have been heard by the client.
    fn holds_back(&mut self, rest: &[u8]) -> bool {
        self.flow.hope != Hope::None
            && self.flow.left == 0
            && match self.owed.head() {
                None | Some(Owed::Replay | Owed::Transaction | Owed::OurSync) => false,
                Some(
                    Owed::Parse { ours: true, .. }
                    | Owed::Close { ours: true, .. }
                    | Owed::Types { ours: true, .. }
                    | Owed::CommitsAs { .. },
                ) => false,
                Some(Owed::Query { .. } | Owed::Function) => !is_decided(rest, b"TNS"),
                Some(_) => !is_decided(rest, b"123tTnNS"),
            }
    }

    /// The frame is a part of the types that are to be compared, or of an answer to us.
    fn compares(&mut self, tag: u8) -> bool {
        match self.owed.head() {
            Some(Owed::Types { .. }) => matches!(tag, b't' | b'T'),
            Some(Owed::CommitsAs { .. }) => true,
            _ => false,
        }
    }

    fn awaits_number(&mut self) -> bool {
        matches!(self.owed.head(), Some(Owed::CommitsAs { .. }))
    }

    fn drain_says(&mut self, to: &mut Delivery<'_, '_>) {
        // Never inside of a frame whose rest is still to come.
        if self.flow.left > 0 {
            return;
        }
        while let Some(bytes) = self.owed.said() {
            to.say(&bytes);
        }
    }

    /// One notice says that a commit stopped waiting for its standbys: where that must not be, it is
    /// no success.
    fn notice(&mut self, body: &[u8]) -> Passage {
        match self.owed.head() {
            Some(Owed::Replay | Owed::Transaction) => Passage::Swallow,
            _ if self.backend.strict && Fault::parse(body).is_of_an_abandoned_commit() => {
                Passage::Ends(Outcome::Unreplicated)
            }
            _ => Passage::Forward,
        }
    }

    fn row(&mut self, tag: u8) -> Result<Passage, Desync> {
        match self.owed.head() {
            Some(Owed::Query { .. } | Owed::Execute { .. } | Owed::Function) => {
                Ok(Passage::Forward)
            }
            Some(Owed::Replay) => Ok(Passage::Swallow),
            _ => Err(self.unexpected(tag)),
        }
    }

    fn unexpected(&mut self, tag: u8) -> Desync {
        let awaited = match self.owed.head() {
            Some(head) => format!("{head:?}").split([' ', '{', '(']).next().unwrap_or("").into(),
            None => "nothing".into(),
        };
        Desync::Unexpected { tag, awaited }
    }
}

/// The number at the end of a command's tag: `INSERT 0 5`.
fn rows_of(body: &[u8]) -> u64 {
    let tag = wire::cstr(body).map_or(body, |(tag, _)| tag);
    let last = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(last).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Their bodies matter, so they must be whole.
fn is_looked_into(tag: u8) -> bool {
    matches!(tag, b'C' | b'Z' | b'S' | b'E' | b'A' | b'N')
}

/// What is held back at most while no row and no end of an answer is there, in bytes.
const HOLD_LIMIT: usize = 16 * 1024;

/// Something follows that is more than an announcement, which is a frame of these tags.
fn is_decided(mut rest: &[u8], announcements: &[u8]) -> bool {
    if rest.len() > HOLD_LIMIT {
        return true;
    }
    while let Ok(Some(header)) = wire::peek(rest) {
        match rest.get(header.len..) {
            _ if !announcements.contains(&header.tag) => return true,
            Some(next) => rest = next,
            None => return header.len > HOLD_LIMIT,
        }
    }
    wire::peek(rest).is_err()
}

/// Errors that come from the node, not from the statement.
fn is_worth_another_node(fault: &Fault) -> bool {
    matches!(&fault.code, b"40001" | b"57P01" | b"57P02" | b"57P03" | b"57P05" | b"53300")
}
