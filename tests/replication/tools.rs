//! PostgreSQL's own tools through the proxy.

use crate::authority::Authority;
use crate::fixture::{fill, restore, servers, through, tool};
use crate::support::ask::value;
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, Node};

/// A base backup by `pg_basebackup -X stream` into this folder, checked by pg_verifybackup.
async fn backup(servers: &Cluster, target: &str, folder: &str, password: &str) {
    let arguments = ["-d", target, "-D", folder, "-X", "stream", "-c", "fast", "-w"];
    tool(servers, "pg_basebackup", &arguments, password).await.expect("a base backup");
    tool(servers, "pg_verifybackup", &[folder], "").await.expect("a good backup");
}

async fn rows(servers: &Cluster, folder: &str) -> String {
    let restored = restore(servers, &servers.folder().join(folder)).await;
    value(&restored.client, "SELECT count(*) FROM t").await
}

async fn table(servers: &Cluster) {
    let sql = "CREATE TABLE t AS SELECT * FROM generate_series(1, 1000)";
    servers.primary().sql(sql).await.expect("a table");
}

#[tokio::test]
async fn a_base_backup_of_the_primary_starts_as_a_server() {
    let servers = servers().start().await.expect("a cluster");
    table(&servers).await;
    fill(&servers, 20).await;
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    backup(&servers, &through(&running, "postgres"), "copy", "").await;
    assert_eq!(rows(&servers, "copy").await, "1000");
    // Nothing of it came from the pools, and nothing is left.
    assert_eq!(running.counts(0).opened, 0);
    assert!(running.admin("SHOW SERVERS").await.is_empty());
}

#[tokio::test]
async fn a_base_backup_of_a_named_replica_by_a_scram_verifier_alone() {
    let trusted = "host all postgres 127.0.0.1/32 trust";
    let proven = "host replication repl 127.0.0.1/32 scram-sha-256";
    let servers = crate::support::cluster()
        .replicas(1)
        .auth("scram")
        .hba(trusted)
        .hba(proven)
        .user("repl", "otter")
        .sql("ALTER ROLE repl REPLICATION")
        .sql("CREATE TABLE t AS SELECT * FROM generate_series(1, 1000)")
        .start()
        .await
        .expect("a cluster");
    servers.caught_up().await.expect("a replica");
    let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'repl'";
    let verifier = servers.primary().value(verifier).await.expect("a verifier");
    let file = tempfile::NamedTempFile::new().expect("a file");
    crate::authority::private(file.path(), &verifier);
    let auth = format!("users.repl.password_file = {:?}", file.path());
    let running =
        proxy(&servers).with_cluster("replication = \"b\"").with("auth", &auth).start().await;
    let target = through(&running, "repl");
    let wrong = ["-d", &target, "-D", "wrong", "-w"];
    let refused = tool(&servers, "pg_basebackup", &wrong, "seal").await.expect_err("refused");
    assert!(refused.contains("password authentication failed for user \"repl\""), "{refused}");
    backup(&servers, &target, "copy", "otter").await;
    let label = std::fs::read_to_string(servers.folder().join("copy/backup_label"));
    assert!(label.expect("a label").contains("BACKUP FROM: standby"));
    assert_eq!(rows(&servers, "copy").await, "1000");
}

#[tokio::test]
async fn a_base_backup_over_tls() {
    let servers = servers().start().await.expect("a cluster");
    table(&servers).await;
    let authority = Authority::new();
    let pair = authority.issue(&["localhost"]);
    let top = format!("[tls]\nmode = \"require\"\ncert = {:?}\nkey = {:?}", pair.cert, pair.key);
    let wanted = proxy(&servers).top(&top).with_cluster("replication = \"primary\"");
    let running = wanted.start().await;
    let target = through(&running, "postgres").replace("sslmode=disable", "sslmode=require");
    backup(&servers, &target, "copy", "").await;
    assert_eq!(rows(&servers, "copy").await, "1000");
}

async fn received_is_what_the_server_wrote(running: &Running, from: &Node, servers: &Cluster) {
    let slot = "SELECT pg_create_physical_replication_slot('receiver', true)";
    from.sql(slot).await.expect("a slot");
    let segment = from.value("SELECT pg_walfile_name(restart_lsn) FROM pg_replication_slots");
    let segment = segment.await.expect("a segment");
    fill(servers, 1).await;
    servers.primary().sql("SELECT pg_switch_wal()").await.expect("a switch");
    let end = servers.primary().value("SELECT pg_current_wal_lsn()").await.expect("a position");
    let into = servers.folder().join("received");
    std::fs::create_dir(&into).expect("a folder");
    std::os::unix::fs::chown(&into, Some(owner(servers).0), Some(owner(servers).1)).expect("given");
    let target = through(running, "postgres");
    let arguments =
        ["-d", &target, "-D", "received", "-S", "receiver", "--endpos", &end, "-n", "-w"];
    tool(servers, "pg_receivewal", &arguments, "").await.expect("the log");
    let read = |path: std::path::PathBuf| std::fs::read(path).expect("a segment");
    let received = read(into.join(&segment));
    assert_eq!(received.len(), 16 << 20);
    assert!(received == read(from.data().join("pg_wal").join(&segment)), "{segment} differs");
}

fn owner(servers: &Cluster) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(servers.folder()).expect("a folder");
    (owner.uid(), owner.gid())
}

#[tokio::test]
async fn pg_receivewal_gets_the_log_byte_by_byte() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    received_is_what_the_server_wrote(&running, servers.primary(), &servers).await;
}

#[tokio::test]
async fn pg_recvlogical_gets_the_changes() {
    let servers = servers().start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"primary\"").start().await;
    let target = format!("{} dbname=postgres", through(&running, "postgres"));
    let create = ["-d", &target, "-S", "s", "--create-slot", "-P", "test_decoding", "-w"];
    tool(&servers, "pg_recvlogical", &create, "").await.expect("a slot");
    let sql = "CREATE TABLE t (a int); INSERT INTO t VALUES (7), (8); UPDATE t SET a = 9";
    servers.primary().sql(sql).await.expect("changes");
    let end = servers.primary().value("SELECT pg_current_wal_lsn()").await.expect("a position");
    let start = ["-d", &target, "-S", "s", "--start", "-f", "-", "--endpos", &end, "-n", "-w"];
    let changes = tool(&servers, "pg_recvlogical", &start, "").await.expect("changes");
    for change in ["INSERT: a[integer]:7", "INSERT: a[integer]:8", "UPDATE: a[integer]:9"] {
        assert!(changes.contains(change), "{changes}");
    }
}

#[tokio::test]
async fn psql_speaks_the_replication_protocol_and_sql_in_its_own_database() {
    let servers = servers().replicas(1).start().await.expect("a cluster");
    let running = proxy(&servers).with_cluster("replication = \"b\"").start().await;
    let ask = async |kind: &str, sql: &str| {
        let target = format!("{} dbname=postgres {kind}", through(&running, "postgres"));
        let arguments = ["-X", "-A", "-t", "-w", "-c", sql, "-d", &target];
        tool(&servers, "psql", &arguments, "").await
    };
    let system = servers.primary().value("SELECT system_identifier FROM pg_control_system()");
    let system = system.await.expect("an identifier");
    for kind in ["replication=database", "replication=true", "replication=on"] {
        let says = ask(kind, "IDENTIFY_SYSTEM").await.expect("an answer");
        assert!(says.starts_with(&format!("{system}|1|")), "{says}");
        assert_eq!(says.ends_with("|postgres"), kind.ends_with("database"), "{says}");
    }
    let here = "SELECT pg_is_in_recovery(), current_setting('work_mem')";
    let options = "replication=database options='-c work_mem=3MB'";
    assert_eq!(ask(options, here).await, Ok("t|3MB".into()));
    assert_eq!(
        ask("replication=off", "SELECT 'an ordinary one'").await,
        Ok("an ordinary one".into())
    );
}
