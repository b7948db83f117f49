//! What a replication connection is told that goes nowhere.

use crate::fixture::{replicate, servers};
use crate::support::proxy::{Running, proxy, proxy_to};
use crate::wire::*;

async fn refused(running: &Running, parameters: &[(&str, &str)]) -> (String, String, String) {
    let mut wire = Wire::open(running.postgres).await;
    wire.send(&startup(0, &[&[("user", "postgres")][..], parameters].concat())).await;
    let frames = wire.rest().await;
    let error = frames.iter().find(|f| f.tag == b'E').expect("an error");
    assert_eq!(error.field(b'S'), "FATAL");
    (error.field(b'C'), error.field(b'M'), error.field(b'H'))
}

#[tokio::test]
async fn it_is_off_by_default_and_odd_values_are_refused_as_by_the_server() {
    let servers = servers().start().await.expect("a cluster");
    let off = proxy(&servers).start().await;
    let database = ("database", "postgres");
    for kind in ["database", "true", "1", "yes"] {
        let (code, message, hint) = refused(&off, &[database, ("replication", kind)]).await;
        assert_eq!(code, "0A000");
        assert_eq!(message, "cluster test takes no replication connections");
        assert!(hint.contains("clusters.NAME.replication"), "{hint}");
    }
    let (code, message, hint) = refused(&off, &[database, ("replication", "perhaps")]).await;
    assert_eq!(code, "22023");
    assert_eq!(message, "invalid value for parameter \"replication\": \"perhaps\"");
    assert_eq!(hint, "Valid values are: \"false\", 0, \"true\", 1, \"database\". (TG0162)");
    let mut ordinary = replicate(&off, "false").await;
    assert!(ordinary.is_alive().await);
}

#[tokio::test]
async fn what_the_server_says_no_to_is_told_in_its_words() {
    let servers = servers().sql("CREATE ROLE plain LOGIN").start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let plain = [("user", "plain"), ("replication", "true")];
    let (code, message, _) = refused(&running, &plain).await;
    assert_eq!(code, "42501");
    assert!(message.contains("replication role"), "{message}");
    let nowhere = [("database", "atlantis"), ("replication", "database")];
    assert_eq!(refused(&running, &nowhere).await.0, "3D000");
    assert!(running.admin("SHOW CLIENTS").await.is_empty());
}

#[tokio::test]
async fn limits_count_it_and_its_place_is_given_back() {
    let servers = servers().start().await.expect("a cluster");
    let limits = "max_replication = 1\nsize = 1\nmax_per_node = 2";
    let wanted = proxy(&servers).with_cluster("replication = \"primary\"").with("pool", limits);
    let running = wanted.start().await;
    let physical = [("replication", "true")];
    let mut first = replicate(&running, "true").await;
    let (code, message, _) = refused(&running, &physical).await;
    assert_eq!(code, "53300");
    assert!(message.contains("replication (pool.max_replication)"), "{message}");
    // One of the two connections to the node is left for everybody else.
    let mut client = Wire::start(running.postgres).await;
    client.run("BEGIN").await;
    let raised = std::fs::read_to_string(&running.file).expect("the configuration");
    let raised = raised.replace("max_replication = 1", "max_replication = 2");
    std::fs::write(&running.file, raised).expect("written");
    running.admin("RELOAD").await;
    let (code, message, _) = refused(&running, &physical).await;
    assert_eq!(code, "53300");
    assert!(message.contains("pool.max_per_node = 2"), "{message}");
    client.run("COMMIT").await;
    first.send(&frame(b'X', b"")).await;
    assert_eq!(first.rest().await, []);
    eventually("a place", async || {
        let mut wire = Wire::open(running.postgres).await;
        wire.send(&startup(0, &[("user", "postgres"), ("replication", "true")])).await;
        crate::wire::code(&wire.until(b"ZE").await).is_empty()
    })
    .await;
}

/// Two clusters of one server each, the first one with these databases.
fn two(servers: &crate::support::Cluster, first: &str) -> crate::support::proxy::Wanted {
    let address = servers.primary().address();
    let second = format!(
        "[clusters.second]\nnodes = [{{ name = \"a\", address = \"{address}\" }}]\n\
         databases = [\"template1\"]\nreplication = \"a\"\nmonitor.user = \"postgres\"\n\
         auth.method = \"trust\""
    );
    let nodes = [("a", address.parse().expect("an address"))];
    let text = proxy_to(&nodes).top(&second).with_cluster(&format!("databases = {first}"));
    text.with_cluster("replication = \"primary\"")
}

#[tokio::test]
async fn among_several_clusters_physical_replication_needs_a_name_or_the_star() {
    let servers = servers().start().await.expect("a cluster");
    let named = two(&servers, "[\"postgres\"]").start().await;
    let of = async |running: &Running, database: &str| {
        let parameters = [("user", "postgres"), ("database", database), ("replication", "true")];
        let _wire = Wire::start_with(running.postgres, &startup(0, &parameters)).await;
        let client = running.admin("SHOW CLIENTS").await.pop().expect("a client");
        client[4].clone().expect("a cluster")
    };
    let (code, message, hint) = refused(&named, &[("replication", "true")]).await;
    assert_eq!(code, "3D000");
    assert!(message.contains("clusters second, test"), "{message}");
    assert!(hint.contains("databases"), "{hint}");
    assert_eq!(of(&named, "template1").await, "second");
    assert_eq!(of(&named, "postgres").await, "test");
    let star = two(&servers, "\"*\"").start().await;
    assert_eq!(of(&star, "replication").await, "test");
}
