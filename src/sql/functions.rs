//! Which functions a read may call.
//!
//! `functions.txt` lists the functions of `pg_catalog` that have no effect and answer the same on
//! a fresh standby. Whatever is not listed may have an effect: the primary runs it.

use std::sync::LazyLock;

use foldhash::{HashSet, HashSetExt};

use super::catalog::Meaning;

/// The immutable and stable functions of PostgreSQL 15, those that 16 to 18 added, and the
/// volatile ones known to be harmless (`random`, `clock_timestamp`, `pg_sleep`, sizes …).
///
/// The first part was made by
///
/// ```sql
/// SELECT DISTINCT proname FROM pg_proc p
/// WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w')
///   AND prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype,
///                          'event_trigger'::regtype, 'index_am_handler'::regtype,
///                          'table_am_handler'::regtype, 'tsm_handler'::regtype,
///                          'fdw_handler'::regtype, 'language_handler'::regtype)
///   AND NOT 'internal'::regtype = ANY (proargtypes) AND NOT 'cstring'::regtype = ANY (proargtypes)
///   AND NOT EXISTS (SELECT FROM pg_proc v WHERE v.proname = p.proname
///                   AND v.pronamespace = p.pronamespace AND v.provolatile = 'v')
/// ```
///
/// minus what is declared stable and yet differs between servers or sessions, assigns a
/// transaction id or runs SQL that it is given: `pg_stat_get_*`, `txid_current*`,
/// `pg_current_xact_id*`, `pg_current_snapshot`, `pg_backend_pid`, `inet_server_*`,
/// `inet_client_*`, `pg_postmaster_start_time`, `pg_conf_load_time`,
/// `pg_listening_channels`, `pg_cursor`, `pg_prepared_statement`, `pg_show_all_settings`,
/// `pg_get_replication_slots`, `pg_walfile_*`, `*_to_xml*`, `ts_stat`, `ts_rewrite` and others.
static BUILTIN: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("functions.txt").lines().collect());

/// Functions of `pg_catalog` that a read may not call, but that leave nothing on their connection.
static WITH_EFFECT: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("functions_with_effect.txt").lines().collect());

/// Functions of `pg_catalog` that run a text they are given.
const RUN_SQL: &[&str] = &["query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema"];

/// What a call of a function means for routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// A read may call it.
    Harmless,
    /// It has an effect, or nobody has shown that it has none.
    Effect,
    /// `currval`, `lastval`: what `nextval` gave on this very connection.
    Sequence,
    /// `pg_backend_pid`
    ProcessId,
    /// `set_config`: its arguments decide.
    SetConfig,
    /// `current_setting`: its argument decides.
    CurrentSetting,
    /// An advisory lock that outlives its transaction.
    SessionLock,
    /// The end of one.
    SessionUnlock,
    /// `pg_notify`
    Notify,
    /// `pg_listening_channels`
    Channels,
    /// The session's prepared statements.
    Statements,
    /// One of the user's, or one that shares its name with one of the user's.
    OfUser(Meaning),
    /// Nothing is known of it: it may do anything, and leave anything on its connection.
    Unknown,
}

/// Functions as a configuration names them: `name` or `schema.name`, as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionNames(pub Vec<String>);

/// What the operator says of functions, and what is known of PostgreSQL's own.
pub(super) struct Functions {
    harmless: HashSet<Box<str>>,
    harmful: HashSet<Box<str>>,
}

impl Functions {
    /// Both lists hold names as the catalogue has them, `name` or `schema.name`. A bare name counts
    /// in every schema. A qualified harmless one counts only where it is written with its schema,
    /// because nothing here knows the search path; a harmful one counts without it, too.
    pub(super) fn new(harmless: &[String], harmful: &[String]) -> Functions {
        let mut shunned = HashSet::new();
        for name in harmful {
            shunned.insert(name.as_str().into());
            if let Some((_, bare)) = name.split_once('.') {
                shunned.insert(bare.into());
            }
        }
        Functions {
            harmless: harmless.iter().map(|n| n.as_str().into()).collect(),
            harmful: shunned,
        }
    }

    pub(super) fn call(&self, schema: Option<&str>, name: &str) -> Call {
        let qualified = schema.map(|schema| format!("{schema}.{name}"));
        let listed = |set: &HashSet<Box<str>>| {
            set.contains(name) || qualified.as_deref().is_some_and(|q| set.contains(q))
        };
        if schema.is_none_or(|schema| schema == "pg_catalog")
            && let Some(special) = special(name)
        {
            return special;
        }
        if listed(&self.harmful) {
            return Call::Unknown;
        }
        let ours = schema.is_none_or(|schema| schema == "pg_catalog");
        match ours {
            true if BUILTIN.contains(name) => Call::Harmless,
            _ if listed(&self.harmless) => Call::Harmless,
            true if matches!(name, "currval" | "lastval") => Call::Sequence,
            true if name == "pg_backend_pid" => Call::ProcessId,
            true if WITH_EFFECT.contains(name) && !RUN_SQL.contains(&name) => Call::Effect,
            _ => Call::Unknown,
        }
    }
}

impl Functions {
    /// The operator calls a function of this name harmful, in whichever schema.
    pub(super) fn shuns(&self, name: &str) -> bool {
        self.harmful.contains(name)
    }

    /// What the operator says of this very function: that it is harmless, that it is not.
    pub(super) fn verdict(&self, schema: &str, name: &str) -> Option<bool> {
        let qualified = format!("{schema}.{name}");
        let listed = |set: &HashSet<Box<str>>| set.contains(name) || set.contains(&*qualified);
        if listed(&self.harmful) {
            return Some(false);
        }
        listed(&self.harmless).then_some(true)
    }
}

/// Functions whose meaning for the session does not depend on any setting of ours.
fn special(name: &str) -> Option<Call> {
    match name {
        "set_config" => Some(Call::SetConfig),
        "current_setting" => Some(Call::CurrentSetting),
        "pg_advisory_lock"
        | "pg_advisory_lock_shared"
        | "pg_try_advisory_lock"
        | "pg_try_advisory_lock_shared" => Some(Call::SessionLock),
        "pg_advisory_unlock" | "pg_advisory_unlock_shared" | "pg_advisory_unlock_all" => {
            Some(Call::SessionUnlock)
        }
        "pg_notify" => Some(Call::Notify),
        "pg_listening_channels" => Some(Call::Channels),
        "pg_prepared_statement" => Some(Call::Statements),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_nothing_twice() {
        let lines: Vec<&str> = include_str!("functions.txt").lines().collect();
        assert!(lines.len() > 1500);
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_has_an_effect_is_not_in_the_table() {
        let functions = Functions::new(&[], &[]);
        for name in include_str!("functions_with_effect.txt").split_whitespace() {
            assert_ne!(functions.call(None, name), Call::Harmless, "{name}");
        }
    }

    #[test]
    fn a_builtin_counts_only_in_pg_catalog() {
        let functions = Functions::new(&[], &[]);
        assert_eq!(functions.call(None, "lower"), Call::Harmless);
        assert_eq!(functions.call(Some("pg_catalog"), "lower"), Call::Harmless);
        assert_eq!(functions.call(Some("public"), "lower"), Call::Unknown);
        assert_eq!(functions.call(None, "no_such_function"), Call::Unknown);
        assert_eq!(functions.call(None, "nextval"), Call::Effect);
        assert_eq!(functions.call(Some("mine"), "nextval"), Call::Unknown);
    }

    #[test]
    fn the_operator_knows_better() {
        let functions = Functions::new(
            &["tax".into(), "shop.price".into()],
            &["shop.count_visit".into(), "random".into()],
        );
        assert_eq!(functions.call(None, "tax"), Call::Harmless);
        assert_eq!(functions.call(Some("any"), "tax"), Call::Harmless);
        assert_eq!(functions.call(Some("shop"), "price"), Call::Harmless);
        assert_eq!(functions.call(None, "price"), Call::Unknown);
        assert_eq!(functions.call(None, "count_visit"), Call::Unknown);
        assert_eq!(functions.call(None, "random"), Call::Unknown);
    }
}
