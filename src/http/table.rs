//! Every metric that is rendered from the view: the documentation is made from this table.

use crate::telemetry::Kind::{Counter, Gauge, Histogram};
use crate::telemetry::{Kind, Metric};

const NODE: &[&str] = &["cluster", "node"];
const POOL: &[&str] = &["cluster", "node", "user", "database"];
const DATABASE: &[&str] = &["cluster", "database"];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, help, labels }
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $labels:expr, $help:literal;)*) => {
        $(pub(super) const $constant: Metric = metric($name, $kind, $labels, $help);)*
        /// All of them, in the order of the page. Units end the names.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    INFO = "tidegate_info", Gauge, &["version"],
        "Always 1; its label is the version that runs.";
    UPTIME = "tidegate_uptime_seconds", Gauge, &[],
        "Time since the start.";
    LISTENER_UP = "tidegate_listener_up", Gauge, &["listener", "address"],
        "1 while the listener is open.";
    CERTIFICATE_ENDS = "tidegate_certificate_ends_timestamp_seconds", Gauge, &["listener"],
        "When the certificate that the listener shows ends, in seconds since 1970; absent without TLS.";
    RELOADS = "tidegate_reloads_total", Counter, &["result"],
        "Times that the configuration was read again, by result: done or refused.";
    RELOAD_REFUSED = "tidegate_last_reload_refused", Gauge, &[],
        "1 while the file was refused when it was read last: what is in force is older.";
    CLUSTER_PRIMARY = "tidegate_cluster_has_primary", Gauge, &["cluster"],
        "1 while a node of the cluster takes writes.";
    CLUSTER_PAUSED = "tidegate_cluster_paused", Gauge, &["cluster"],
        "1 between PAUSE and RESUME.";
    CLUSTER_EPOCH = "tidegate_cluster_epoch", Gauge, &["cluster"],
        "Grows with every change of a role.";
    TERM = "tidegate_term", Gauge, &["cluster"],
        "The number of the primary's reign; absent without failover.";
    TERM_ACTIVE = "tidegate_term_active", Gauge, &["cluster"],
        "1 while no change of the primary is under way.";
    LATCHED = "tidegate_failover_latched", Gauge, &["cluster"],
        "1 while no failover happens by itself until an operator says UNLATCH.";
    HEARTBEAT_AGE = "tidegate_heartbeat_age_seconds", Gauge, &["cluster"],
        "Since the last durable write on the primary that was answered.";
    DEPOSED = "tidegate_deposed_nodes", Gauge, &["cluster"],
        "Former primaries that serve nothing until they follow.";
    BACKUPS = "tidegate_backups", Gauge, &["cluster"],
        "Backups that are there.";
    BACKUP_AGE = "tidegate_backup_age_seconds", Gauge, &["cluster"],
        "Since the newest backup was finished; absent without one.";
    BACKUP_STORED = "tidegate_backup_stored_bytes", Gauge, &["cluster"],
        "Bytes of the newest backup in the store; absent without one.";
    BACKUP_READ = "tidegate_backup_read_bytes", Gauge, &["cluster"],
        "Bytes of the newest backup as they were read from its node; absent without one.";
    BACKUP_TIME = "tidegate_backup_duration_seconds", Gauge, &["cluster"],
        "How long the newest backup took; absent without one.";
    BACKUP_RUNNING = "tidegate_backup_running", Gauge, &["cluster"],
        "1 while this proxy takes a backup.";
    BACKUPS_TAKEN = "tidegate_backups_taken_total", Counter, &["cluster"],
        "Backups that this proxy took.";
    BACKUP_FAILURES = "tidegate_backup_failures_total", Counter, &["cluster"],
        "Backups that this proxy should have taken and did not.";
    BACKUP_PROVEN_AGE = "tidegate_backup_proven_age_seconds", Gauge, &["cluster"],
        "Since a backup was last proven by a test restore; absent if none was.";
    BACKUP_RECOVERY = "tidegate_backup_recovery_seconds", Gauge, &["cluster"],
        "How long it took in that test from an empty folder to a server that takes writes.";
    BACKUP_TESTS = "tidegate_backup_tests_total", Counter, &["cluster"],
        "Test restores that this proxy began.";
    BACKUP_TEST_FAILURES = "tidegate_backup_test_failures_total", Counter, &["cluster"],
        "Test restores that failed, or could not begin.";
    BACKUP_LATE = "tidegate_backup_rpo_exceeded", Gauge, &["cluster"],
        "1 while more could be lost than backup.rpo allows.";
    BACKUP_HOOK_FAILURES = "tidegate_backup_hook_failures_total", Counter, &["cluster"],
        "Times that a hook could not be told that something is wrong with backups.";
    ARCHIVE_BEHIND = "tidegate_archive_behind_bytes", Gauge, &["cluster"],
        "Log of the primary that is not archived yet; absent while unknown.";
    ARCHIVE_WAITING = "tidegate_archive_waiting_seconds", Gauge, &["cluster"],
        "How long the oldest log has been waiting to be archived.";
    ARCHIVE_SEGMENTS = "tidegate_archive_segments_total", Counter, &["cluster"],
        "Segments of the log that this proxy archived.";
    ARCHIVE_BYTES = "tidegate_archive_bytes_total", Counter, &["cluster"],
        "Bytes of these in the store.";
    ARCHIVE_HOLES = "tidegate_archive_holes_total", Counter, &["cluster"],
        "Times that log was gone before it was archived: moments behind it need a new backup.";
    ARCHIVE_FAILURES = "tidegate_archive_failures_total", Counter, &["cluster"],
        "Times that the archive had to begin again.";
    NODE_ROLE = "tidegate_node_role", Gauge, &["cluster", "node", "role"],
        "1 for the role that the node has: primary, replica, fenced or unknown.";
    NODE_STALENESS = "tidegate_node_staleness_seconds", Gauge, NODE,
        "How old the node's data may be at most, by the proxy's clock; absent while unknown.";
    NODE_BEHIND = "tidegate_node_behind_bytes", Gauge, NODE,
        "Log between the node and the newest sample of the primary; absent while unknown.";
    NODE_CLAIMED_LAG = "tidegate_node_claimed_lag_seconds", Gauge, NODE,
        "The delay that the server itself claims; never used for routing.";
    NODE_WEIGHT = "tidegate_node_weight", Gauge, NODE,
        "Configured share of reads, relative to the other nodes.";
    NODE_OUTSTANDING = "tidegate_node_outstanding_transactions", Gauge, NODE,
        "Transactions that hold a connection to the node now.";
    NODE_SERVED = "tidegate_node_served_total", Counter, &["cluster", "node", "kind"],
        "Transactions sent to the node, by kind: read or write.";
    POOL_SERVERS = "tidegate_pool_servers", Gauge,
        &["cluster", "node", "user", "database", "state"],
        "Server connections by state: active, idle, used or connecting.";
    POOL_SIZE = "tidegate_pool_size", Gauge, POOL,
        "Server connections that the pool may have.";
    POOL_WAITING = "tidegate_pool_waiting_clients", Gauge, POOL,
        "Clients that wait for a server connection now.";
    POOL_LONGEST_WAIT = "tidegate_pool_longest_wait_seconds", Gauge, POOL,
        "How long the first of the waiting clients has waited.";
    POOL_OPENED = "tidegate_pool_opened_total", Counter, POOL,
        "Server connections opened.";
    POOL_CLOSED = "tidegate_pool_closed_total", Counter, POOL,
        "Server connections closed.";
    CLIENTS = "tidegate_clients", Gauge, &["cluster", "state"],
        "Clients by state: login, idle, active or waiting.";
    CLIENTS_PINNED = "tidegate_clients_pinned", Gauge, &["cluster", "reason"],
        "Clients that keep their server connection between transactions, by the reason.";
    LISTEN_CHANNELS = "tidegate_listen_channels", Gauge, DATABASE,
        "Channels that one connection listens to for all clients of the database.";
    LISTENERS = "tidegate_listeners", Gauge, DATABASE,
        "Clients on those channels, each counted once for each of its channels.";
    TRANSACTIONS = "tidegate_transactions_total", Counter, DATABASE,
        "Transactions of clients.";
    QUERIES = "tidegate_queries_total", Counter, DATABASE,
        "Queries of clients.";
    RECEIVED = "tidegate_received_bytes_total", Counter, DATABASE,
        "Received from clients.";
    SENT = "tidegate_sent_bytes_total", Counter, DATABASE,
        "Sent to clients.";
    ERRORS = "tidegate_errors_total", Counter, &["cluster", "database", "sqlstate"],
        "Errors that clients were told, by SQLSTATE.";
    ROUTED = "tidegate_routed_total", Counter, &["cluster", "database", "because"],
        "Decisions where a statement or transaction goes, by their reason.";
    RETRIES = "tidegate_retries_total", Counter, &["cluster", "database", "reason"],
        "Statements that ran again, unseen by the client, by the reason.";
    OUTCOMES = "tidegate_commits_in_doubt_total", Counter, &["cluster", "database", "outcome"],
        "Commits whose server was lost, by what was found out: committed, rolled_back or unknown.";
    NOTIFICATIONS = "tidegate_notifications_total", Counter, DATABASE,
        "Notifications given to clients that keep no server connection for them.";
    RELISTENED = "tidegate_listen_reconnects_total", Counter, DATABASE,
        "Lost connections that listened for clients: what was notified meanwhile is lost.";
    LOST_POSITIONS = "tidegate_lost_positions_total", Counter, DATABASE,
        "Positions of tidegate.read_after that a promotion left behind.";
    LOGINS = "tidegate_logins_total", Counter, &["cluster", "database", "result"],
        "Logins of clients by result: ok or failed.";
    LOGINS_THROTTLED = "tidegate_logins_throttled_total", Counter, DATABASE,
        "Logins that were delayed or not tried because others failed before.";
    TOOK = "tidegate_query_seconds", Histogram, DATABASE,
        "How long batches of clients took, waiting and unseen retries included.";
    WAIT = "tidegate_pool_wait_seconds", Histogram, DATABASE,
        "How long clients waited for a server connection.";
    SPANS = "tidegate_spans_total", Counter, &["result"],
        "Spans for the collector of traces by result: sent, or dropped for queue_full or refused; absent without tracing.";
}
