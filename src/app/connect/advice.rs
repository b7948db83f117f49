//! What `tidegate doctor` recommends: how servers and this machine are set against what the
//! configuration asks of them. Pure: the answers come in, findings go out.

use super::Finding;
use crate::config::Cluster;
use crate::failover::{Guarantee, Mode};
use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of a PostgreSQL server that matter here.
pub(super) const ASKED: &[&str] = &[
    "fsync",
    "full_page_writes",
    "hot_standby_feedback",
    "max_connections",
    "max_slot_wal_keep_size",
    "max_standby_streaming_delay",
    "superuser_reserved_connections",
    "synchronous_commit",
    "wal_level",
    "wal_log_hints",
    "data_checksums",
];

/// A server's settings by name, in their base units.
pub(super) type Answers = BTreeMap<String, String>;

fn finding(says: String, hint: &str) -> Finding {
    Finding { says, hint: Some(hint.to_owned()) }
}

/// What to change on one node of this cluster.
pub(super) fn of_postgres(cluster: &Cluster, primary: bool, asked: &Answers) -> Vec<Finding> {
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|set| set == value);
    let number = |name: &str| asked.get(name).and_then(|set| set.parse::<i64>().ok());
    let mut found = Vec::new();
    for name in ["fsync", "full_page_writes"] {
        if is(name, "off") {
            found.push(finding(
                format!("{name} is off: a crash of the machine may lose or corrupt data"),
                &alter(name, "on"),
            ));
        }
    }
    found.extend(room(cluster, &number));
    if !primary {
        found.extend(of_standby(cluster, &is, &number));
    }
    if cluster.failover.mode != Mode::Off {
        if is("wal_log_hints", "off") && is("data_checksums", "off") {
            found.push(finding(
                "pg_rewind cannot bring this server back as a replica after a failover: \
                 wal_log_hints and checksums are both off"
                    .into(),
                "ALTER SYSTEM SET wal_log_hints = on; then restart the server",
            ));
        }
        if cluster.failover.guarantee == Guarantee::Strict && is("synchronous_commit", "local") {
            found.push(finding(
                "synchronous_commit = local acknowledges commits that no standby has, which \
                 failover.guarantee = \"strict\" promises not to lose"
                    .into(),
                &alter("synchronous_commit", "on"),
            ));
        }
    }
    if number("max_slot_wal_keep_size") == Some(-1) {
        found.push(finding(
            "max_slot_wal_keep_size is unlimited: a replication slot that nobody reads fills the \
             disk"
                .into(),
            &alter("max_slot_wal_keep_size", "'64GB'"),
        ));
    }
    found
}

fn alter(name: &str, value: &str) -> String {
    format!("ALTER SYSTEM SET {name} = {value}; SELECT pg_reload_conf();")
}

/// Whether the server takes as many connections as the pools may open.
fn room(cluster: &Cluster, number: &impl Fn(&str) -> Option<i64>) -> Option<Finding> {
    let most = number("max_connections")?;
    let free = most - number("superuser_reserved_connections").unwrap_or(3);
    let pool = &cluster.pool;
    let (key, wanted) = match pool.max_per_node {
        0 => ("pool.size, for each user and database,", pool.size),
        most => ("pool.max_per_node", most),
    };
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    let unlimited = pool.max_per_node == 0 && wanted * 2 > free;
    (wanted > free || unlimited).then(|| {
        finding(
            format!("{key} is {wanted}, and the server takes {free} connections of users"),
            &format!("set pool.max_per_node = {}, or raise max_connections", free * 4 / 5),
        )
    })
}

fn of_standby(
    cluster: &Cluster,
    is: &impl Fn(&str, &str) -> bool,
    number: &impl Fn(&str) -> Option<i64>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if is("hot_standby_feedback", "off") {
        found.push(finding(
            "hot_standby_feedback is off: VACUUM on the primary cancels long reads here (they \
             run again elsewhere, unseen, if nothing of their answer was sent)"
                .into(),
            &alter("hot_standby_feedback", "on"),
        ));
    }
    let bound = cluster.route.max_staleness;
    // Milliseconds; -1: for ever.
    let delay = number("max_standby_streaming_delay").unwrap_or(0);
    let waits = u64::try_from(delay).map_or(Duration::MAX, Duration::from_millis);
    if waits > bound.saturating_mul(10) {
        let waits = if delay < 0 { "for ever".to_owned() } else { format!("for {waits:?}") };
        found.push(finding(
            format!(
                "one long read may hold up replay {waits} (max_standby_streaming_delay), while \
                 route.max_staleness is {bound:?}: all other reads leave this replica meanwhile"
            ),
            &alter("max_standby_streaming_delay", "'5s'"),
        ));
    }
    found
}

/// What to change on the machine of the proxy, which may open so many files.
pub(super) fn of_machine<'a>(
    clusters: impl Iterator<Item = &'a Cluster>,
    files: Option<u64>,
) -> Option<Finding> {
    /// For listeners, the monitor, logs.
    const REST: u64 = 100;
    let needs = |cluster: &Cluster| {
        let per_node = match cluster.pool.max_per_node {
            0 => cluster.pool.size,
            most => most,
        };
        (cluster.pool.max_clients + per_node * cluster.nodes.len()) as u64
    };
    let (needed, files) = (clusters.map(needs).sum::<u64>() + REST, files?);
    (files < needed).then(|| {
        finding(
            format!("this machine lets a process open {files} files; {needed} may be needed"),
            &format!("systemd: LimitNOFILE={needed}; a shell: ulimit -n {needed}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn cluster(more: &str) -> Cluster {
        let text = format!(
            "[clusters.a]\nnodes = [{{ name = \"a\", address = \"db:1\" }}, \
             {{ name = \"b\", address = \"db:2\" }}]\nmonitor.user = \"t\"\nauth.method = \"trust\"\n{more}"
        );
        let config = config::parse(&text, "test.toml").expect("a configuration");
        config.settings.clusters["a"].clone()
    }

    fn server(changed: &[(&str, &str)]) -> Answers {
        let good = [
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("hot_standby_feedback", "on"),
            ("max_connections", "100"),
            ("max_slot_wal_keep_size", "65536"),
            ("max_standby_streaming_delay", "5000"),
            ("superuser_reserved_connections", "3"),
            ("synchronous_commit", "on"),
            ("wal_log_hints", "on"),
            ("data_checksums", "off"),
        ];
        let all = good.iter().chain(changed);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_server_that_is_set_well_needs_nothing() {
        let failover = cluster("failover.mode = \"automatic\"");
        assert_eq!(of_postgres(&failover, false, &server(&[])), []);
    }

    #[test]
    fn each_setting_that_hurts_is_named_with_what_mends_it() {
        for (name, value, hint) in [
            ("fsync", "off", "SET fsync = on"),
            ("hot_standby_feedback", "off", "SET hot_standby_feedback = on"),
            ("max_standby_streaming_delay", "-1", "SET max_standby_streaming_delay = '5s'"),
            ("max_connections", "30", "pool.max_per_node = 21"),
            ("max_slot_wal_keep_size", "-1", "SET max_slot_wal_keep_size"),
            ("wal_log_hints", "off", "SET wal_log_hints = on"),
            ("synchronous_commit", "local", "SET synchronous_commit = on"),
        ] {
            let failover = cluster("failover.mode = \"automatic\"");
            let found = of_postgres(&failover, false, &server(&[(name, value)]));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].hint.as_ref().is_some_and(|h| h.contains(hint)), "{found:?}");
        }
        let off = of_postgres(&cluster(""), true, &server(&[("wal_log_hints", "off")]));
        assert_eq!(off, [], "without failover, and on a primary");
    }

    #[test]
    fn the_machine_must_let_the_proxy_open_what_it_may_need() {
        let cluster = cluster("pool.max_clients = 1000\npool.max_per_node = 25");
        assert_eq!(of_machine([&cluster].into_iter(), Some(1150)), None);
        assert_eq!(of_machine([&cluster].into_iter(), None), None);
        let found = of_machine([&cluster].into_iter(), Some(1024)).expect("too few");
        assert_eq!(
            found.hint.as_deref(),
            Some("systemd: LimitNOFILE=1150; a shell: ulimit -n 1150")
        );
    }
}
