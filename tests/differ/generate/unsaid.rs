//! What is known to be answered otherwise (`known/`) and cannot be told by a statement alone.

use crate::script::{Message, Script};
use crate::stage::CLIENTS;

const ISOLATION: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/// What a client has said so far.
#[derive(Clone, Copy, Default)]
struct Said {
    /// A Parse under a name in what may still be this transaction.
    parsed: bool,
    /// A Bind of the unnamed portal since the last Sync.
    bound: bool,
}

pub fn leave_out(script: &mut Script) {
    let mut said = [Said::default(); CLIENTS];
    for step in &mut script.steps {
        for message in &mut step.messages {
            said[step.client].isolation_behind_a_parse(message);
            said[step.client].unnamed_portal_that_may_have_failed(message);
        }
    }
}

impl Said {
    /// `known/isolation_level_after_a_parse.txt`. A transaction counts as over after a query that
    /// ends it for certain.
    fn isolation_behind_a_parse(&mut self, message: &mut Message) {
        let (Message::Parse { sql, .. } | Message::Query(sql)) = message else { return };
        if self.parsed {
            *sql = sql.replace(ISOLATION, "SET TRANSACTION READ ONLY");
        }
        match message {
            Message::Parse { name, .. } => self.parsed |= !name.is_empty(),
            Message::Query(sql) => {
                self.parsed &= !matches!(&sql[..], "COMMIT" | "END" | "ROLLBACK" | "ABORT");
            }
            _ => {}
        }
    }

    /// `known/execute_of_a_failed_unnamed_portal.txt`: which it cannot be right behind its Bind.
    fn unnamed_portal_that_may_have_failed(&mut self, message: &mut Message) {
        match message {
            Message::Bind { portal, .. } if portal.is_empty() => self.bound = true,
            Message::Sync | Message::Query(_) => self.bound = false,
            Message::Execute { portal, .. } if portal.is_empty() && !self.bound => {
                *portal = "gone".into();
            }
            _ => {}
        }
    }
}
