//! The PostgreSQL probe's way in: users without privileges, passwords, TLS.

use crate::support::cluster;
use crate::support::watch::{SETTINGS, Watch, bare, watch_by};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate::net::tls::{Authorities, Connector, ServerMode, ServerSide};
use tidegate::pg::probe::PgProbe;
use tidegate::topology::{NodeId, Role};

fn why(watch: &Watch) -> String {
    match &watch.handle.snapshot().node(NodeId(0)).role {
        Role::Unknown(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_user_without_privileges_is_enough_to_find_roles_and_freshness() {
    let cluster = cluster().replicas(1).auth("scram").user("watcher", "s3cret").start().await;
    let cluster = cluster.unwrap();
    let nodes: Vec<_> = cluster.nodes().iter().collect();
    let probe =
        |node: &crate::support::Node| PgProbe::new(bare(node), node.config("watcher", "postgres"));
    let watch = watch_by(&nodes, &SETTINGS, probe).await;
    watch.until_roles(&["primary", "replica"]).await;
    watch.until("a fresh replica", |seen| seen.node(NodeId(1)).fresh_as_of.is_some()).await;
}

/// Pages were pruned by a read that failed: PostgreSQL flushes such a record with the next commit
/// only, so that no replica would ever get as far as the primary says it is.
#[tokio::test]
async fn wal_that_nobody_flushes_does_not_make_replicas_stale() {
    let cluster = cluster().replicas(1).auth("scram").user("watcher", "s3cret").start().await;
    let cluster = cluster.unwrap();
    let primary = cluster.primary();
    for statement in [
        "ALTER SYSTEM SET autovacuum = off",
        "SELECT pg_reload_conf()",
        "CREATE TABLE full_of_dead AS SELECT repeat('x', 500) AS x FROM generate_series(1, 100)",
        "UPDATE full_of_dead SET x = repeat('y', 500)",
    ] {
        primary.sql(statement).await.unwrap();
    }
    primary.sql("SELECT count(*), 1 / (count(*) - 100) FROM full_of_dead").await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let behind = "SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()";
    assert_eq!(primary.value(behind).await.unwrap(), "t");
    let nodes: Vec<_> = cluster.nodes().iter().collect();
    let probe =
        |node: &crate::support::Node| PgProbe::new(bare(node), node.config("watcher", "postgres"));
    let watch = watch_by(&nodes, &SETTINGS, probe).await;
    watch.until("a fresh replica", |seen| seen.node(NodeId(1)).fresh_as_of.is_some()).await;
}

#[tokio::test]
async fn a_refused_login_is_told_in_the_servers_words_without_the_password() {
    let cluster = cluster().auth("scram").user("watcher", "s3cret").start().await.unwrap();
    let probe = |node: &crate::support::Node| {
        let mut config = node.config("watcher", "postgres");
        config.password("wr0ng");
        PgProbe::new(bare(node), config)
    };
    let watch = watch_by(&[cluster.primary()], &SETTINGS, probe).await;
    let why = why(&watch);
    assert_eq!(why, "refuses the monitor: password authentication failed for user \"watcher\"");
}

#[tokio::test]
async fn the_probe_verifies_the_servers_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    let paths = (folder.path().join("server.crt"), folder.path().join("server.key"));
    std::fs::write(&paths.0, cert.pem()).unwrap();
    std::fs::write(&paths.1, signing_key.serialize_pem()).unwrap();
    let cluster = cluster()
        .tls(&paths.0, &paths.1)
        .hba("hostnossl all all 127.0.0.1/32 reject")
        .start()
        .await
        .unwrap();
    let other = folder.path().join("other.crt");
    let stranger = generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let trusting = |ca: &Path| {
        let side = ServerSide {
            mode: ServerMode::VerifyFull,
            ca_file: Some(ca.to_owned()),
            ..ServerSide::default()
        };
        let tls = Connector::new(&side, &mut Authorities::default()).unwrap();
        move |node: &crate::support::Node| {
            let mut way = tidegate::pg::connect::Node::plain(node.name(), &node.address());
            way.tls = Some(tls.clone());
            PgProbe::new(Arc::new(way), node.config("postgres", "postgres"))
        }
    };
    let watch = watch_by(&[cluster.primary()], &SETTINGS, trusting(&paths.0)).await;
    watch.until_roles(&["primary"]).await;
    let watch = watch_by(&[cluster.primary()], &SETTINGS, trusting(&other)).await;
    assert!(why(&watch).contains("certificate"), "{}", why(&watch));
}
