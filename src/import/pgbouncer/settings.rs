//! What becomes of PgBouncer's settings in `[pgbouncer]`.
//!
//! Source: <https://www.pgbouncer.org/config.html> (1.25).

use crate::import::verdicts::To::{self, Known, No, Number, Time};

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
const YEAR: u64 = 365 * DAY;

const CLEAN: &str =
    "a server connection is given back clean by what the session did, not by a query.";
const NOTHING: &str = "";
const LOGS: &str = "clients and server connections are counted and shown (SHOW CLIENTS, SHOW SERVERS, \
     /metrics), not logged one by one.";
const LINUX: &str = "sockets have the settings that suit a proxy, and keepalive is on.";
const DNS: &str = "a name is looked up by the system for each new server connection.";
const CIPHERS: &str = "TLS 1.2 and 1.3 with strong ciphers only; there is nothing to choose.";

/// Those of a pool: each cluster gets them.
pub(super) const POOL: &[(&str, To)] = &[
    ("default_pool_size", Number("size", 1, 10_000)),
    ("min_pool_size", Number("min_idle", 0, 10_000)),
    ("max_client_conn", Number("max_clients", 1, 1_000_000)),
    ("max_user_client_connections", Number("max_clients_per_user", 0, 1_000_000)),
    ("max_db_client_connections", Number("max_clients_per_database", 0, 1_000_000)),
    ("query_wait_timeout", Time("query_wait", SECOND, (1, DAY))),
    ("server_lifetime", Time("max_lifetime", SECOND, (SECOND, YEAR))),
    ("server_idle_timeout", Time("idle_timeout", SECOND, (SECOND, YEAR))),
    ("server_connect_timeout", Time("connect_timeout", SECOND, (10, 3_600 * SECOND))),
    ("server_check_delay", Time("check_after", SECOND, (0, DAY))),
];

/// All others.
pub(super) const OTHERS: &[(&str, To)] = &[
    // Read by other code.
    ("listen_addr", Known),
    ("listen_port", Known),
    ("pool_mode", Known),
    ("max_prepared_statements", Known),
    ("auth_type", Known),
    ("auth_file", Known),
    ("auth_query", Known),
    ("auth_user", Known),
    ("auth_dbname", Known),
    ("admin_users", Known),
    ("stats_users", Known),
    ("so_reuseport", Known),
    ("client_tls_sslmode", Known),
    ("client_tls_ca_file", Known),
    ("client_tls_cert_file", Known),
    ("client_tls_key_file", Known),
    ("server_tls_sslmode", Known),
    ("server_tls_ca_file", Known),
    ("server_tls_cert_file", Known),
    ("server_tls_key_file", Known),
    // Carried over into [listen].
    ("listen_backlog", Number("backlog", 1, 65_535)),
    ("client_login_timeout", Time("login_timeout", SECOND, (100, 3_600 * SECOND))),
    // Without a meaning here.
    ("logfile", No("logs go to standard error, where systemd and containers take them.", NOTHING)),
    ("pidfile", No("there is no such file.", "Let systemd run it: config/tidegate.service.")),
    (
        "user",
        No(
            "systemd starts it as its own user (config/tidegate.service).",
            "Started by root, user = \"NAME\" gives the privileges up once the ports are open.",
        ),
    ),
    ("syslog", No("logs go to standard error.", "journald or the container's engine has them.")),
    ("syslog_facility", No("logs go to standard error.", NOTHING)),
    ("syslog_ident", No("logs go to standard error.", NOTHING)),
    ("verbose", No("log.level = \"debug\" says more.", NOTHING)),
    (
        "unix_socket_dir",
        No("there are no Unix sockets here.", "Let local applications connect to listen.postgres."),
    ),
    ("unix_socket_mode", No("there are no Unix sockets here.", NOTHING)),
    ("unix_socket_group", No("there are no Unix sockets here.", NOTHING)),
    ("auth_hba_file", Known),
    (
        "auth_ident_file",
        No(
            "names are not mapped.",
            "auth.users.NAME.server_user gives a user another name on the servers.",
        ),
    ),
    (
        "auth_pam_confdir",
        No("there is no PAM here.", "Use \"scram\": auth.users or auth.auth_query."),
    ),
    (
        "auth_ldap_options",
        No("there is no LDAP here.", "Use \"scram\": auth.users or auth.auth_query."),
    ),
    ("scram_iterations", No("verifiers are taken as they are.", NOTHING)),
    ("server_reset_query", No(CLEAN, NOTHING)),
    ("server_reset_query_always", No(CLEAN, NOTHING)),
    (
        "server_check_query",
        No("whether a server lives is asked in the protocol's own way.", NOTHING),
    ),
    ("server_fast_close", No("RECONNECT replaces connections as they become free.", NOTHING)),
    ("server_round_robin", No("the connection that was used last is used next.", NOTHING)),
    (
        "server_login_retry",
        No("a server that refuses is tried again with growing pauses.", NOTHING),
    ),
    (
        "server_login_query",
        No("there is no such query.", "ALTER ROLE … SET does it on the servers."),
    ),
    ("track_extra_parameters", No("all parameters that a session sets are its own.", NOTHING)),
    (
        "ignore_startup_parameters",
        No("startup parameters are taken as PostgreSQL takes them.", NOTHING),
    ),
    ("reserve_pool_size", No("there is no reserve.", "Raise pool.size by it.")),
    ("reserve_pool_timeout", No("there is no reserve.", NOTHING)),
    (
        "max_db_connections",
        No(
            "connections are limited for each node, not for each database.",
            "pool.max_per_node does it.",
        ),
    ),
    (
        "max_user_connections",
        No(
            "connections are limited for each pool (a node, user and database) and each node.",
            "pool.size and pool.max_per_node do it.",
        ),
    ),
    ("min_pool_user", No("pool.min_idle counts for each pool.", NOTHING)),
    (
        "query_timeout",
        No(
            "a statement may take as long as it takes.",
            "SET statement_timeout, or ALTER ROLE … SET statement_timeout.",
        ),
    ),
    (
        "idle_transaction_timeout",
        No("PostgreSQL has it.", "ALTER ROLE … SET idle_in_transaction_session_timeout."),
    ),
    ("transaction_timeout", No("PostgreSQL 17 has it.", "ALTER ROLE … SET transaction_timeout.")),
    (
        "client_idle_timeout",
        No("an idle client may stay: it costs little and holds no server.", NOTHING),
    ),
    (
        "cancel_wait_timeout",
        No("a cancel request is sent at once, over a connection of its own.", NOTHING),
    ),
    ("suspend_timeout", No("there is no SUSPEND.", NOTHING)),
    (
        "query_wait_notify",
        No("a client that waits is not told of it; SHOW CLIENTS shows it.", NOTHING),
    ),
    ("login_notify_message", No("there is no such message.", NOTHING)),
    ("pool_idle_timeout", No("a pool that nobody uses holds nothing.", NOTHING)),
    ("autodb_idle_timeout", No("databases need not be listed and cost nothing.", NOTHING)),
    (
        "application_name_add_host",
        No(
            "the application's name stays as it is.",
            "SHOW SERVERS has the client of each connection.",
        ),
    ),
    ("stats_period", No("rates are of the last minute.", NOTHING)),
    ("log_connections", No(LOGS, NOTHING)),
    ("log_disconnections", No(LOGS, NOTHING)),
    (
        "log_pooler_errors",
        No("errors that clients are told are counted: SHOW ERRORS, /metrics.", NOTHING),
    ),
    ("log_stats", No("SHOW STATS, /metrics and the dashboard have them.", NOTHING)),
    (
        "peer_id",
        No(
            "a cancel request reaches the process that it is for only by its own port.",
            "With several processes behind one port let the balancer keep a client's address at one of them.",
        ),
    ),
    ("pkt_buf", No("buffers are shared, and need no size.", NOTHING)),
    ("sbuf_loopcnt", No("there is no such loop.", NOTHING)),
    ("max_packet_size", No("a packet is passed on in pieces, however large.", NOTHING)),
    ("tcp_defer_accept", No(LINUX, NOTHING)),
    ("tcp_socket_buffer", No(LINUX, NOTHING)),
    ("tcp_keepalive", No(LINUX, NOTHING)),
    ("tcp_keepcnt", No(LINUX, NOTHING)),
    ("tcp_keepidle", No(LINUX, NOTHING)),
    ("tcp_keepintvl", No(LINUX, NOTHING)),
    ("tcp_user_timeout", No(LINUX, NOTHING)),
    ("dns_max_ttl", No(DNS, NOTHING)),
    ("dns_zone_check_period", No(DNS, NOTHING)),
    ("dns_nxdomain_ttl", No(DNS, NOTHING)),
    ("resolv_conf", No(DNS, NOTHING)),
    ("client_tls_ciphers", No(CIPHERS, NOTHING)),
    ("client_tls13_ciphers", No(CIPHERS, NOTHING)),
    ("client_tls_protocols", No(CIPHERS, NOTHING)),
    ("client_tls_dheparams", No(CIPHERS, NOTHING)),
    ("client_tls_ecdhcurve", No(CIPHERS, NOTHING)),
    ("server_tls_ciphers", No(CIPHERS, NOTHING)),
    ("server_tls13_ciphers", No(CIPHERS, NOTHING)),
    ("server_tls_protocols", No(CIPHERS, NOTHING)),
    ("disable_pqexec", No("statements are routed, not forbidden.", NOTHING)),
    ("service_name", No("there is no such name.", NOTHING)),
    ("job_name", No("there is no such name.", NOTHING)),
    ("conffile", No("RELOAD reads the file that the process was started with.", NOTHING)),
    (
        "%include",
        No("that file was not read.", "Put its text in place of the line, and import again."),
    ),
];
