//! What a client's session is, apart from any socket: its parameters, its prepared statements,
//! its transaction, and why it must keep its server connection.
//!
//! A batch of the client goes through three pure steps, one file each: [`plan`] says what it is,
//! [`send`] turns it into what the server gets, [`receive`] turns the server's answers into what
//! the client gets. The sockets are moved by `pg::exchange`.

pub mod ahead;
pub mod batch;
pub mod delivery;
pub mod doubt;
pub mod hears;
pub mod owed;
pub mod plan;
pub mod proof;
pub mod receive;
pub mod send;
pub mod undo;
pub mod wishes;

use super::govern::Committing;
use super::params::{Params, Variables};
use super::statement::{OnServer, Place, Statement};
use crate::dispatch::Standing;
use crate::route::Known;
use crate::sql::{Analysis, Pin, Step};
use crate::topology::Position;
use hears::Hears;
use plan::Question;
use proof::{Doubt, Residue};
use std::collections::HashMap;
use std::sync::Arc;
use undo::Undo;

/// The transaction status as ReadyForQuery tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tx {
    /// No transaction: the server connection may go back.
    Idle,
    Open,
    /// Failed: everything but ROLLBACK is refused.
    Failed,
}

impl Tx {
    pub fn from_status(status: u8) -> Option<Tx> {
        match status {
            b'I' => Some(Tx::Idle),
            b'T' => Some(Tx::Open),
            b'E' => Some(Tx::Failed),
            _ => None,
        }
    }

    pub fn status(self) -> u8 {
        match self {
            Tx::Idle => b'I',
            Tx::Open => b'T',
            Tx::Failed => b'E',
        }
    }
}

/// Parameters as a server reported them last, in the order of its greeting.
#[derive(Clone, Debug, Default)]
pub struct Reported(pub Vec<Status>);

/// A parameter's name and its value.
pub type Status = (Box<[u8]>, Box<[u8]>);

impl Reported {
    /// The body of a ParameterStatus.
    pub fn take(&mut self, body: &[u8]) {
        let Some((name, value)) = super::wire::parse_status(body) else { return };
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }
}

/// What is known of a server connection while a session works on it.
#[derive(Debug, Default)]
pub struct Backend {
    pub prepared: OnServer,
    /// The parameters in force, as far as sessions changed them.
    pub params: Arc<Params>,
    /// Prepared statements kept at most.
    pub max_prepared: usize,
    pub reported: Reported,
    /// The client that was served last.
    pub last_session: u64,
    /// A commit that does not wait for its standbys is none.
    pub strict: bool,
}

/// A prepared statement under the client's own name.
#[derive(Clone, Debug)]
struct Named {
    statement: Arc<Statement>,
    /// The client may know its types.
    seen: bool,
    /// They count in the order in which they were prepared.
    number: u64,
}

type Names = HashMap<Box<[u8]>, Named, foldhash::fast::RandomState>;

/// A session's state; the server connection it may hold is elsewhere.
#[derive(Debug)]
pub struct Session {
    pub variables: Variables,
    /// Where the session says nothing else, a backslash in a string is special.
    default_strings_differ: bool,
    pub tx: Tx,
    /// The running transaction, explicit or not, has failed.
    aborted: bool,
    /// The code of the last error that the client got from a server.
    pub fault: Option<[u8; 5]>,
    /// Rows that statements returned or changed; `None`: they are not counted.
    pub rows: Option<u64>,
    /// Why the server connection cannot go back; the first reason that came up.
    pub pin: Option<Pin>,
    /// What the next session must not find on the server.
    pub residue: Option<Residue>,
    /// What it listens to, if anything.
    pub hears: Option<Box<Hears>>,
    /// The end of an answer waits for the notifications that belong before it.
    ready_held: bool,
    /// It notified, or may have.
    pub notified: bool,
    /// What only the server knows of what it keeps for this session.
    doubt: Option<Doubt>,
    /// What reads of this session must not fall behind.
    pub known: Known,
    /// The position that it asked for last, as a token.
    pub position: String,
    /// The answer to the EXPLAIN that it asked for last, line by line.
    pub explained: Vec<String>,
    /// The position that it was told to be lost.
    pub lost: Option<Arc<Position>>,
    /// What it wants of its reads.
    standing: Option<Standing<Params>>,
    /// Tables may have changed: what is shared is to be analysed anew.
    pub renews: bool,
    /// Where texts mean what they mean for this session, as long as its parameters are these.
    place: Option<(Arc<Params>, Place)>,
    /// The running transaction has a parameter of its own by which texts are read.
    reads_locally: bool,
    unnamed: Option<Arc<Statement>>,
    named: Names,
    /// Statements named so far.
    numbers: u64,
    /// The effect of the statement in the unnamed portal, and of named portals.
    portal: Option<Arc<Analysis>>,
    portals: Vec<(Box<[u8]>, Arc<Analysis>)>,
    /// The server is in COPY IN and reads CopyData.
    pub copying: bool,
    /// The transaction whose commit is under way, where that was asked for.
    committing: Option<Committing>,
}

impl Session {
    pub fn new(startup: Arc<Params>, pin: Option<Pin>) -> Session {
        Session {
            variables: Variables::new(startup),
            default_strings_differ: false,
            tx: Tx::Idle,
            aborted: false,
            fault: None,
            rows: None,
            pin,
            residue: None,
            hears: None,
            ready_held: false,
            notified: false,
            doubt: None,
            known: Known::default(),
            position: String::new(),
            explained: Vec::new(),
            lost: None,
            standing: None,
            renews: false,
            place: None,
            reads_locally: false,
            unnamed: None,
            named: HashMap::default(),
            numbers: 0,
            portal: None,
            portals: Vec::new(),
            copying: false,
            committing: None,
        }
    }

    /// What the user's or the database's own settings make of parameters that the session does not
    /// set.
    pub fn greeted(mut self, greeting: &Reported) -> Session {
        let said = greeting.0.iter().find(|(name, _)| **name == *b"standard_conforming_strings");
        self.default_strings_differ = said.is_some_and(|(_, value)| **value != *b"on");
        self
    }

    fn named(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.get(name).map(|named| &named.statement)
    }

    /// The statement that a Bind or a Describe means, and whether the client may know its types.
    fn look_at(&mut self, name: &[u8]) -> Option<(Arc<Statement>, bool)> {
        match name {
            [] => self.unnamed.clone().map(|statement| (statement, false)),
            _ => {
                let named = self.named.get_mut(name)?;
                let seen = std::mem::replace(&mut named.seen, true);
                Some((named.statement.clone(), seen))
            }
        }
    }

    /// Puts the same statement with another verdict in the place of the one of this name.
    fn judge_anew(&mut self, name: &[u8], statement: Arc<Statement>) {
        match name {
            [] => self.unnamed = Some(statement),
            _ => {
                if let Some(named) = self.named.get_mut(name) {
                    named.statement = statement;
                }
            }
        }
    }

    fn define(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.numbers += 1;
        self.named.insert(name.into(), Named { statement, seen: false, number: self.numbers });
    }

    /// Forgets a statement; answers with how to get it back.
    fn undefine(&mut self, name: &[u8]) -> Option<Undo> {
        let was = match name {
            [] => self.unnamed.take(),
            _ => self.named.remove(name).map(|named| named.statement),
        };
        was.map(|was| Undo::Name { name: name.into(), was: Some(was) })
    }

    /// The name of a statement of ours that a single `DEALLOCATE name` means.
    fn deallocates(&self, analysis: &Analysis) -> Option<Box<[u8]>> {
        match analysis.steps.as_slice() {
            [Step::Deallocate(name)] if self.tx != Tx::Failed => {
                self.named.get_key_value(name.as_bytes()).map(|(name, _)| name.clone())
            }
            _ => None,
        }
    }

    /// The rows of the answer to a question; `other`: the values that the session does not keep.
    fn told(&self, question: Question<'_>, other: &dyn Fn(&str) -> String) -> Vec<String> {
        match question {
            Question::Show(name) => vec![self.shown(name, other)],
            Question::Explain(_) => self.explained.clone(),
        }
    }

    fn shown(&self, name: &str, other: &dyn Fn(&str) -> String) -> String {
        match self.variables.current().get(name) {
            _ if name == "tidegate.position" => self.position.clone(),
            Some(value) => value.to_string(),
            None => other(name),
        }
    }

    /// The classifier reads texts as with `standard_conforming_strings = on`.
    pub fn reads_strings_differently(&self) -> bool {
        match self.variables.current().get("standard_conforming_strings") {
            Some(value) => !matches!(&**value, "on" | "true" | "yes" | "1"),
            None => self.default_strings_differ,
        }
    }

    /// Every statement is a serializable transaction, which a standby refuses.
    fn is_serializable(&self) -> bool {
        let value = self.variables.current().get("default_transaction_isolation");
        value.is_some_and(|value| value.eq_ignore_ascii_case("serializable"))
    }

    /// Prepared statements of this session.
    pub fn prepared(&self) -> usize {
        self.named.len()
    }

    /// Takes back what frames did that no server will carry out.
    pub fn undo(&mut self, frames: &[batch::Planned]) {
        for undo in frames.iter().rev().filter_map(|frame| frame.item.undo()) {
            self.take_back(undo, None);
        }
    }

    /// The effect of a statement that the server completed.
    fn apply(&mut self, step: &Step, tag: &[u8]) {
        match step {
            Step::Plain
            | Step::Empties(_)
            | Step::ListsChannels
            | Step::Begin { .. }
            | Step::DiscardOther
            | Step::Explain(_)
            | Step::ShowTidegate(_) => {}
            Step::Commit { .. } | Step::Rollback => {
                self.committing = None;
                // PREPARE TRANSACTION keeps what the transaction set.
                if tag.starts_with(b"COMMIT") || tag.starts_with(b"PREPARE TRANSACTION") {
                    self.commit()
                } else if *step == Step::Rollback || self.tx != Tx::Idle {
                    self.rollback()
                }
            }
            Step::Savepoint(name) => {
                self.variables.savepoint(name);
                self.hear_of(step);
            }
            Step::Release(name) => {
                self.variables.release(name);
                self.hear_of(step);
            }
            Step::RollbackTo(name) => {
                self.aborted = false;
                self.variables.rollback_to(name);
                self.hear_of(step);
            }
            Step::Set { name, value } => self.variables.set(name, value),
            Step::ReadsOtherwise => self.reads_locally = true,
            Step::Reset(name) => self.variables.reset(name),
            Step::ResetAll => self.variables.reset_all(false),
            Step::Deallocate(_) | Step::DeallocateAll => self.doubts(Doubt::Pin),
            Step::DiscardTemp | Step::Releases => self.doubts(Doubt::Pin),
            Step::Listen(channel) => self.listen(channel),
            Step::Unlisten(channel) => self.unlisten(Some(channel)),
            Step::UnlistenAll => self.unlisten(None),
            Step::Notify => self.notified = true,
            Step::Defines => {
                self.renews = true;
                self.doubts(Doubt::Pin);
            }
            Step::Hidden => {
                self.notified = true;
                self.renews |= tag == b"DO";
                self.doubts(Doubt::Everything);
            }
            Step::DiscardAll => {
                self.variables.reset_all(true);
                // The server commits it at once: what fails later in the pipeline leaves it.
                self.variables.commit();
                self.hear_of(step);
                self.unpin();
            }
            // What follows the first of these shows no less than it did.
            Step::Pin(Pin::SqlPrepare) if self.pin == Some(Pin::SqlPrepare) => {}
            Step::Pin(reason) => {
                self.pin = self.pin.or(Some(*reason));
                self.doubts(Doubt::Pin);
            }
        }
    }

    fn commit(&mut self) {
        self.aborted = false;
        self.variables.commit();
        self.hear_of(&Step::Commit { chain: false });
    }

    fn rollback(&mut self) {
        self.aborted = false;
        self.variables.rollback();
        self.hear_of(&Step::Rollback);
        self.doubts(Doubt::Pin);
    }

    /// A part of a simple query that deallocates was completed; the extended protocol's
    /// Execute forgets when it is planned, because what follows it may define anew.
    fn forget_statements(&mut self, backend: &mut Backend) {
        self.named.clear();
        backend.prepared.clear();
    }

    fn unpin(&mut self) {
        if self.pin != Some(Pin::Mode) {
            self.pin = None;
        }
    }

    /// ReadyForQuery said so.
    fn ready(&mut self, tx: Tx) {
        self.committing = None;
        if tx == Tx::Idle {
            // A COMMIT that failed ends its transaction, too.
            match self.aborted {
                true => self.rollback(),
                false => self.commit(),
            }
            self.portal = None;
            self.portals.clear();
            self.reads_locally = false;
        }
        self.tx = tx;
    }

    /// The server connection may go back to its pool.
    pub fn may_leave(&self) -> bool {
        self.tx == Tx::Idle && self.pin.is_none()
    }

    /// The server connection is gone, and with it the transaction and what was only there.
    pub fn lost(&mut self) {
        self.rollback();
        self.ready(Tx::Idle);
        self.copying = false;
        self.doubt = None;
        self.residue = None;
        self.ready_held = false;
        self.notified = false;
    }

    fn bind_portal(&mut self, name: &[u8], statement: Option<&Arc<Statement>>) {
        let effect = statement.map(|s| &s.analysis).filter(|a| !a.steps.is_empty()).cloned();
        if name.is_empty() {
            self.portal = effect;
            return;
        }
        self.portals.retain(|(n, _)| **n != *name);
        if let Some(effect) = effect {
            self.portals.push((name.into(), effect));
        }
    }

    fn has_portals(&self) -> bool {
        self.portal.is_some() || !self.portals.is_empty()
    }

    fn portal_effect(&self, name: &[u8]) -> Option<Arc<Analysis>> {
        match name {
            [] => self.portal.clone(),
            _ => self.portals.iter().find(|(n, _)| **n == *name).map(|(_, a)| a.clone()),
        }
    }
}
