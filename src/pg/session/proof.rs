//! What only the server knows: whether it still keeps something for a session. After statements
//! that leave this open it is asked, once the transaction is over and before the connection is
//! lent to anybody else. A pin ends with its reason that way, and code of the user's (DO, CALL,
//! functions) leaves nothing behind unnoticed.

use super::owed::{Owed, Queue};
use super::{Backend, Session, Tx};
use crate::pg::params::Literal;
use crate::sql::{Pin, SetValue, Step};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is to be asked; the greater one asks more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Whether what pins the session is still there.
    Pin,
    /// That, and which parameters are set.
    Everything,
}

/// Whether there is what pins a session, in the order of `REASONS`: one row. Objects of a
/// temporary schema depend on it; at the end of a transaction the advisory locks and cursors that
/// are left belong to the session, and what PostgreSQL lists as
/// `transaction_…` belongs to nobody.
const KEPT: [&str; 5] = [
    "EXISTS (SELECT FROM pg_catalog.pg_depend \
     WHERE refclassid OPERATOR(pg_catalog.=) 2615 \
     AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())",
    "EXISTS (SELECT FROM pg_catalog.pg_locks \
     WHERE locktype OPERATOR(pg_catalog.=) 'advisory' \
     AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())",
    "EXISTS (SELECT FROM pg_catalog.pg_cursors)",
    "EXISTS (SELECT FROM pg_catalog.pg_listening_channels())",
    "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)",
];

/// Which parameters are set.
const SET: &str = "\
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements \
     WHERE NOT from_sql), \
    (SELECT pg_catalog.json_object_agg(pg_catalog.lower(name), setting) \
     FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session' \
     AND NOT pg_catalog.starts_with(name, 'transaction_')), \
    pg_catalog.current_setting('role')";

/// What may be left on a server connection that is not to be found by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Residue {
    /// Channels that the session listened to here and hears of elsewhere.
    Subscriptions,
    /// Parameters that PostgreSQL does not list: those with a dot in their names.
    Parameters,
    /// That, and prepared statements that are not those we know of.
    Statements,
}

impl Residue {
    /// What removes it.
    pub fn remedy(self) -> &'static str {
        match self {
            Residue::Subscriptions => "UNLISTEN *",
            Residue::Parameters => {
                "UNLISTEN *; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL"
            }
            Residue::Statements => "DISCARD ALL",
        }
    }
}

/// Reasons in the order of the question's columns.
const REASONS: [Pin; 5] =
    [Pin::TemporaryObject, Pin::AdvisoryLock, Pin::HoldCursor, Pin::Listen, Pin::SqlPrepare];

fn is_asked_for(pin: Pin) -> bool {
    REASONS.contains(&pin) || pin == Pin::Unproven
}

impl Session {
    pub(super) fn doubts(&mut self, doubt: Doubt) {
        // Nothing is in doubt about a pin that is not there, or that nothing but the end lifts.
        let moot = match self.pin {
            None => doubt == Doubt::Pin,
            Some(pin) => !is_asked_for(pin),
        };
        if !moot {
            self.doubt = self.doubt.max(Some(doubt));
        }
    }

    /// An advisory lock outlives the statement that took it and failed then; so may others.
    pub(super) fn doubt_what_failed(&mut self, owed: &mut Queue) {
        let analysis = match owed.head() {
            Some(Owed::Query { analysis, .. }) => analysis,
            Some(Owed::Execute { effect: Some(effect), .. }) => effect,
            Some(Owed::Function) => return self.doubts(Doubt::Everything),
            _ => return,
        };
        let lasting = |step: &Step| matches!(step, Step::Hidden | Step::Pin(Pin::AdvisoryLock));
        if analysis.steps.iter().any(lasting) {
            self.doubts(Doubt::Everything);
        }
    }

    /// What is to be asked now; asking settles it.
    pub fn take_doubt(&mut self) -> Option<Doubt> {
        match self.tx {
            Tx::Idle => self.doubt.take(),
            Tx::Open | Tx::Failed => None,
        }
    }

    /// The question of the server.
    pub fn question(&self, doubt: Doubt) -> String {
        let mut kept = KEPT.map(Cow::Borrowed);
        if let Some(hears) = &self.hears {
            // These may be listened to here as well, and are no reason to stay.
            let served: Vec<_> = hears.served().map(|name| Literal(name).to_string()).collect();
            kept[3] = Cow::Owned(format!(
                "EXISTS (SELECT FROM pg_catalog.pg_listening_channels() AS c (name) \
                 WHERE name OPERATOR(pg_catalog.<>) ALL (ARRAY[{}]::pg_catalog.text[]))",
                served.join(",")
            ));
        }
        match doubt {
            Doubt::Pin => format!("SELECT {}", kept.join(", ")),
            Doubt::Everything => format!("SELECT {}, {SET}", kept.join(", ")),
        }
    }

    /// The server's answer to the question.
    pub fn settle(&mut self, answer: &[Option<String>], backend: &Backend) {
        let (kept, rest) = answer.split_at(REASONS.len().min(answer.len()));
        let is_kept = |(_, kept): &(&Pin, &Option<String>)| kept.as_deref() == Some("t");
        self.pin = REASONS.iter().zip(kept).find(is_kept).map(|(pin, _)| *pin);
        let [prepared, settings, role] = rest else { return };
        let settings = settings.as_deref().and_then(|json| serde_json::from_str(json).ok());
        self.adopt(settings.unwrap_or_default());
        match role.as_deref() {
            Some("none") | None => self.variables.reset("role"),
            Some(role) => self.variables.set("role", &SetValue::Text(role.into())),
        }
        self.variables.commit();
        let known = prepared.as_deref() == Some(&*backend.prepared.len().to_string());
        let residue = if known { Residue::Parameters } else { Residue::Statements };
        self.residue = self.residue.max(Some(residue));
    }

    /// There was no answer. The connection stays with the session until there is one.
    pub fn still_doubts(&mut self, doubt: Doubt) {
        self.pin = self.pin.or(Some(Pin::Unproven));
        self.doubt = self.doubt.max(Some(doubt));
    }

    /// Parameters as the server has them, whoever set them.
    fn adopt(&mut self, settings: BTreeMap<String, String>) {
        let listed =
            |name: &str| !name.contains('.') && name != "role" && name != "session_authorization";
        let current = self.variables.current().clone();
        for (name, _) in current.iter().filter(|(name, _)| listed(name)) {
            if !settings.contains_key(name) {
                self.variables.reset(name);
            }
        }
        for (name, value) in settings {
            self.variables.set(&name, &SetValue::Text(value.into()));
        }
    }
}
