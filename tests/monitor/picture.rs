//! What the monitor sees of real servers, and what routing makes of it.

use crate::support::watch::{SETTINGS, Watch, names, watch, watch_with};
use crate::support::{How, cluster};
use std::time::{Duration, Instant};
use tidegate::monitor::Settings;
use tidegate::route::{Because, Decision, Target};
use tidegate::topology::{NodeId, Role, Snapshot};

/// Far above what a healthy replica needs on a busy machine.
const BOUND: Duration = Duration::from_secs(2);

const TABLE: &str = "CREATE TABLE t (n int)";
const WRITE: &str = "INSERT INTO t VALUES (1)";

fn at(node: u8) -> Target {
    Target::Node(NodeId(node))
}

/// Ends exactly at the end of a WAL page: logical messages can have any length.
const TO_THE_END_OF_A_PAGE: &str = "DO $$
    DECLARE here numeric;
    BEGIN
        FOR step IN 1..20000 LOOP
            here := (pg_current_wal_insert_lsn() - '0/0') % 8192;
            EXIT WHEN here = 24;
            -- A message takes its text and less than 100 bytes more, in steps of 8.
            PERFORM pg_logical_emit_message(false, '', repeat('x',
                CASE WHEN here < 7800 THEN 100 ELSE step % 64 END));
        END LOOP;
        ASSERT (pg_current_wal_insert_lsn() - '0/0') % 8192 = 24;
    END $$";

/// Waits until reads within `BOUND` go to exactly these nodes.
async fn until_reads_go_to(watch: &Watch, nodes: &[u8]) {
    let mut expected: Vec<Target> = nodes.iter().map(|node| at(*node)).collect();
    expected.sort_by_key(|target| format!("{target:?}"));
    watch
        .until(&format!("reads on {nodes:?}"), |_| {
            let mut found: Vec<Target> = (0..6).map(|tie| watch.read(BOUND, tie).to).collect();
            found.sort_by_key(|target| format!("{target:?}"));
            found.dedup();
            found == expected
        })
        .await;
}

fn why(seen: &Snapshot, node: u8) -> String {
    match &seen.node(NodeId(node)).role {
        Role::Unknown(why) => why.to_string(),
        other => panic!("node {node} is {other:?}"),
    }
}

#[tokio::test]
async fn roles_come_from_the_servers_and_not_from_the_order() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    let nodes = cluster.nodes();
    let watch = watch(&[&nodes[2], &nodes[0], &nodes[1]]).await;
    let seen = watch.until_roles(&["replica", "primary", "replica"]).await;
    assert_eq!(seen.primary, Some(NodeId(1)));
    assert_eq!(&*seen.nodes[1].name, "a");
    assert!(seen.nodes.iter().all(|node| node.version.as_deref().is_some_and(|v| !v.is_empty())));
    assert!(watch.tasks.shutdown(BOUND).await.is_empty());
    cluster
        .primary()
        .until(
            "the monitor to leave",
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'tidegate monitor'",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_replica_that_stops_replaying_gets_no_reads_until_it_caught_up() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql(TABLE).await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    until_reads_go_to(&watch, &[1, 2]).await;

    cluster.replica(0).pause_replay().await.unwrap();
    cluster.sql(WRITE).await.unwrap();
    until_reads_go_to(&watch, &[2]).await;
    assert!(watch.staleness(1).is_some_and(|age| age > BOUND));
    let seen = watch.handle.snapshot();
    assert_eq!(seen.node(NodeId(1)).role, Role::Replica);
    assert!(seen.node(NodeId(1)).bytes_behind.is_some_and(|bytes| bytes > 0));

    cluster.replica(1).pause_replay().await.unwrap();
    cluster.sql(WRITE).await.unwrap();
    until_reads_go_to(&watch, &[0]).await;
    assert_eq!(
        watch.read(BOUND, 0),
        Decision { to: at(0), because: Because::NoFreshReplica },
        "with both behind, the primary answers"
    );

    cluster.replica(0).resume_replay().await.unwrap();
    until_reads_go_to(&watch, &[1]).await;
    cluster.replica(1).resume_replay().await.unwrap();
    until_reads_go_to(&watch, &[1, 2]).await;
}

#[tokio::test]
async fn on_an_idle_primary_replicas_stay_fresh() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    cluster.sql(TABLE).await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    // Ends in the middle of a page, at the start of a segment, and right behind a page.
    let switch = "SELECT pg_switch_wal()";
    for idle_after in [WRITE, switch, TO_THE_END_OF_A_PAGE] {
        cluster.sql(idle_after).await.unwrap();
        cluster.caught_up().await.unwrap();
        let idle = Instant::now();
        let what = format!("a fresh replica after {idle_after}");
        watch.until(&what, |seen| seen.node(NodeId(1)).fresh_as_of.is_some_and(|t| t > idle)).await;
        // It must go on growing fresh although nothing is written.
        let later = Instant::now() + Duration::from_secs(1);
        watch
            .until(&what, |seen| seen.node(NodeId(1)).fresh_as_of.is_some_and(|t| t > later))
            .await;
    }
}

#[tokio::test]
async fn a_replica_that_was_killed_is_unknown_and_comes_back() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    watch.until_roles(&["primary", "replica", "replica"]).await;
    let epoch = watch.handle.snapshot().epoch;
    cluster.replica(0).kill();
    let seen = watch.until_roles(&["primary", "unknown", "replica"]).await;
    assert_eq!(seen.node(NodeId(1)).fresh_as_of, None);
    until_reads_go_to(&watch, &[2]).await;
    cluster.replica(0).start().await.unwrap();
    until_reads_go_to(&watch, &[1, 2]).await;
    assert_eq!(watch.handle.snapshot().epoch, epoch, "the primary's reign was never touched");
}

#[tokio::test]
async fn a_frozen_node_is_unknown_after_the_probe_timeout() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    watch.until_roles(&["primary", "replica"]).await;
    cluster.replica(0).freeze().unwrap();
    let frozen = watch.until_roles(&["primary", "unknown"]).await;
    assert!(why(&frozen, 1).contains("no answer within"), "{}", why(&frozen, 1));
    assert_eq!(watch.read(BOUND, 0).to, at(0));
    cluster.replica(0).thaw().unwrap();
    watch.until_roles(&["primary", "replica"]).await;

    cluster.primary().freeze().unwrap();
    let seen = watch.until_roles(&["unknown", "replica"]).await;
    assert_eq!(seen.primary, None);
    cluster.primary().thaw().unwrap();
    watch.until_roles(&["primary", "replica"]).await;
}

#[tokio::test]
async fn the_higher_timeline_wins_and_the_old_primary_is_fenced() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    let before = watch.until_roles(&["primary", "replica", "replica"]).await;
    cluster.replica(0).promote().await.unwrap();
    // The other replica still follows the old primary, on the old timeline.
    let after = watch.until_roles(&["fenced", "primary", "unknown"]).await;
    assert!(after.epoch > before.epoch);
    assert!(why(&after, 2).contains("on timeline 1, but the primary b is on 2"));

    cluster.replica(0).kill();
    let headless = watch.until_roles(&["fenced", "unknown", "unknown"]).await;
    assert_eq!(headless.primary, None, "an old primary is not followed again");
    let nobody = watch.read(BOUND, 0);
    assert_eq!(nobody, Decision { to: Target::Nobody, because: Because::NoPrimary });
}

#[tokio::test]
async fn a_replica_that_follows_the_new_primary_serves_reads_again() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql(TABLE).await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    until_reads_go_to(&watch, &[1, 2]).await;
    // A clean stop leaves both replicas with the same log.
    cluster.primary().stop(How::Fast).await;
    watch.until_roles(&["unknown", "replica", "replica"]).await;
    cluster.replica(0).promote().await.unwrap();
    watch.until_roles(&["unknown", "primary", "unknown"]).await;
    cluster.replica(1).follow(cluster.replica(0)).await.unwrap();
    watch.until_roles(&["unknown", "primary", "replica"]).await;
    until_reads_go_to(&watch, &[2]).await;

    // Started again as if nothing had happened: it must not be believed.
    cluster.primary().start().await.unwrap();
    watch.until_roles(&["fenced", "primary", "replica"]).await;
}

#[tokio::test]
async fn a_monitor_that_starts_late_finds_the_higher_timeline_too() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    cluster.replica(0).promote().await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    watch.until_roles(&["fenced", "primary"]).await;
}

#[tokio::test]
async fn a_node_of_another_cluster_is_refused() {
    let ours = cluster().replicas(1).start().await.unwrap();
    let stranger = cluster().own_system().start().await.unwrap();
    let watch = watch(&[stranger.primary(), ours.primary(), ours.replica(0)]).await;
    let seen = watch.until_roles(&["unknown", "primary", "replica"]).await;
    assert!(why(&seen, 0).starts_with("another system identifier"), "{}", why(&seen, 0));
}

#[tokio::test]
async fn a_session_that_lost_a_node_takes_it_out_until_it_answers_again() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    let watch = watch(&cluster.nodes().iter().collect::<Vec<_>>()).await;
    watch.until_roles(&["primary", "replica"]).await;
    let mut changes = watch.handle.published().changes();
    let mut seen = Vec::new();
    watch.handle.report_failure(NodeId(1), "connection reset");
    while seen.last() != Some(&vec!["primary", "replica"]) || seen.len() < 2 {
        changes.changed().await.unwrap();
        let now = names(&watch.handle.snapshot());
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    assert!(seen.contains(&vec!["primary", "unknown"]), "{seen:?}");
}

#[tokio::test]
async fn a_nudge_brings_a_sample_that_was_taken_after_it() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    // So rarely that only a nudge can bring the sample before the test gives up.
    let rarely = Settings { interval: Duration::from_secs(3600), ..SETTINGS };
    let watch = watch_with(&cluster.nodes().iter().collect::<Vec<_>>(), &rarely).await;
    watch.until_roles(&["primary", "replica"]).await;
    for _ in 0..3 {
        let asked = Instant::now();
        watch.handle.nudge();
        let sampled = |seen: &Snapshot| seen.node(NodeId(0)).fresh_as_of.is_some_and(|t| t > asked);
        watch.until("a new sample", sampled).await;
    }
}
