//! SHOW STATS and its kin: counters since the start, and averages of the last minute.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::{Cell, Row, micros};
use crate::view::{ClusterSample, Proxy, Stats};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const STATS: Show = Show {
    name: "STATS",
    help: "counters since the start and averages of the last minute; times in microseconds",
    columns: &[
        Text("database"),
        Text("cluster"),
        Int("total_xact_count"),
        Int("total_query_count"),
        // PgBouncer's name for it before 1.8, which Debian's exporter reads.
        Int("total_requests"),
        Int("total_received"),
        Int("total_sent"),
        Int("total_query_time"),
        Int("total_wait_count"),
        Int("total_wait_time"),
        Int("total_errors"),
        Int("total_retries"),
        Int("avg_xact_count"),
        Int("avg_query_count"),
        Int("avg_recv"),
        Int("avg_sent"),
        Int("avg_query_time"),
        Int("avg_wait_time"),
        Int("logins_ok"),
        Int("logins_failed"),
        Int("logins_throttled"),
        Text("errors"),
        Text("routed"),
        Text("retries"),
    ],
    rows: |view| view.stats.iter().map(|stats| all(view, stats)).collect(),
};

pub(super) const TOTALS: Show = Show {
    name: "STATS_TOTALS",
    help: "counters since the start; times in microseconds",
    columns: KINDS,
    rows: |view| view.stats.iter().map(|stats| named(stats, totals(stats))).collect(),
};

pub(super) const AVERAGES: Show = Show {
    name: "STATS_AVERAGES",
    help: "the last minute: counts a second, and microseconds of each",
    columns: KINDS,
    rows: |view| view.stats.iter().map(|stats| named(stats, averages(view, stats))).collect(),
};

const KINDS: &[crate::admin::table::Column] = &[
    Text("database"),
    Text("cluster"),
    Int("xact_count"),
    Int("query_count"),
    Int("bytes_received"),
    Int("bytes_sent"),
    Int("query_time"),
    Int("wait_time"),
];

fn named(stats: &Stats, counts: [Cell; 6]) -> Row {
    [(&stats.database).into(), (&stats.cluster).into()].into_iter().chain(counts).collect()
}

fn totals(stats: &Stats) -> [Cell; 6] {
    [
        stats.transactions.into(),
        stats.queries.into(),
        stats.bytes_received.into(),
        stats.bytes_sent.into(),
        micros(stats.took.sum()).into(),
        micros(stats.wait.sum()).into(),
    ]
}

/// Null until there are any.
fn averages(view: &Proxy, stats: &Stats) -> [Cell; 6] {
    let known = |sample: &&ClusterSample| sample.cluster == stats.cluster;
    let found = view.average.as_ref().and_then(|sample| sample.clusters.iter().find(known));
    let Some(of) = found else { return [const { Cell::Null }; 6] };
    let each = |time: Option<Duration>| micros(time.unwrap_or_default()).into();
    let count = |rate: f64| (rate.round() as u64).into();
    [
        count(of.transactions),
        count(of.queries),
        count(of.received),
        count(of.sent),
        each(of.mean),
        each(of.wait),
    ]
}

fn all(view: &Proxy, stats: &Stats) -> Row {
    let [xacts, queries, received, sent, query_time, wait_time] = totals(stats);
    let mut row = vec![
        (&stats.database).into(),
        (&stats.cluster).into(),
        xacts,
        queries,
        stats.queries.into(),
        received,
        sent,
        query_time,
        stats.wait.count().into(),
        wait_time,
        stats.errors.values().sum::<u64>().into(),
        stats.retries.values().sum::<u64>().into(),
    ];
    row.extend(averages(view, stats));
    row.extend([
        stats.logins_ok.into(),
        stats.logins_failed.into(),
        stats.logins_throttled.into(),
        counts(&stats.errors).into(),
        counts(&stats.routed).into(),
        counts(&stats.retries).into(),
    ]);
    row
}

/// `fresh_replica=12 write=3`
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let seen = counts.iter().filter(|(_, count)| **count > 0);
    seen.map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
}
