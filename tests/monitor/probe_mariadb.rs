//! What the monitor concludes from real MariaDB servers: who is what, and how fresh.

use crate::support::watch::{SETTINGS, Watch};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::lab::mariadb::{Cluster, Node, cluster};
use tidegate::monitor::{Member, Settings, start};
use tidegate::mysql::auth::ServerSecret;
use tidegate::mysql::connect::{self, Login};
use tidegate::mysql::probe::MyProbe;
use tidegate::registry::Registry;
use tidegate::task::Tasks;
use tidegate::topology::{Decree, NodeId, Role, Snapshot};

async fn watch_with(nodes: &[&Node], settings: &Settings, user: &str) -> Watch {
    let tasks = Tasks::new();
    let member = |node: &&Node| {
        let member = Member {
            name: node.name().into(),
            address: node.address().into(),
            weight: 1,
            near: true,
        };
        let servers = Arc::new(Registry::starting_at(1));
        let names = ("orders", node.name(), node.address());
        let way = connect::Node::new((names.0, names.1, &names.2), None, servers);
        (member, MyProbe::new(Arc::new(way), Login::plain(user, ServerSecret::default())))
    };
    let watched = nodes.iter().map(member).collect();
    let handle = start(&tasks, "orders".into(), settings, watched, Decree::Free);
    Watch { handle, tasks }
}

async fn watch(nodes: &[&Node]) -> Watch {
    let watch = watch_with(nodes, &SETTINGS, "root").await;
    watch.handle.settled().await;
    watch
}

async fn watch_all(cluster: &Cluster) -> Watch {
    watch(&cluster.nodes().iter().collect::<Vec<_>>()).await
}

fn why(seen: &Snapshot, node: u8) -> String {
    match &seen.node(NodeId(node)).role {
        Role::Unknown(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

fn trouble(seen: &Snapshot, node: u8) -> String {
    seen.node(NodeId(node)).trouble.as_deref().unwrap_or_default().to_string()
}

#[tokio::test]
async fn replicas_are_as_fresh_as_what_they_replayed() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int)").await.unwrap();
    let watch = watch_all(&cluster).await;
    let seen = watch.until_roles(&["primary", "replica", "replica"]).await;
    let version = seen.node(NodeId(0)).version.clone().unwrap();
    assert!(version.contains("MariaDB"), "{version}");

    // An idle primary does not make a replica old.
    let now = Instant::now();
    let fresh = |seen: &Snapshot, n| seen.node(NodeId(n)).fresh_as_of.is_some_and(|f| f > now);
    watch.until("fresh replicas", |seen| fresh(seen, 1) && fresh(seen, 2)).await;

    cluster.replica(0).pause_replay().await.unwrap();
    cluster.sql("INSERT INTO test.t VALUES (1)").await.unwrap();
    let written = Instant::now();
    let fresh = |seen: &Snapshot, n| seen.node(NodeId(n)).fresh_as_of.is_some_and(|f| f > written);
    watch.until("the other replica's row", |seen| fresh(seen, 2)).await;
    let seen = watch.until("the trouble", |seen| !trouble(seen, 1).is_empty()).await;
    assert_eq!(trouble(&seen, 1), "the SQL thread is stopped");
    // Its role is no matter of its threads, and what it proves stays what it was.
    assert!(!fresh(&seen, 1) && seen.node(NodeId(1)).role == Role::Replica);

    cluster.replica(0).resume_replay().await.unwrap();
    watch.until("the row", |seen| fresh(seen, 1) && trouble(seen, 1).is_empty()).await;
}

#[tokio::test]
async fn a_former_primary_that_comes_back_serves_nothing_until_it_follows() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int)").await.unwrap();
    cluster.caught_up().await.unwrap();
    let (a, b, c) = (cluster.node(0), cluster.node(1), cluster.node(2));
    let watch_one = watch_all(&cluster).await;
    watch_one.until_roles(&["primary", "replica", "replica"]).await;

    a.kill();
    watch_one.until_roles(&["unknown", "replica", "replica"]).await;
    b.promote().await.unwrap();
    c.follow(b).await.unwrap();
    watch_one.until_roles(&["unknown", "primary", "replica"]).await;
    b.sql("INSERT INTO test.t VALUES (1)").await.unwrap();
    a.start().await.unwrap();
    watch_one.until_roles(&["fenced", "primary", "replica"]).await;

    // Another one that saw none of it comes to the same conclusion.
    let watch_two = watch_all(&cluster).await;
    watch_two.until_roles(&["fenced", "primary", "replica"]).await;

    a.follow(b).await.unwrap();
    for watch in [&watch_one, &watch_two] {
        watch.until_roles(&["replica", "primary", "replica"]).await;
        let seen = watch.until("a position", |seen| seen.node(NodeId(0)).fresh_as_of.is_some());
        assert!(seen.await.primary().is_some());
    }
}

#[tokio::test]
async fn of_two_servers_alone_the_longer_history_tells_who_is_the_primary() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    cluster.sql("CREATE TABLE test.t (n int)").await.unwrap();
    cluster.caught_up().await.unwrap();
    let (a, b) = (cluster.node(0), cluster.node(1));
    a.kill();
    b.promote().await.unwrap();
    a.start().await.unwrap();
    let undecided = watch_all(&cluster).await;
    undecided.until_roles(&["unknown", "unknown"]).await;
    drop(undecided);
    b.sql("INSERT INTO test.t VALUES (1)").await.unwrap();
    watch_all(&cluster).await.until_roles(&["fenced", "primary"]).await;
    a.sql("INSERT INTO test.t VALUES (2)").await.unwrap();
    watch_all(&cluster).await.until_roles(&["unknown", "unknown"]).await;
}

#[tokio::test]
async fn a_replica_with_a_transaction_of_its_own_serves_nothing() {
    let cluster = cluster().replicas(2).start().await.unwrap();
    let watch = watch_all(&cluster).await;
    watch.until_roles(&["primary", "replica", "replica"]).await;
    cluster.replica(0).sql("CREATE USER oops@localhost").await.unwrap();
    let seen = watch.until_roles(&["primary", "unknown", "replica"]).await;
    assert!(why(&seen, 1).contains("another history: 0-2-1"), "{}", why(&seen, 1));
    cluster.sql("CREATE USER one@localhost; CREATE USER two@localhost").await.unwrap();
    let seen = watch.until("the thread's end", |seen| !trouble(seen, 1).is_empty()).await;
    assert!(trouble(&seen, 1).contains("SQL thread is stopped: "), "{}", trouble(&seen, 1));
    assert_eq!(seen.node(NodeId(1)).role.name(), "unknown");
}

#[tokio::test]
async fn a_server_that_hangs_is_unknown_and_comes_back() {
    let cluster = cluster().replicas(1).start().await.unwrap();
    let settings = Settings { probe_timeout: Duration::from_millis(300), ..SETTINGS };
    let nodes: Vec<&Node> = cluster.nodes().iter().collect();
    let watch = watch_with(&nodes, &settings, "root").await;
    watch.until_roles(&["primary", "replica"]).await;
    cluster.replica(0).freeze().unwrap();
    let seen = watch.until_roles(&["primary", "unknown"]).await;
    assert_eq!(seen.node(NodeId(1)).fresh_as_of, None);
    cluster.replica(0).thaw().unwrap();
    watch.until_roles(&["primary", "replica"]).await;
    cluster.primary().kill();
    watch.until_roles(&["unknown", "replica"]).await;
}

#[tokio::test]
async fn read_only_alone_makes_no_replica_and_no_privilege_makes_no_answer() {
    let plain = "CREATE USER plain@'127.0.0.1'";
    let cluster = cluster().replicas(1).sql(plain).start().await.unwrap();
    cluster.replica(0).sql("STOP SLAVE; RESET SLAVE ALL").await.unwrap();
    let watch = watch_all(&cluster).await;
    let seen = watch.until_roles(&["primary", "unknown"]).await;
    assert_eq!(why(&seen, 1), "follows nobody, and is read-only");

    let blind = watch_with(&[cluster.primary()], &SETTINGS, "plain").await;
    let seen = blind.until("a refusal", |seen| !why(seen, 0).contains("asked")).await;
    assert!(why(&seen, 0).contains("SLAVE MONITOR"), "{}", why(&seen, 0));
}
