//! SHOW STATS: counters since the start.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Row, micros};
use crate::view::{Proxy, Stats};
use std::collections::BTreeMap;

pub(super) const SHOW: Show = Show {
    name: "STATS",
    help: "counters since the start; times in microseconds",
    columns: &[
        Text("database"),
        Text("cluster"),
        Int("total_xact_count"),
        Int("total_query_count"),
        Int("total_received"),
        Int("total_sent"),
        Int("total_wait_count"),
        Int("total_wait_time"),
        Int("total_errors"),
        Int("total_retries"),
        Int("logins_ok"),
        Int("logins_failed"),
        Int("logins_throttled"),
        Text("errors"),
        Text("routed"),
        Text("retries"),
    ],
    rows: |view: &Proxy| view.stats.iter().map(row).collect(),
};

fn row(stats: &Stats) -> Row {
    vec![
        (&stats.database).into(),
        (&stats.cluster).into(),
        stats.transactions.into(),
        stats.queries.into(),
        stats.bytes_received.into(),
        stats.bytes_sent.into(),
        stats.wait.count().into(),
        micros(stats.wait.sum()).into(),
        stats.errors.values().sum::<u64>().into(),
        stats.retries.values().sum::<u64>().into(),
        stats.logins_ok.into(),
        stats.logins_failed.into(),
        stats.logins_throttled.into(),
        counts(&stats.errors).into(),
        counts(&stats.routed).into(),
        counts(&stats.retries).into(),
    ]
}

/// `fresh_replica=12 write=3`
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let seen = counts.iter().filter(|(_, count)| **count > 0);
    seen.map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
}
