//! What is remembered of a client's session, and what its packets mean for it. No I/O.

pub(super) mod asked;
pub(super) mod command;
pub(super) mod pins;
pub(super) mod relay;
pub(super) mod statements;
pub(super) mod tracked;
pub(super) mod wishes;

use super::registry::Pin;
use super::statement::{Content, Surroundings};
use super::wire::ok::Ok as OkPacket;
use super::wire::{WireError, capability, status};
use crate::dispatch::Standing;
use crate::pool::Mode;
use crate::route::Known;
use crate::sql::mysql::{Analysis, Assignment, Modes, Scope, Step};
use crate::topology::{NodeId, Position};
use pins::Pins;
use statements::{Prepared, Statements};
use std::sync::Arc;
use std::time::Instant;
use tracked::Tracked;
use wishes::Settings;

/// Variables by which a server understands a text when it prepares it.
const SURROUNDINGS: [&str; 4] =
    ["character_set_client", "character_set_connection", "collation_connection", "sql_mode"];

/// A client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// What was agreed on with the client.
    pub(super) capabilities: u32,
    /// The collation's number of its login.
    pub(super) collation: u8,
    /// The server's flags as they were told last.
    pub(super) status: u16,
    pub(super) known: Known,
    /// What it wrote with its last command on the primary, if it has asked nobody since.
    pub(super) wrote: Option<Arc<Position>>,
    /// One server connection from the first statement to the end.
    pub(super) keeps: bool,
    /// What it left on its server connection until it is reset.
    pub(super) pins: Pins,
    pub(super) tracked: Tracked,
    /// Statements that the client prepared and has not closed.
    pub(super) statements: Statements,
    pub(super) settings: Arc<Settings>,
    standing: Option<Standing<Settings>>,
    /// The last statement left warnings, which the client may ask for.
    pub(super) warnings: bool,
    /// The last statement failed.
    pub(super) failed: bool,
    /// Numbers of rows that OK packets told of since the server was asked for LAST_INSERT_ID():
    /// generated ones, or given ones.
    pub(super) inserted: Vec<u64>,
    /// What LAST_INSERT_ID() is, as the server said.
    pub(super) last_insert_id: u64,
    /// It has carried out something whose diagnostics are asked for now and then.
    pub(super) has_run: bool,
}

impl Session {
    pub(super) fn new(capabilities: u32, collation: u8, status: u16, mode: Mode) -> Session {
        Session {
            capabilities,
            collation,
            status,
            known: Known::default(),
            wrote: None,
            keeps: mode == Mode::Session,
            pins: Pins::default(),
            tracked: Tracked::default(),
            statements: Statements::default(),
            settings: Arc::default(),
            standing: None,
            warnings: false,
            failed: false,
            inserted: Vec::new(),
            last_insert_id: 0,
            has_run: false,
        }
    }

    /// COM_RESET_CONNECTION did this on the server, but for the schema.
    pub(super) fn reset(&mut self) {
        let schema = self.tracked.schema.take();
        let mode = if self.keeps { Mode::Session } else { Mode::Transaction };
        let fresh = Session::new(self.capabilities, self.collation, self.status, mode);
        let wrote = self.wrote.take();
        *self = Session { known: self.known, wrote, ..fresh };
        self.tracked.schema = schema;
    }

    /// Answers differ from what our connections to servers give.
    fn needs_translation(&self) -> bool {
        const OURS: u32 = capability::DEPRECATE_EOF | capability::SESSION_TRACK;
        self.capabilities & OURS != OURS
    }

    fn expects_eof(&self) -> bool {
        self.capabilities & capability::DEPRECATE_EOF == 0
    }

    /// The session's own flags, without those of its last answer.
    pub(super) fn flags(&self) -> u16 {
        const OF_AN_ANSWER: u16 = status::MORE_RESULTS
            | status::CURSOR_EXISTS
            | status::LAST_ROW_SENT
            | status::SESSION_STATE_CHANGED;
        self.status & !OF_AN_ANSWER
    }

    /// A transaction is open, or will be with the next statement.
    pub(super) fn in_transaction(&self) -> bool {
        self.status & status::IN_TRANS != 0
    }

    /// How the text of a statement is to be read.
    pub(super) fn modes(&self) -> Modes {
        let value = |name: &str| self.tracked.variables.get(name).map_or("", |value| value);
        let sql_mode = value("sql_mode").to_ascii_uppercase();
        let has = |mode: &str| sql_mode.split(',').any(|one| one == mode);
        Modes {
            ansi_quotes: has("ANSI_QUOTES"),
            no_backslash_escapes: self.status & status::NO_BACKSLASH_ESCAPES != 0,
            oracle: has("ORACLE"),
            ascii_in_letters: matches!(
                value("character_set_client"),
                "big5" | "cp932" | "gb18030" | "gbk" | "sjis"
            ),
        }
    }

    /// A text goes to the server, by itself or as a prepared statement.
    pub(super) fn will_run(&mut self, analysis: &Analysis) {
        self.pins.prepare_for(analysis);
    }

    /// Where names without a schema are; `of_pool`: where they are on a fresh connection.
    pub(super) fn schema<'a>(&'a self, of_pool: &'a str) -> &'a str {
        self.tracked.schema.as_deref().unwrap_or(of_pool)
    }

    /// What makes a statement with this text the same as another one's.
    pub(super) fn content(&self, text: &[u8], of_pool: &str) -> Content {
        let mut variables = String::new();
        for name in SURROUNDINGS {
            if let Some(value) = self.tracked.variables.get(name) {
                variables.push_str(name);
                variables.push('=');
                variables.push_str(value);
                variables.push(';');
            }
        }
        let surroundings =
            Surroundings { schema: self.schema(of_pool).into(), variables: variables.into() };
        Content { text: text.into(), surroundings }
    }

    /// It changes by what texts are understood.
    pub(super) fn resets_surroundings(analysis: &Analysis) -> bool {
        let resets = |assignment: &Assignment| match assignment {
            Assignment::Names { .. } | Assignment::CharacterSet(_) => true,
            Assignment::Variable { scope: Scope::Unsaid | Scope::Session, name, .. } => {
                SURROUNDINGS.contains(&&**name)
            }
            _ => false,
        };
        let sets = |step: &Step| matches!(step, Step::Set(parts) if parts.iter().any(resets));
        analysis.parts.iter().any(|part| sets(&part.step))
    }

    /// The server has carried it out without an error.
    pub(super) fn has_done(&mut self, analysis: &Analysis) {
        self.pins.ended_by(analysis);
    }

    pub(super) fn closes(&mut self, statement: u32) -> Option<Prepared> {
        let closed = self.statements.remove(statement);
        if self.statements.is_empty() {
            self.pins.remove(Pin::PreparedStatement);
        }
        closed
    }

    /// A node has answered, and is left.
    pub(super) fn answered(&mut self, node: NodeId, is_primary: bool, at: Instant) {
        self.known.answered(node, is_primary, at);
        let gtid = self.tracked.gtid.take();
        if is_primary {
            self.wrote = gtid.and_then(|gtid| Position::from_token(&gtid)).map(Arc::new);
        }
    }

    /// What contains all that the session did and saw, if its own write does.
    pub(super) fn written(&self) -> Option<String> {
        self.wrote.as_ref().filter(|_| self.known.replica.is_none())?.token()
    }

    /// A command goes to the server: what the one before wrote is not the last any more.
    pub(super) fn asks(&mut self) {
        self.tracked.gtid = None;
    }

    /// Takes in what came with an OK packet, or with the end of rows.
    fn hear(&mut self, ok: &OkPacket<'_>) -> Result<(), WireError> {
        self.status = ok.status;
        if self.keeps {
            return Ok(());
        }
        self.warnings = ok.warnings > 0;
        self.has_run = true;
        if ok.last_insert_id != 0 && !self.inserted.contains(&ok.last_insert_id) {
            self.inserted.push(ok.last_insert_id);
        }
        self.hear_track(ok.track)
    }

    pub(super) fn hear_track(&mut self, track: &[u8]) -> Result<(), WireError> {
        if track.is_empty() {
            return Ok(());
        }
        self.tracked.hear(track, &mut self.pins)
    }

    /// The server says that LAST_INSERT_ID() is `now`; it was `before` when the session got it. What
    /// is unchanged, and was not told of, is another session's.
    pub(super) fn learn_id(&mut self, before: u64, now: u64) {
        if now != before || self.inserted.contains(&now) {
            self.last_insert_id = now;
        }
        self.inserted.clear();
    }

    /// Why the server connection stays with the session now; [`Pin::None`]: it may go.
    pub(super) fn pin(&self) -> Pin {
        if self.keeps {
            return Pin::Mode;
        }
        for pin in [self.statements.pin(), self.pins.first()] {
            if pin != Pin::None {
                return pin;
            }
        }
        if self.status & status::AUTOCOMMIT == 0 {
            return Pin::Autocommit;
        }
        match (self.tracked.characteristics && !self.in_transaction(), self.warnings) {
            (true, _) => Pin::NextTransaction,
            (false, true) => Pin::Warnings,
            (false, false) => Pin::None,
        }
    }

    /// Nothing but an open transaction, or a pin, keeps the server connection.
    pub(super) fn may_leave(&self) -> bool {
        const OPEN: u16 = status::IN_TRANS | status::CURSOR_EXISTS | status::DB_DROPPED;
        self.pin() == Pin::None && self.status & OPEN == 0
    }
}
