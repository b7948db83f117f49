//! What a client's session must look like, and the one query that shows it.

use crate::support::dice::Dice;
use std::collections::BTreeMap;

pub const ROLES: usize = 8;

/// Parameters, what a fresh session has, and a value that tells whose it is.
type Parameter = (&'static str, &'static str, fn(usize, usize) -> String);

const PARAMETERS: &[Parameter] = &[
    ("application_name", "", |client, n| format!("client {client} round {n}")),
    ("my.owner", "", |client, n| format!("client {client} round {n}")),
    ("other.thing", "", |client, _| format!("of client {client}")),
    ("work_mem", "4MB", |client, _| format!("{}kB", 10_001 + 2 * client)),
    ("maintenance_work_mem", "64MB", |client, _| format!("{}kB", 20_001 + 2 * client)),
    ("statement_timeout", "0", |client, _| format!("{}ms", 600_001 + 2 * client)),
    ("lock_timeout", "0", |client, _| format!("{}ms", 700_001 + 2 * client)),
    ("search_path", "\"$user\", public", |client, _| format!("s{client}, public")),
    ("random_page_cost", "4", |client, _| format!("{}", client + 5)),
    ("default_statistics_target", "100", |client, _| format!("{}", client + 101)),
    ("join_collapse_limit", "8", |client, _| format!("{}", client + 9)),
    ("intervalstyle", "postgres", |client, _| ["iso_8601", "sql_standard"][client % 2].into()),
    ("bytea_output", "hex", |_, _| "escape".into()),
    ("extra_float_digits", "1", |client, _| format!("{}", client % 3)),
    ("enable_seqscan", "on", |_, _| "off".into()),
];

/// What the client did that lasts.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// SET SESSION AUTHORIZATION and SET ROLE.
    authorization: Option<String>,
    role: Option<String>,
    settings: BTreeMap<&'static str, String>,
    /// What it keeps on a server connection now: temporary tables, advisory locks, cursors.
    pub kept: [usize; 3],
}

/// A statement, and the state once it has succeeded.
pub struct Change {
    pub sql: String,
    pub after: State,
}

impl State {
    /// A change that lasts; most are a SET.
    pub fn change(&self, client: usize, round: usize, dice: &mut Dice) -> Change {
        let mut after = self.clone();
        let (name, _, value) = PARAMETERS[dice.below(PARAMETERS.len())];
        let sql = match dice.below(16) {
            0 => {
                after.settings.remove(name);
                format!("RESET {name}")
            }
            1 => {
                after.settings.clear();
                // It does not change who one is.
                "RESET ALL".into()
            }
            2 => {
                after = State { kept: self.kept, ..State::default() };
                "SET SESSION AUTHORIZATION DEFAULT; RESET ALL".into()
            }
            3 | 4 if self.authorization.is_none() => {
                let role = format!("r{}", client % ROLES);
                after.role = Some(role.clone());
                format!("SET ROLE {role}")
            }
            5 => {
                after.role = None;
                "RESET ROLE".into()
            }
            6 if self.authorization.is_none() => {
                let role = format!("r{}", client % ROLES);
                (after.authorization, after.role) = (Some(role.clone()), None);
                format!("SET SESSION AUTHORIZATION {role}")
            }
            7 => {
                (after.authorization, after.role) = (None, None);
                "RESET SESSION AUTHORIZATION".into()
            }
            form => {
                let value = value(client, round);
                after.settings.insert(name, value.clone());
                match form % 2 {
                    // A list is one string here.
                    0 => format!("SELECT set_config('{name}', '{value}', false)"),
                    _ if name == "search_path" => format!("SET {name} TO {value}"),
                    _ => format!("SET {name} = '{value}'"),
                }
            }
        };
        Change { sql, after }
    }

    /// A SET LOCAL that is gone at the end of its transaction.
    pub fn passing(&self, client: usize, dice: &mut Dice) -> String {
        let (name, _, value) = PARAMETERS[dice.below(PARAMETERS.len())];
        format!("SELECT set_config('{name}', '{}', true)", value(client, 0))
    }

    /// One row of one column: everything that could be another's.
    pub fn question() -> String {
        let shown: String = PARAMETERS
            .iter()
            .map(|(name, ..)| format!("coalesce(current_setting('{name}', true), ''), "))
            .collect();
        format!(
            "SELECT concat_ws('|', session_user, current_user, {shown}\
             (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema() \
              AND relkind = 'r'), \
             (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
              AND pid = pg_backend_pid()), \
             (SELECT count(*) FROM pg_cursors))"
        )
    }

    /// What the question must be answered with.
    pub fn answer(&self) -> String {
        let postgres = "postgres".to_owned();
        let session = self.authorization.as_ref().unwrap_or(&postgres);
        let current = self.role.as_ref().unwrap_or(session);
        let mut answer = format!("{session}|{current}");
        for (name, otherwise, _) in PARAMETERS {
            answer.push('|');
            answer.push_str(self.settings.get(name).map_or(otherwise, String::as_str));
        }
        for kept in self.kept {
            answer.push_str(&format!("|{kept}"));
        }
        answer
    }
}
