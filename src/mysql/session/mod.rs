//! What is remembered of a client's session, and what its packets mean for it. No I/O.

pub(super) mod command;
pub(super) mod pins;
pub(super) mod relay;
pub(super) mod tracked;

use super::registry::Pin;
use super::wire::ok::Ok as OkPacket;
use super::wire::{WireError, capability, status};
use crate::pool::Mode;
use crate::route::{Known, Wants};
use crate::sql::Why;
use crate::sql::mysql::{Analysis, Modes, Step, Uses};
use pins::Pins;
use std::sync::Arc;
use tracked::Tracked;

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
    /// One server connection from the first statement to the end.
    pub(super) keeps: bool,
    /// What it left on its server connection until it is reset.
    pub(super) pins: Pins,
    pub(super) tracked: Tracked,
    /// Statements that the client prepared and has not closed.
    statements: Vec<u32>,
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
            keeps: mode == Mode::Session,
            pins: Pins::default(),
            tracked: Tracked::default(),
            statements: Vec::new(),
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
        *self = Session { known: self.known, ..fresh };
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

    /// A text goes to the server, or its preparation.
    pub(super) fn will_run(&mut self, analysis: &Analysis, prepares: bool) {
        self.pins.prepare_for(analysis);
        // What becomes of it when it is executed is not looked at again.
        if prepares && analysis.parts.iter().any(|part| part.step != Step::Plain) {
            self.pins.add(Pin::Setting);
        }
    }

    /// The server has carried it out without an error.
    pub(super) fn has_done(&mut self, analysis: &Analysis) {
        self.pins.ended_by(analysis);
    }

    /// The server prepared a statement under this number.
    fn prepared(&mut self, statement: u32) {
        self.statements.push(statement);
    }

    pub(super) fn closes(&mut self, statement: u32) {
        self.statements.retain(|id| *id != statement);
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
        if !self.statements.is_empty() {
            return Pin::PreparedStatement;
        }
        match self.pins.first() {
            Pin::None => {}
            pin => return pin,
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

/// What a command asks for, as far as its text tells.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// No text: nothing to look at.
    Plain,
    Text(Arc<Analysis>),
    Preparation(Arc<Analysis>),
}

impl Asked {
    pub(super) fn uses(&self) -> Uses {
        match self {
            Asked::Text(analysis) | Asked::Preparation(analysis) => analysis.uses(),
            Asked::Plain => Uses::NONE,
        }
    }

    /// Whether any fresh replica may do it.
    pub(super) fn wants(&self) -> Wants {
        match self {
            Asked::Text(analysis) => analysis.primary.map_or(Wants::Read, Wants::Primary),
            // Where it is executed is where it was prepared.
            Asked::Preparation(analysis) => {
                Wants::Primary(analysis.primary.unwrap_or(Why::Session))
            }
            Asked::Plain => Wants::Primary(Why::Session),
        }
    }
}
