//! Which functions a read may call.
//!
//! The tables list built-in functions that have no effect and answer the same on a fresh replica:
//! `functions.txt` those of both engines (`item_create.cc` and the function rules of
//! `sql_yacc.yy`; each name was tried on MariaDB 10.11), the others those that one engine has
//! alone, for there a function of the user's may have the name in the other. A built-in function
//! cannot be replaced. Whatever is not listed may have an effect: the primary runs it.

use foldhash::HashSet;

use super::analysis::Uses;
use crate::sql::Why;

/// Whose dialect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    MySql,
    MariaDb,
}

/// Names, in lower case, that a call may have.
pub(super) struct Functions {
    built_in: HashSet<&'static str>,
    /// Of the user's: `name` or `schema.name`.
    harmless: HashSet<String>,
    harmful: HashSet<String>,
}

/// Built-in functions whose names are keywords only directly in front of the parenthesis; with a
/// space between it is a function of the user's that is called (`symbol[]`, `SYM_FN`, in lex.h).
const NEED_TOUCH: [&str; 33] = [
    "adddate",
    "bit_and",
    "bit_or",
    "bit_xor",
    "cast",
    "count",
    "curdate",
    "curtime",
    "date_add",
    "date_sub",
    "extract",
    "group_concat",
    "json_arrayagg",
    "json_objectagg",
    "max",
    "mid",
    "min",
    "now",
    "position",
    "session_user",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "subdate",
    "substr",
    "substring",
    "sum",
    "sysdate",
    "system_user",
    "trim",
    "var_samp",
    "variance",
];

/// Keywords of both engines that are no functions, and yet may stand before a parenthesis.
const NO_CALLS: [&str; 83] = [
    "against",
    "all",
    "and",
    "any",
    "as",
    "asc",
    "between",
    "bigint",
    "binary",
    "bit",
    "by",
    "case",
    "character",
    "columns",
    "cross",
    "datetime",
    "dec",
    "decimal",
    "desc",
    "distinct",
    "distinctrow",
    "div",
    "double",
    "else",
    "enum",
    "escape",
    "except",
    "fixed",
    "float",
    "for",
    "from",
    "group",
    "having",
    "high_priority",
    "in",
    "index",
    "inner",
    "int",
    "integer",
    "intersect",
    "interval",
    "is",
    "join",
    "key",
    "like",
    "limit",
    "match",
    "mediumint",
    "nchar",
    "not",
    "numeric",
    "nvarchar",
    "of",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "real",
    "recursive",
    "regexp",
    "rlike",
    "row",
    "select",
    "set",
    "smallint",
    "some",
    "sql_big_result",
    "sql_buffer_result",
    "sql_no_cache",
    "sql_small_result",
    "straight_join",
    "then",
    "tinyint",
    "union",
    "unique",
    "using",
    "varbinary",
    "varchar",
    "when",
    "where",
    "xor",
];

/// What one call means for its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) primary: Option<Why>,
    pub(super) uses: Uses,
}

impl Call {
    const HARMLESS: Call = Call { primary: None, uses: Uses::NONE };
    /// Nobody has read it.
    pub(super) const UNKNOWN: Call = Call { primary: Some(Why::Function), uses: Uses::CODE };
}

impl Functions {
    pub(super) fn new(dialect: Dialect, harmless: &[String], harmful: &[String]) -> Functions {
        let own = match dialect {
            Dialect::MySql => include_str!("functions_mysql.txt"),
            Dialect::MariaDb => include_str!("functions_mariadb.txt"),
        };
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Functions {
            built_in: include_str!("functions.txt").lines().chain(own.lines()).collect(),
            harmless: lower(harmless),
            harmful: lower(harmful),
        }
    }

    /// `name(`, without quotes; `touching`: nothing between the two; `bare`: nothing between the
    /// parentheses. The name in lower case.
    pub(super) fn call(&self, name: &str, touching: bool, bare: bool) -> Call {
        if self.harmful.contains(name) {
            return Call { primary: Some(Why::Function), uses: Uses::NONE };
        }
        if let Some(call) = special(name, bare) {
            return call;
        }
        if self.built_in.contains(name) && (touching || !NEED_TOUCH.contains(&name)) {
            return Call::HARMLESS;
        }
        self.of_the_user(None, name)
    }

    /// A keyword in front of a parenthesis that does not make it a call.
    pub(super) fn is_no_call(name: &str) -> bool {
        NO_CALLS.binary_search(&name).is_ok()
    }

    /// A call that is no built-in function's, all in lower case. As for PostgreSQL, a bare name of
    /// the configuration counts in every schema, a qualified harmless one only where it is written
    /// with its schema (nobody here knows the current one), a harmful one without it, too.
    pub(super) fn of_the_user(&self, schema: Option<&str>, name: &str) -> Call {
        let whole = schema.map(|schema| format!("{schema}.{name}"));
        let lists = |names: &HashSet<String>| {
            names.contains(name) || whole.as_ref().is_some_and(|whole| names.contains(whole))
        };
        let behind_a_dot =
            |harmful: &String| harmful.rsplit_once('.').is_some_and(|(_, harmful)| harmful == name);
        let harmful =
            lists(&self.harmful) || (schema.is_none() && self.harmful.iter().any(behind_a_dot));
        if lists(&self.harmless) && !harmful { Call::HARMLESS } else { Call::UNKNOWN }
    }
}

/// Built-in functions with an effect, or whose answer belongs to one server or session.
fn special(name: &str, bare: bool) -> Option<Call> {
    let session = |uses| Call { primary: Some(Why::Session), uses };
    let effect = |uses| Call { primary: Some(Why::Function), uses };
    Some(match name {
        "last_insert_id" if bare => session(Uses::LAST_INSERT_ID),
        "last_insert_id" => effect(Uses::LAST_INSERT_ID | Uses::SETS_LAST_INSERT_ID),
        "found_rows" => session(Uses::FOUND_ROWS),
        "row_count" => session(Uses::ROW_COUNT),
        "connection_id" | "ps_current_thread_id" => session(Uses::CONNECTION_ID),
        "get_lock" => effect(Uses::NAMED_LOCK),
        "release_lock" | "release_all_locks" => effect(Uses::RELEASES_LOCK),
        "is_free_lock" => session(Uses::NONE),
        "is_used_lock" => session(Uses::CONNECTION_ID),
        "lastval" => session(Uses::SEQUENCE),
        "nextval" | "setval" => effect(Uses::NONE),
        "load_file"
        | "benchmark"
        | "binlog_gtid_pos"
        | "master_pos_wait"
        | "source_pos_wait"
        | "master_gtid_wait"
        | "wait_for_executed_gtid_set"
        | "wait_until_sql_thread_after_gtids"
        | "wsrep_last_seen_gtid"
        | "wsrep_last_written_gtid"
        | "wsrep_sync_wait_upto_gtid"
        | "roles_graphml" => session(Uses::NONE),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(dialect: Dialect) -> Functions {
        Functions::new(dialect, &["f".to_string(), "shop.G".to_string()], &["sleep".to_string()])
    }

    #[test]
    fn the_tables_are_sorted_and_hold_nothing_that_has_an_effect() {
        assert!(NO_CALLS.is_sorted() && NEED_TOUCH.is_sorted());
        for dialect in [Dialect::MySql, Dialect::MariaDb] {
            for name in functions(dialect).built_in {
                assert_eq!(special(name, false), None, "{name}");
                assert!(!NO_CALLS.contains(&name) || name == "interval", "{name}");
            }
        }
    }

    #[test]
    fn a_function_of_the_other_engine_may_be_one_of_the_users() {
        assert_eq!(functions(Dialect::MariaDb).call("nvl", true, false), Call::HARMLESS);
        assert_eq!(functions(Dialect::MySql).call("nvl", true, false), Call::UNKNOWN);
        assert_eq!(functions(Dialect::MySql).call("any_value", true, false), Call::HARMLESS);
        assert_eq!(functions(Dialect::MariaDb).call("any_value", true, false), Call::UNKNOWN);
    }

    #[test]
    fn a_space_makes_another_function_of_some() {
        let functions = functions(Dialect::MySql);
        assert_eq!(functions.call("count", true, false), Call::HARMLESS);
        assert_eq!(functions.call("count", false, false), Call::UNKNOWN);
        assert_eq!(functions.call("concat", false, false), Call::HARMLESS);
    }

    #[test]
    fn the_configuration_has_the_last_word_on_functions_of_the_users() {
        let functions = functions(Dialect::MariaDb);
        assert_eq!(functions.call("f", true, true), Call::HARMLESS);
        assert_eq!(functions.of_the_user(Some("shop"), "f"), Call::HARMLESS);
        assert_eq!(functions.of_the_user(Some("shop"), "g"), Call::HARMLESS);
        assert_eq!(functions.of_the_user(Some("other"), "g"), Call::UNKNOWN);
        assert_eq!(functions.call("g", true, true), Call::UNKNOWN);
        assert_eq!(functions.call("sleep", true, false).primary, Some(Why::Function));
    }
}
