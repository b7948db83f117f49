//! Session parameters (GUCs): what a client set, what a server has, and the way from one to the
//! other.

use crate::sql::{SetValue, is_read_once};
use std::fmt::Write;
use std::sync::Arc;

/// Parameters that differ from the server's own defaults, sorted by their lower-case names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<(Arc<str>, Arc<str>)>);

/// Lists that PostgreSQL quotes itself (GUC_LIST_QUOTE): only `set_config` takes them flat.
const QUOTED_LISTS: &[&str] =
    &["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];

/// Parameters whose replay can fail although the value was accepted once.
const CAN_FAIL: &[&str] = &[
    "role",
    "session_authorization",
    "default_tablespace",
    "temp_tablespaces",
    "default_table_access_method",
    "default_text_search_config",
    "session_replication_role",
];

/// Parameters that decide which tables names mean: for a prepared statement PostgreSQL looks again
/// when they change.
const READ_AGAIN: &[&str] = &["role", "search_path", "session_authorization"];

impl Params {
    /// Appends the parameters that decide what a text means.
    pub fn describe_analysis(&self, out: &mut String) {
        let counts = |name: &str| is_read_once(name) || READ_AGAIN.contains(&name);
        for (name, value) in self.iter().filter(|(name, _)| counts(name)) {
            out.extend(["\0", name, "\0", value]);
        }
    }

    fn read_once(&self) -> impl Iterator<Item = &(Arc<str>, Arc<str>)> {
        self.0.iter().filter(|(name, _)| is_read_once(name))
    }

    /// Those that a statement prepared now is read by for good.
    pub fn reading(&self) -> Params {
        Params(self.read_once().cloned().collect())
    }

    /// Whether a text is read as it was by these.
    pub fn reads_as(&self, reading: &Params) -> bool {
        self.read_once().eq(&reading.0)
    }

    /// These, but a text is read as by those.
    pub fn reading_as(&self, reading: &Params) -> Params {
        let others = self.0.iter().filter(|(name, _)| !is_read_once(name));
        let mut all: Vec<_> = others.chain(&reading.0).cloned().collect();
        all.sort_unstable();
        Params(all)
    }

    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    /// The same, where a server reports a parameter in its words.
    pub fn spelt_as<'a>(&self, reported: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Params {
        let mut spelt = self.clone();
        for (name, value) in reported {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if let Ok(at) = spelt.find(&name) {
                spelt.0[at].1 = String::from_utf8_lossy(value).into();
            }
        }
        spelt
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name))
    }

    /// `name` in lower case.
    pub fn set(&mut self, name: &str, value: Arc<str>) {
        match self.find(name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name.into(), value)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.find(name) {
            self.0.remove(at);
        }
    }

    /// The statements that turn a server with `self` into one with `wanted`; empty when equal.
    /// `session_authorization` comes first and `role` second: what follows may depend on them.
    pub fn replay(&self, wanted: &Params) -> Replay {
        let mut replay = Replay { sql: String::new(), can_fail: false };
        let gone = self.0.iter().filter(|(name, _)| wanted.get(name).is_none());
        for (name, _) in gone {
            replay.push(name, None);
        }
        let changed = |name: &str, value: &Arc<str>| self.get(name) != Some(value);
        let first = |name: &str| name == "session_authorization" || name == "role";
        let authorization = "session_authorization";
        if let Some(value) = wanted.get(authorization).filter(|v| changed(authorization, v)) {
            replay.push(authorization, Some(value));
        }
        // A change of the session's user ends any SET ROLE.
        let ended = self.get(authorization) != wanted.get(authorization);
        if let Some(value) = wanted.get("role").filter(|v| ended || changed("role", v)) {
            replay.push("role", Some(value));
        }
        for (name, value) in wanted.0.iter().filter(|(n, v)| !first(n) && changed(n, v)) {
            replay.push(name, Some(value));
        }
        replay
    }
}

/// Statements to send before a client's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Replay {
    pub sql: String,
    /// One of them may be refused: wait for the answer before going on.
    pub can_fail: bool,
}

impl Replay {
    fn push(&mut self, name: &str, value: Option<&str>) {
        if name.starts_with("tidegate.") {
            return;
        }
        self.can_fail |= CAN_FAIL.contains(&name);
        let sql = &mut self.sql;
        // Writing to a String cannot fail.
        let _ = match value {
            None => write!(sql, "RESET {};", Name(name)),
            Some(value) if QUOTED_LISTS.contains(&name) => {
                write!(sql, "SELECT pg_catalog.set_config('{name}',{},false);", Literal(value))
            }
            Some(value) => write!(sql, "SET {} TO {};", Name(name), Literal(value)),
        };
    }
}

/// A parameter name as SQL: each part quoted.
struct Name<'a>(&'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, part) in self.0.split('.').enumerate() {
            let dot = if i == 0 { "" } else { "." };
            write!(f, "{dot}\"{}\"", part.replace('"', "\"\""))?;
        }
        Ok(())
    }
}

/// A string literal that reads the same whatever `standard_conforming_strings` is.
pub(super) struct Literal<'a>(pub(super) &'a str);

impl std::fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = self.0.replace('\'', "''");
        match quoted.contains('\\') {
            true => write!(f, " E'{}'", quoted.replace('\\', "\\\\")),
            false => write!(f, "'{quoted}'"),
        }
    }
}

/// The parameters of one session, with what a rollback would bring back.
#[derive(Debug, Default)]
pub struct Variables {
    /// What the startup packet asked for: RESET goes back to it.
    startup: Arc<Params>,
    current: Arc<Params>,
    /// The state before the running transaction changed anything.
    before: Option<Arc<Params>>,
    savepoints: Vec<(Box<str>, Arc<Params>)>,
    /// Reset on the server to its own default, although the startup packet gave a value.
    reset: Vec<Arc<str>>,
}

impl Variables {
    pub fn new(startup: Arc<Params>) -> Variables {
        Variables { current: startup.clone(), startup, ..Variables::default() }
    }

    pub fn current(&self) -> &Arc<Params> {
        &self.current
    }

    fn change(&mut self) -> &mut Params {
        if self.before.is_none() {
            self.before = Some(self.current.clone());
        }
        Arc::make_mut(&mut self.current)
    }

    pub fn set(&mut self, name: &str, value: &SetValue) {
        self.forget_role(name);
        match value {
            SetValue::Default => self.reset(name),
            SetValue::Text(text) => {
                self.reset.retain(|n| **n != *name);
                if self.current.get(name) != Some(text) {
                    self.change().set(name, text.clone());
                }
            }
        }
    }

    pub fn reset(&mut self, name: &str) {
        self.forget_role(name);
        match self.startup.get(name).cloned() {
            Some(value) => {
                self.reset.push(name.into());
                self.change().set(name, value);
            }
            None => self.change().remove(name),
        }
    }

    /// SET and RESET SESSION AUTHORIZATION end any SET ROLE.
    fn forget_role(&mut self, name: &str) {
        if name == "session_authorization" && self.current.get("role").is_some() {
            match self.startup.get("role") {
                Some(_) => self.change().set("role", "none".into()),
                None => self.change().remove("role"),
            }
        }
    }

    /// RESET ALL leaves the identity alone; DISCARD ALL does not.
    pub fn reset_all(&mut self, identity_too: bool) {
        let mut next = (*self.startup).clone();
        if !identity_too {
            for name in ["role", "session_authorization"] {
                if let Some(value) = self.current.get(name) {
                    next.set(name, value.clone());
                }
            }
        }
        self.reset = self.startup.0.iter().map(|(name, _)| name.clone()).collect();
        *self.change() = next;
    }

    pub fn savepoint(&mut self, name: &str) {
        self.savepoints.push((name.into(), self.current.clone()));
    }

    pub fn release(&mut self, name: &str) {
        if let Some(at) = self.savepoints.iter().rposition(|(n, _)| **n == *name) {
            self.savepoints.truncate(at);
        }
    }

    pub fn rollback_to(&mut self, name: &str) {
        if let Some(at) = self.savepoints.iter().rposition(|(n, _)| **n == *name) {
            self.savepoints.truncate(at + 1);
            self.current = self.savepoints[at].1.clone();
        }
    }

    pub fn commit(&mut self) {
        self.before = None;
        self.savepoints.clear();
    }

    pub fn rollback(&mut self) {
        if let Some(before) = self.before.take() {
            self.current = before;
        }
        self.savepoints.clear();
        self.reset.clear();
    }

    /// The value of a parameter that the server took back to its own default, while RESET is to
    /// go back to what the startup packet asked for.
    pub fn owed(&self, name: &str) -> Option<&Arc<str>> {
        self.reset.iter().find(|n| ***n == *name)?;
        self.current.get(name)
    }

    /// The statements that give a server such parameters in the middle of a transaction.
    pub fn pay(&mut self) -> String {
        let mut replay = Replay { sql: String::new(), can_fail: false };
        for name in std::mem::take(&mut self.reset) {
            if let Some(value) = self.current.get(&name) {
                replay.push(&name, Some(value));
            }
        }
        replay.sql
    }

    /// What the server has now, as the session lets go of it.
    pub fn leave(&mut self) -> Arc<Params> {
        if self.reset.is_empty() {
            return self.current.clone();
        }
        let mut on_server = (*self.current).clone();
        self.reset.drain(..).for_each(|name| on_server.remove(&name));
        Arc::new(on_server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let mut params = Params::default();
        pairs.iter().for_each(|(n, v)| params.set(n, (*v).into()));
        params
    }

    fn text(value: &str) -> SetValue {
        SetValue::Text(value.into())
    }

    #[test]
    fn equal_parameters_need_no_replay() {
        let a = params(&[("timezone", "UTC"), ("work_mem", "4096")]);
        assert_eq!(a.replay(&a).sql, "");
    }

    #[test]
    fn a_replay_sets_what_differs_and_resets_what_is_gone() {
        let server = params(&[("timezone", "UTC"), ("work_mem", "64")]);
        let wanted = params(&[("my.x", "it's"), ("search_path", "a, \"B\""), ("timezone", "UTC")]);
        assert_eq!(
            server.replay(&wanted).sql,
            "RESET \"work_mem\";SET \"my\".\"x\" TO 'it''s';\
             SELECT pg_catalog.set_config('search_path','a, \"B\"',false);"
        );
    }

    #[test]
    fn the_identity_comes_first_and_can_fail() {
        let wanted = params(&[("datestyle", "ISO"), ("role", "r"), ("session_authorization", "s")]);
        let replay = Params::default().replay(&wanted);
        assert!(replay.can_fail);
        assert_eq!(
            replay.sql,
            "SET \"session_authorization\" TO 's';SET \"role\" TO 'r';SET \"datestyle\" TO 'ISO';"
        );
    }

    #[test]
    fn a_role_ends_with_the_session_authorization_before_it() {
        let server = params(&[("role", "r"), ("session_authorization", "s")]);
        let wanted = params(&[("role", "r"), ("session_authorization", "t")]);
        let sql = "SET \"session_authorization\" TO 't';SET \"role\" TO 'r';";
        assert_eq!(server.replay(&wanted).sql, sql);
        assert!(params(&[("role", "r")]).replay(&server).sql.ends_with("SET \"role\" TO 'r';"));
        let mut v = Variables::default();
        v.set("role", &text("r"));
        v.reset("session_authorization");
        assert!(v.current().is_empty());
    }

    #[test]
    fn a_rollback_brings_back_what_was_set_before_the_transaction() {
        let mut v = Variables::default();
        v.set("work_mem", &text("1"));
        v.commit();
        v.set("work_mem", &text("2"));
        v.savepoint("s");
        v.set("work_mem", &text("3"));
        v.rollback_to("s");
        assert_eq!(v.current().get("work_mem").map(|v| &**v), Some("2"));
        v.rollback();
        assert_eq!(v.current().get("work_mem").map(|v| &**v), Some("1"));
    }

    #[test]
    fn a_reset_goes_back_to_the_startup_value_and_the_server_is_known_to_differ() {
        let mut v = Variables::new(Arc::new(params(&[("datestyle", "German")])));
        v.set("datestyle", &text("ISO"));
        v.reset("datestyle");
        assert_eq!(v.current().get("datestyle").map(|v| &**v), Some("German"));
        assert!(v.leave().is_empty());
    }
}
