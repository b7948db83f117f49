//! What a replica, or another connection, would answer differently though the statement is a
//! read. Such statements go to the primary: who asks for a server's state means the one that
//! writes, and a session's own state lives on its primary connection if it lives anywhere.

/// Tables of `information_schema` over the state of one server or one session, besides those
/// whose names start with `innodb_`, `thread_pool_` or `wsrep_`.
const TABLES: [&str; 28] = [
    "all_plugins",
    "applicable_roles",
    "client_statistics",
    "disks",
    "enabled_roles",
    "engines",
    "feedback",
    "files",
    "global_status",
    "global_variables",
    "index_statistics",
    "key_caches",
    "locales",
    "metadata_lock_info",
    "optimizer_trace",
    "plugins",
    "processlist",
    "profiling",
    "query_cache_info",
    "query_response_time",
    "session_status",
    "session_variables",
    "slave_status",
    "system_variables",
    "table_statistics",
    "tablespaces",
    "user_statistics",
    "user_variables",
];

/// Whether a table of this name, in lower case, may be such a one. The current schema is not
/// known here, so that every name of a statement is looked at.
pub(super) fn local_table(name: &str) -> bool {
    TABLES.binary_search(&name).is_ok()
        || ["innodb_", "thread_pool_", "wsrep_"].iter().any(|start| name.starts_with(start))
}

/// Schemas over the state of one server. Of `mysql`, much is replicated and some is not.
pub(super) fn local_schema(name: &str) -> bool {
    matches!(name, "performance_schema" | "sys" | "mysql")
}

/// Session variables that are the same wherever a session is served, because they are replayed
/// there, and one that a release decides.
const VARIABLES: [&str; 25] = [
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "completion_type",
    "default_week_format",
    "div_precision_increment",
    "foreign_key_checks",
    "group_concat_max_len",
    "interactive_timeout",
    "lc_messages",
    "lc_time_names",
    "max_allowed_packet",
    "max_execution_time",
    "max_sort_length",
    "max_statement_time",
    "sql_auto_is_null",
    "sql_mode",
    "sql_safe_updates",
    "sql_select_limit",
    "time_zone",
    "unique_checks",
    "version_comment",
    "wait_timeout",
];

/// Whether `@@name`, in lower case, is answered alike by every server of a session.
pub(super) fn variable_is_everywhere(name: &str) -> bool {
    VARIABLES.binary_search(&name).is_ok()
}

/// What SHOW shows of the replicated catalog; everything else is of one server or session.
pub(super) fn shows_catalog(word: &str) -> bool {
    matches!(
        word,
        "databases"
            | "schemas"
            | "tables"
            | "columns"
            | "fields"
            | "index"
            | "indexes"
            | "keys"
            | "create"
            | "table"
            | "triggers"
            | "events"
            | "procedure"
            | "function"
            | "collation"
            | "character"
            | "charset"
            | "grants"
            | "privileges"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(TABLES.is_sorted() && VARIABLES.is_sorted());
    }

    #[test]
    fn the_state_of_a_server_is_told_from_the_catalog() {
        assert!(local_table("processlist") && local_table("innodb_trx"));
        assert!(!local_table("tables") && !local_table("columns"));
        assert!(!variable_is_everywhere("hostname") && !variable_is_everywhere("read_only"));
        assert!(!variable_is_everywhere("server_id") && variable_is_everywhere("sql_mode"));
    }
}
