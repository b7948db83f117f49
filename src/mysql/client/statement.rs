//! Texts and prepared statements. In a session that shares its servers a statement that a client
//! prepared is on whichever server carries it out, under a number of that server's.

use super::ours::{is_not_prepared, is_ours};
use super::perform::Job;
use super::{Client, Leaving};
use crate::mysql::link::LinkError;
use crate::mysql::registry::Pin;
use crate::mysql::session::Session;
use crate::mysql::session::asked::{Asked, Work};
use crate::mysql::session::command::Head;
use crate::mysql::wire::HEADER;
use crate::mysql::wire::command::{Command, put_command};
use crate::mysql::wire::ok::{Fault, put_error};
use crate::mysql::wire::reply::Kind;
use crate::refusal::Refusal;
use crate::sql::Why;
use crate::sql::mysql::{Analysis, Part, Uses};
use bytes::Buf;
use std::sync::Arc;

/// A text that is longer than what is looked at may do anything.
fn unseen() -> Analysis {
    let code = Part { uses: Uses::CODE, ..Part::default() };
    Analysis { primary: Some(Why::Unseen), parts: vec![code], ..Analysis::default() }
}

/// The name in the servers' words.
fn handler(command: Command) -> &'static str {
    match command {
        Command::StmtFetch => "mysqld_stmt_fetch",
        Command::StmtReset => "mysqld_stmt_reset",
        _ => "mysqld_stmt_execute",
    }
}

impl Client {
    /// The text of the packet at the front of the input.
    pub(super) fn text(&self, head: Head) -> &[u8] {
        &self.input[HEADER + 1..self.input.len().min(head.len)]
    }

    /// Whether a text may be meant for the proxy, in a session that keeps its server and whose
    /// texts nobody needs to look at.
    fn names_us(text: &[u8]) -> bool {
        const FIRST: usize = 100;
        let start = &text[..text.len().min(FIRST)];
        start.windows(8).any(|word| word.eq_ignore_ascii_case(b"tidegate"))
    }

    fn analyse(&self, head: Head) -> Arc<Analysis> {
        match head.is_whole {
            true => self.cluster.classifier.analyse(self.text(head), self.session.modes()),
            false => Arc::new(unseen()),
        }
    }

    /// COM_QUERY
    pub(super) async fn query(&mut self, head: Head) -> Result<(), Leaving> {
        if self.session.keeps && !Client::names_us(self.text(head)) {
            return self.perform(head, Some(Kind::Results), Asked::default()).await;
        }
        let wanted = match self.hinted(self.text(head)) {
            Ok(wanted) => wanted,
            Err(refusal) => return self.refuse(head, &refusal),
        };
        let analysis = self.analyse(head);
        let ours = is_ours(&analysis);
        let asked = Asked { work: Work::Text, analysis: Some(analysis), wanted };
        match ours {
            // Boxed: it is rare, and its state would make every idle client larger.
            true => Box::pin(self.answer_ours(head, asked)).await,
            false if self.session.keeps => {
                self.perform(head, Some(Kind::Results), Asked::default()).await
            }
            false => self.perform(head, Some(Kind::Results), asked).await,
        }
    }

    /// COM_STMT_PREPARE
    pub(super) async fn prepare(&mut self, head: Head) -> Result<(), Leaving> {
        if self.session.keeps {
            return self.perform(head, Some(Kind::Prepared), Asked::default()).await;
        }
        match self.to_prepare(head) {
            Ok(asked) => self.perform(head, Some(Kind::Prepared), asked).await,
            Err(refusal) => self.refuse(head, &refusal),
        }
    }

    fn to_prepare(&self, head: Head) -> Result<Asked, Refusal> {
        if !head.is_whole {
            let what = "a prepared statement of 16 MiB or more (hint: send it as a text)";
            return Err(Refusal::Unsupported(what.into()));
        }
        let limit = self.cluster.pool_settings.load().max_client_prepared;
        if self.session.statements.len() >= limit {
            return Err(Refusal::TooManyStatements { limit });
        }
        let analysis = self.analyse(head);
        if let Some(refusal) = is_not_prepared(&analysis) {
            return Err(refusal);
        }
        let content = self.session.content(self.text(head), &self.pools.database);
        let statement = self.cluster.statements.share(content, analysis.clone());
        let wanted = self.hinted_by(statement.hint.as_deref())?;
        Ok(Asked { work: Work::Preparation(statement), analysis: Some(analysis), wanted })
    }

    /// COM_STMT_EXECUTE, COM_STMT_FETCH, COM_STMT_RESET, COM_STMT_SEND_LONG_DATA
    pub(super) async fn use_statement(
        &mut self,
        head: Head,
        command: Command,
        id: u32,
    ) -> Result<(), Leaving> {
        let Some(prepared) = self.session.statements.get(id) else {
            let given = format!("({id}) given to {}", handler(command));
            let message = format!("Unknown prepared statement handler {given}");
            return self.say_no_statement(head, command, (1243, &message));
        };
        if command == Command::StmtFetch && (self.link.is_none() || !prepared.has_cursor()) {
            let message = format!("The statement ({id}) has no open cursor");
            return self.say_no_statement(head, command, (1421, &message));
        }
        if command == Command::StmtReset && prepared.is_plain() {
            self.session.statements.cleared(id);
            self.say_ok(head);
            return Ok(());
        }
        if command == Command::StmtExecute && prepared.has_lost_data() {
            let what = "an EXECUTE whose long data reached no server (hint: reset the statement, \
                        and send the data again)";
            return self.refuse(head, &Refusal::Unsupported(what.into()));
        }
        let statement = prepared.statement.clone();
        let wanted = match self.hinted_by(statement.hint.as_deref()) {
            Ok(wanted) => wanted,
            Err(refusal) => return self.refuse(head, &refusal),
        };
        let analysis = Some(statement.analysis.clone());
        let (work, kind) = match command {
            Command::StmtSendLongData => (Work::LongData(id, statement), None),
            Command::StmtFetch => (Work::Fetch(id, statement), Some(Kind::Rows)),
            Command::StmtReset => (Work::Reset(id, statement), Some(Kind::Ok)),
            _ => (Work::Execution(id, statement), Some(Kind::Results)),
        };
        self.perform(head, kind, Asked { work, analysis, wanted }).await
    }

    /// COM_STMT_CLOSE: the server keeps it for others, unless something of this session is there.
    pub(super) fn close_statement(&mut self, head: Head, id: u32) {
        self.input.advance(head.len);
        let closed = self.session.closes(id);
        let left = closed.filter(|prepared| !prepared.is_plain());
        if let (Some(prepared), Some(lease)) = (left, &mut self.link)
            && let Some(number) = lease.prepared.remove(prepared.statement.id)
        {
            put_command(&mut lease.link.out, Command::StmtClose, &number.to_le_bytes());
        }
    }

    /// In the servers' own words.
    fn say_no_statement(
        &mut self,
        head: Head,
        command: Command,
        (code, message): (u16, &str),
    ) -> Result<(), Leaving> {
        if !head.is_whole {
            return Err(Leaving::Refused(Refusal::Protocol("an unknown statement".into())));
        }
        self.input.advance(head.len);
        if command != Command::StmtSendLongData {
            let sequence = head.sequence.wrapping_add(1);
            put_error(&mut self.output, sequence, code, "HY000", message);
        }
        Ok(())
    }

    /// The numbers, at the client and at the server, of the statement that the command is about.
    pub(super) async fn have_prepared(
        &mut self,
        asked: &Asked,
    ) -> Result<Option<(u32, u32)>, LinkError> {
        if let Work::Preparation(_) = asked.work {
            self.relay.statement = Some(self.session.statements.next());
        }
        let Some((id, statement)) = asked.statement() else { return Ok(None) };
        let Some(lease) = &mut self.link else { return Err(LinkError::Closed) };
        if let Some(number) = lease.prepared.get(statement.id) {
            return Ok(Some((id, number)));
        }
        let schema = self.session.schema(&self.pools.database);
        // Boxed: it is rare, and its state would make every idle client larger.
        let number = Box::pin(lease.prepare(statement, schema)).await?;
        Ok(Some((id, number)))
    }

    /// What is to be known of a text before it runs.
    pub(super) async fn will_run(&mut self, asked: &Asked) {
        let Some(analysis) = asked.runs() else { return };
        self.session.will_run(analysis);
        let keeps = !self.session.statements.is_empty() && Session::resets_surroundings(analysis);
        if let (true, Some(lease)) = (keeps, &mut self.link) {
            // They are understood as they were when they were prepared, which only a connection
            // can tell that has them.
            let all: Vec<_> = self.session.statements.iter().cloned().collect();
            let schema = self.session.schema(&self.pools.database);
            for statement in all {
                if lease.prepared.get(statement.id).is_none() {
                    // One that cannot be prepared now will say so when it is executed.
                    let _ = Box::pin(lease.prepare(&statement, schema)).await;
                }
            }
            self.session.pins.add(Pin::PreparedStatement);
        }
    }

    /// A command about a statement was answered.
    pub(super) fn note_statement(&mut self, asked: &Asked) {
        let failed = self.relay.failed;
        match &asked.work {
            Work::Preparation(statement) => {
                let (Some(head), Some(lease)) = (self.relay.prepared.take(), &mut self.link) else {
                    return;
                };
                if !failed {
                    lease.has_prepared(statement.id, head.statement);
                    self.session.statements.add(statement.clone(), head.parameters);
                }
            }
            Work::LongData(id, _) => self.session.statements.sent_long(*id, true),
            Work::Execution(id, _) | Work::Fetch(id, _) if !failed => {
                self.session.statements.answered(*id, self.session.status);
            }
            Work::Execution(id, _) | Work::Fetch(id, _) | Work::Reset(id, _) => {
                self.session.statements.cleared(*id);
            }
            Work::Command | Work::Text => {}
        }
    }

    /// Nobody carries it out: it is answered with an error, and the session goes on.
    pub(super) fn give_up(
        &mut self,
        head: Head,
        asked: &Asked,
        refusal: &Refusal,
    ) -> Result<(), Leaving> {
        if let Work::LongData(id, _) = asked.work {
            self.session.statements.sent_long(id, false);
        }
        self.turn_down(head, refusal)
    }

    fn refuse(&mut self, head: Head, refusal: &Refusal) -> Result<(), Leaving> {
        self.relay.begin(Some(Kind::Results), head.sequence);
        self.turn_down(head, refusal)
    }

    /// The server's own words, to a preparation that was ours.
    pub(super) fn say_fault(&mut self, job: &Job, fault: &Fault) -> Result<(), Leaving> {
        if !job.head.is_whole {
            return Err(Leaving::Refused(Refusal::Protocol("an unknown statement".into())));
        }
        self.input.advance(job.head.len);
        if let Work::LongData(id, _) = job.asked.work {
            self.session.statements.sent_long(id, false);
        }
        if job.kind.is_some() {
            let sequence = self.relay.next();
            put_error(&mut self.output, sequence, fault.code, &fault.sqlstate, &fault.message);
        }
        self.relay.begin(None, job.head.sequence);
        (self.relay.failed, self.session.failed) = (true, true);
        self.trace_failure(fault.code);
        Ok(())
    }
}
