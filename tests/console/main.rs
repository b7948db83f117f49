//! The console, used by psql and tokio-postgres, and abused byte by byte.

#[path = "../login/authority.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod authority;
mod bytes;
mod fixture;
mod login;
mod malformed;
mod secured;
#[path = "../view_fixture/mod.rs"]
mod view_fixture;

use fixture::{console, psql};
use tokio_postgres::types::Type;

#[tokio::test(flavor = "multi_thread")]
async fn psql_reads_every_show_command() {
    let console = console(&[]).await;
    for (command, expected) in [
        ("show nodes;", "orders|b|10.0.0.2:5432|replica||1:0/3000060|12|96||1|2|70|3|15.14"),
        (
            "SHOW CLIENTS",
            "C|8|app|orders|orders|active|192.0.2.7:40000|2027-01-15T08:00:00Z|41|3||worker|idle||b|fresh_replica|none",
        ),
        (
            "SHOW SERVERS -- whom do we talk to",
            "S|3|app|orders|orders|b|active|10.0.0.2:5432|1970-01-01T00:00:00Z|8|4711|9",
        ),
        ("/* ours */ SHOW POOLS", "orders|app|orders|2|1|1|2|0|0|0|1|250000|transaction"),
        ("SHOW NODE_POOLS", "orders|app|orders|b|1|1|2|0|0|1|250000|transaction|20|0|5|2"),
        (
            "SHOW STATS",
            "orders|orders|1000|1200|1200|5000|9000|2000|1|2000|4|1|10|12|50|90|300|0|12|2|1|42P01=4\
             |fresh_replica=900|25006=1",
        ),
        ("SHOW STATS_TOTALS", "orders|orders|1000|1200|5000|9000|2000|2000"),
        ("SHOW STATS_AVERAGES", "orders|orders|10|12|50|90|300|0"),
        (
            "SHOW DATABASES",
            "billing|orders|postgres|10.0.0.1|5432|billing||transaction|20|0|0|0|5000|0|0|0",
        ),
        ("SHOW RATES", "orders|10|12|0|0|50|90|256|1024|0|3"),
        ("SHOW LAG", "orders|b|replica|12|96||1:0/3000060"),
        ("SHOW PINS", "listen|7|app|orders|orders|idle|idle||worker"),
        ("SHOW EVENTS", "1|1970-01-01T00:00:00Z|role|orders|b|replica instead of unknown"),
        ("SHOW ERRORS", "orders|orders|42P01|4"),
        ("SHOW USERS", "app|orders|2|1"),
        ("SHOW SOCKETS", "S|3|app|orders|active|10.0.0.2:5432|1970-01-01T00:00:00Z|8"),
        ("SHOW STATE", "active|yes"),
        (
            "SHOW CLIENTS WHERE state <> 'active' ORDER BY id",
            "C|7|app|orders|orders|idle|192.0.2.7:40000|2027-01-15T08:00:00Z|41|||worker|idle|listen|b|fresh_replica|none",
        ),
        (
            "SHOW BACKUPS",
            "orders|20271114T030000Z|b|2027-11-14T03:00:09Z|9000|4096|1024|2:0/3000060|audit|marked",
        ),
        ("SHOW ARCHIVE", "orders|b|2:0/3000000|96|1500|7|0|2027-11-15T03:00:00Z|"),
        ("SHOW LISTEN", "orders|orders|a|2|3"),
        ("SHOW MEM", "read_buffer|65536|2|0|131072"),
        ("SHOW LEASES", "orders|file lock|me|3|/var/lib/tidegate/orders.term.json|"),
        ("SHOW LISTS", "used_clients|2"),
        ("SHOW CONFIG", "clusters.orders.pool.size|20|20|yes"),
        ("SHOW VERSION", "Tidegate 0.1.0|1970-01-01T00:00:00Z|90"),
        ("SHOW HELP", "PAUSE [cluster]|let running transactions finish and new ones wait"),
    ] {
        let out = psql(&console, command).await;
        assert!(out.ok, "{command}: {}", out.errors);
        assert!(out.rows.iter().any(|row| row == expected), "{command}: {:#?}", out.rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_command_is_an_error_with_a_hint() {
    let console = console(&[]).await;
    let out = psql(&console, "SHOW NODE").await;
    assert!(!out.ok);
    assert!(out.errors.contains("ERROR:  42601: unknown command: SHOW NODE"), "{}", out.errors);
    assert!(out.errors.contains("HINT:  Did you mean SHOW NODES?"), "{}", out.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_proxy() {
    let console = console(&[]).await;
    let out = psql(&console, "reload").await;
    assert!(out.ok && out.rows == ["RELOAD"], "{:?} {}", out.rows, out.errors);
    assert!(out.errors.contains("listen.http changes only with a restart"), "{}", out.errors);
    for (command, done) in [
        ("PAUSE", "pause None"),
        ("PAUSE orders", "pause orders"),
        ("RESUME orders", "resume orders"),
        ("RECONNECT orders", "reconnect orders"),
        ("WAIT_CLOSE", "wait_close None"),
        ("DISABLE orders", "admit orders false"),
        ("ENABLE orders", "admit orders true"),
        ("DRAIN orders.b", "drain orders b true"),
        ("UNDRAIN orders.b", "drain orders b false"),
        ("SET clusters.orders.pool.size = 7", "set clusters.orders.pool.size 7"),
        ("KILL 7", "kill 7"),
        ("BACKUP orders", "backup orders"),
        ("FENCE orders.b FORCE", "Fence { node: \"b\", forced: true } orders false"),
        ("UNFENCE orders.b DRY RUN", "Unfence { node: \"b\" } orders true"),
        ("SHUTDOWN", "shutdown"),
    ] {
        let out = psql(&console, &format!("{};", command.to_lowercase())).await;
        assert!(out.ok, "{command}: {}", out.errors);
        assert_eq!(console.done().last().map(String::as_str), Some(done));
        assert_eq!(console.audit().last().map(String::as_str), Some(command));
    }
    let out = psql(&console, "kill 99").await;
    assert!(out.errors.contains("42704"), "{}", out.errors);
    assert_eq!(console.audit().last().expect("noted"), "KILL 99: there is no client 99");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_name_nothing_known_do_nothing() {
    let console = console(&[]).await;
    let out = psql(&console, "PAUSE order").await;
    assert!(out.errors.contains("42704: there is no cluster \"order\""), "{}", out.errors);
    assert!(out.errors.contains("Clusters: orders."), "{}", out.errors);
    let out = psql(&console, "KILL 99").await;
    assert!(out.errors.contains("42704: there is no client 99"), "{}", out.errors);
    assert!(console.done().iter().all(|done| !done.starts_with("pause")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extended_protocol_gets_typed_columns() {
    let console = console(&[]).await;
    let client = console.client("admin", "").await.expect("a login");
    let statement = client.prepare("SHOW NODES").await.unwrap();
    let column = |name| statement.columns().iter().find(|c| c.name() == name).unwrap().type_();
    assert_eq!((column("node"), column("bytes_behind")), (&Type::TEXT, &Type::INT8));
    let rows = client.query(&statement, &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1].get::<_, &str>("node"), "b");
    assert_eq!(rows[1].get::<_, i64>("bytes_behind"), 96);
    assert_eq!(rows[2].get::<_, Option<i64>>("bytes_behind"), None);

    let failed = client.query("SHOW NOTHING", &[]).await.expect_err("unknown");
    assert_eq!(failed.code().unwrap().code(), "42601");
    assert_eq!(client.query("SHOW NODES", &[]).await.unwrap().len(), 3, "it goes on");
    client.execute("RELOAD", &[]).await.unwrap();
    client.execute("-- nothing", &[]).await.unwrap();
    assert_eq!(console.done(), ["reload"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_may_wrap_it_in_a_transaction_and_fetch_in_parts() {
    let console = console(&[]).await;
    let mut client = console.client("admin", "").await.expect("a login");
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SHOW NODES", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
    assert_eq!(transaction.query_portal(&portal, -5).await.unwrap().len(), 1);
    let portal = transaction.bind("SHOW NODES", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, i32::MAX).await.unwrap().len(), 3);
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_in_one_text_are_answered_in_order() {
    let console = console(&[]).await;
    let client = console.client("admin", "").await.expect("a login");
    let answers = client.simple_query("SHOW VERSION; RELOAD; SHOW NOTHING; SHUTDOWN").await;
    assert_eq!(answers.expect_err("one of them").code().unwrap().code(), "42601");
    assert!(console.done().is_empty(), "nothing runs of a text that is not understood");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_told_when_it_stops() {
    let mut console = console(&[]).await;
    let mut raw = console.raw().await;
    raw.login().await;
    console.stop().await;
    let last = raw.until_closed().await;
    assert_eq!(bytes::errors(&last), ["FATAL 57P01 tidegate is shutting down"]);
}
