//! What a standby, or another connection, would answer differently though the statement is a read.
//!
//! Such statements go to the primary: a monitoring query means the server that writes, and a
//! session's own state lives on its primary connection if it lives anywhere.

/// Views of `pg_catalog` over the state of one server or one session.
const VIEWS: [&str; 22] = [
    "pg_aios",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_backend_memory_contexts",
    "pg_config",
    "pg_cursors",
    "pg_dsm_registry_allocations",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_locks",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_sequences",
    "pg_settings",
    "pg_shmem_allocations",
    "pg_shmem_allocations_numa",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_wait_events",
];

/// Whether a relation shows the state of one server or one session, temporary tables included.
pub(super) fn local_relation(schema: Option<&str>, name: &str) -> bool {
    match schema {
        Some(schema) if temporary_schema(schema) => true,
        None | Some("pg_catalog") => {
            // `pg_stat_*` and `pg_statio_*` count on each server; `pg_stats` and `pg_statistic`
            // are ordinary, replicated data.
            let counts = name.starts_with("pg_stat_") || name.starts_with("pg_statio_");
            counts || VIEWS.contains(&name)
        }
        Some(_) => false,
    }
}

pub(super) fn temporary_schema(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_") || schema.starts_with("pg_toast_temp_")
}

/// Parameters that belong to a server rather than to a session, or that recovery changes.
const PARAMETERS: [&str; 18] = [
    "all",
    "cluster_name",
    "config_file",
    "data_directory",
    "default_transaction_read_only",
    "external_pid_file",
    "hba_file",
    "hot_standby",
    "ident_file",
    "in_hot_standby",
    "listen_addresses",
    "max_connections",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "transaction_read_only",
    "unix_socket_directories",
];

/// Whether SHOW of this parameter (or `current_setting`) may differ on a standby.
pub(super) fn local_parameter(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let families = ["archive_", "log_", "recovery_", "restore_", "wal_", "ssl", "max_standby_"];
    PARAMETERS.contains(&lower.as_str()) || families.iter().any(|start| lower.starts_with(start))
}

/// Parameters of the running transaction only: setting them leaves nothing behind.
pub(super) fn of_the_transaction(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable")
}
