//! What users say of their reads: hints, settings of the session, rules, zones, groups; and the
//! position that one session hands to another.

use crate::support::ask::{refused, route, until, value};
use crate::support::proxy::{Running, Wanted, proxy};
use crate::support::{Cluster, cluster};
use tokio_postgres::Client;

const READ: &str = "SELECT a FROM t";

async fn three() -> Cluster {
    let servers = cluster().replicas(2).sql("CREATE TABLE t AS SELECT 7 AS a").start().await;
    let servers = servers.expect("a cluster");
    servers.caught_up().await.expect("replicas that caught up");
    servers
}

/// On a busy machine a replica may take a while to show what the session has seen on another.
fn patient(servers: &Cluster, keys: &str) -> Wanted {
    let wait = if keys.contains("read_wait") { "" } else { "read_wait = \"30s\"" };
    proxy(servers).with("route", &format!("max_staleness = \"1h\"\n{wait}\n{keys}"))
}

/// Where the statement went, and why.
async fn sent(client: &Client, sql: &str) -> (String, String) {
    value(client, sql).await;
    route(client).await
}

fn at(node: &str, why: &str) -> (String, String) {
    (node.into(), why.into())
}

#[tokio::test]
async fn a_comment_in_front_sends_a_statement_where_it_says() {
    let servers = three().await;
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    for node in ["b", "c", "b", "a"] {
        let sql = format!("/* tidegate: route={node} */ {READ}");
        assert_eq!(sent(&client, &sql).await, at(node, "asked"));
        // As a prepared statement, too, and it is not mistaken for the one without a comment.
        let row = client.query_one(&sql, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
        assert_eq!(route(&client).await, at(node, "asked"));
    }
    let sql = format!("-- tidegate: consistency=primary\n{READ}");
    assert_eq!(sent(&client, &sql).await, at("a", "asked"));
    assert_eq!(sent(&client, READ).await.1, "fresh_replica");
    // What writes goes where writes go.
    let sql = "/* tidegate: route=replica */ UPDATE t SET a = 7 RETURNING a";
    assert_eq!(sent(&client, sql).await, at("a", "write"));
}

#[tokio::test]
async fn a_comment_may_send_what_nobody_knows_to_a_replica() {
    let servers = three().await;
    let harmless = "CREATE FUNCTION six() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 6; END'";
    let writes = "CREATE FUNCTION add() RETURNS int LANGUAGE sql \
                  AS 'INSERT INTO t VALUES (8) RETURNING a'";
    servers.sql(harmless).await.unwrap();
    servers.sql(writes).await.unwrap();
    servers.caught_up().await.unwrap();
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    let there = |sql: &str| format!("/* tidegate: route=c */ {sql}");
    assert_eq!(sent(&client, &there("SELECT six()")).await, at("c", "asked"));
    let activity = "SELECT count(*) FROM pg_stat_activity";
    assert_eq!(sent(&client, &there(activity)).await, at("c", "asked"));
    // The replica refuses it, and the primary does it.
    assert_eq!(value(&client, &there("SELECT add()")).await, "8");
    assert_eq!(route(&client).await.0, "a");
    // Who wants no primary at all is told what the replica says.
    let told = refused(&client, "/* tidegate: route=replica */ SELECT add()").await;
    assert!(told.starts_with("25006"), "{told}");
}

#[tokio::test]
async fn a_session_is_sent_where_its_settings_say_until_they_change() {
    let servers = three().await;
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    client.batch_execute("SET tidegate.route = 'c'").await.unwrap();
    assert_eq!(value(&client, "SHOW tidegate.route").await, "c");
    for _ in 0..4 {
        assert_eq!(sent(&client, READ).await, at("c", "asked"));
    }
    let sql = format!("/* tidegate: route=b */ {READ}");
    assert_eq!(sent(&client, &sql).await, at("b", "asked"));
    client.batch_execute("BEGIN; SET tidegate.route = 'primary'; ROLLBACK").await.unwrap();
    assert_eq!(sent(&client, READ).await, at("c", "asked"));
    client.batch_execute("RESET tidegate.route").await.unwrap();
    assert_eq!(sent(&client, READ).await.1, "fresh_replica");
    assert_eq!(value(&client, "SHOW tidegate.route").await, "any");
    let options = "options='-c tidegate.route=b -c tidegate.consistency=strong'";
    let other = connect(&running, options).await;
    assert_eq!(value(&other, "SHOW tidegate.consistency").await, "strong");
    assert_eq!(sent(&other, READ).await, at("b", "asked"));
}

async fn connect(running: &Running, more: &str) -> Client {
    let port = running.postgres.port();
    let base = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    running.connect_with(&format!("{base} {more}")).await.unwrap()
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name_and_nothing_runs() {
    let servers = three().await;
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    for (sql, code, word) in [
        ("SET tidegate.consistency = 'storng'", "22023", "strong"),
        ("SET tidegate.route = 'd'", "22023", "replica, a, b, c"),
        ("SET tidegate.read_after = 'yesterday'", "22023", "SHOW tidegate.position"),
        ("SET tidegate.rout = 'b'", "42704", "tidegate.rout"),
        ("SHOW tidegate.rout", "42704", "tidegate.rout"),
        ("/* tidegate: consistency=storng */ DELETE FROM t", "22023", "strong"),
        ("/* tidegate: fast=yes */ DELETE FROM t", "42704", "tidegate.fast"),
    ] {
        let told = refused(&client, sql).await;
        assert!(told.starts_with(code) && told.contains(word), "{sql}: {told}");
        let told = client.query(sql, &[]).await.expect_err("it makes no sense");
        assert_eq!(told.code().map(|code| code.code()), Some(code), "{sql}");
    }
    assert_eq!(value(&client, READ).await, "7");
    let wrong = connect(&running, "options='-c tidegate.consistency=storng'").await;
    let told = refused(&wrong, READ).await;
    assert!(told.starts_with("22023") && told.contains("strong"), "{told}");
    wrong.batch_execute("SET tidegate.consistency = ''").await.unwrap();
    assert_eq!(value(&wrong, READ).await, "7");
}

#[tokio::test]
async fn rules_say_where_whose_reads_go() {
    let servers = three().await;
    servers.sql("CREATE ROLE reports LOGIN; GRANT SELECT ON t TO reports").await.unwrap();
    servers.sql("CREATE DATABASE billing").await.unwrap();
    servers.caught_up().await.unwrap();
    let rules = "rules = [
        { user = \"reports\", to = \"c\" },
        { application_name = \"nightly\", to = \"primary\" },
        { database = \"billing\", consistency = \"primary\" },
    ]";
    let running = patient(&servers, rules).start().await;
    let to = |more: String| format!("host=127.0.0.1 port={} {more}", running.postgres.port());
    let reports = to("user=reports dbname=postgres".into());
    let reports = running.connect_with(&reports).await.unwrap();
    for _ in 0..4 {
        assert_eq!(sent(&reports, READ).await, at("c", "asked"));
    }
    let billing = running.connect_with(&to("user=postgres dbname=billing".into())).await.unwrap();
    assert_eq!(sent(&billing, "SELECT 7").await, at("a", "asked"));
    let client = running.connect().await;
    assert_eq!(sent(&client, READ).await.1, "fresh_replica");
    client.batch_execute("SET application_name = 'nightly'").await.unwrap();
    assert_eq!(sent(&client, READ).await, at("a", "asked"));
    // What a session says goes before what a rule says.
    client.batch_execute("SET tidegate.route = 'any'").await.unwrap();
    assert_eq!(sent(&client, READ).await.1, "fresh_replica");
}

#[tokio::test]
async fn rules_name_statements_by_a_relation_or_by_their_shape() {
    let servers = three().await;
    servers.sql("CREATE TABLE audit AS SELECT 7 AS a").await.unwrap();
    servers.caught_up().await.unwrap();
    let rules = "rules = [
        { relation = \"audit\", statement = \"SELECT max(a) FROM audit\", to = \"b\" },
        { relation = \"public.audit\", to = \"primary\" },
        { statement = \"SELECT a FROM t WHERE a = 1\", to = \"c\" },
    ]";
    let running = patient(&servers, rules).start().await;
    let client = running.connect().await;
    for _ in 0..4 {
        assert_eq!(sent(&client, "SELECT max(a) FROM audit").await, at("b", "asked"));
        assert_eq!(sent(&client, "SELECT a FROM audit").await, at("a", "asked"));
        assert_eq!(sent(&client, "SELECT a FROM t WHERE a = 7").await, at("c", "asked"));
        client.query("SELECT a FROM public.audit WHERE a = $1", &[&7_i32]).await.unwrap();
        assert_eq!(route(&client).await, at("a", "asked"));
        assert_eq!(sent(&client, READ).await.1, "fresh_replica");
    }
}

#[tokio::test]
async fn rules_change_with_a_reload() {
    let servers = three().await;
    let wanted = patient(&servers, "rules = [{ user = \"postgres\", to = \"b\" }]");
    let other = wanted.text().replace("to = \"b\"", "to = \"c\"");
    let running = wanted.start().await;
    let client = running.connect().await;
    assert_eq!(sent(&client, READ).await, at("b", "asked"));
    std::fs::write(&running.file, other).unwrap();
    running.admin("RELOAD").await;
    assert_eq!(sent(&client, READ).await, at("c", "asked"));
}

#[tokio::test]
async fn reads_stay_in_their_zone_while_it_has_a_fresh_replica() {
    let servers = three().await;
    let keys = "max_staleness = \"400ms\"\nzone = \"west\"";
    let wanted = proxy(&servers).with("route", keys);
    let wanted = wanted.node("b", "zone = \"west\"").node("c", "zone = \"east\"");
    let running = wanted.start().await;
    let client = running.connect().await;
    for _ in 0..6 {
        until("a read near by", async || sent(&client, READ).await == at("b", "fresh_replica"))
            .await;
    }
    servers.replica(0).pause_replay().await.unwrap();
    servers.sql("INSERT INTO t VALUES (7)").await.unwrap();
    until("a read far away", async || sent(&client, READ).await == at("c", "far_replica")).await;
    servers.replica(0).resume_replay().await.unwrap();
    until("a read near by", async || sent(&client, READ).await == at("b", "fresh_replica")).await;
}

#[tokio::test]
async fn a_node_without_a_share_serves_who_asks_for_its_group() {
    let servers = three().await;
    let wanted = patient(&servers, "").weight("c", 0).node("c", "groups = [\"reports\"]");
    let running = wanted.start().await;
    let client = running.connect().await;
    for _ in 0..6 {
        assert_eq!(sent(&client, READ).await, at("b", "fresh_replica"));
    }
    client.batch_execute("SET tidegate.route = 'reports'").await.unwrap();
    for _ in 0..6 {
        assert_eq!(sent(&client, READ).await, at("c", "asked"));
    }
}

#[tokio::test]
async fn who_waits_for_a_replica_gets_its_answer_when_there_is_one() {
    let servers = three().await;
    let keys = "consistency = \"session\"\nread_wait = \"300ms\"\nfallback = \"wait\"";
    let running = patient(&servers, keys).start().await;
    let client = running.connect().await;
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    client.batch_execute("UPDATE t SET a = 9").await.unwrap();
    let read = tokio::spawn(async move {
        let read = value(&client, READ).await;
        (read, route(&client).await.1)
    });
    until("a client that waits", async || {
        format!("{:?}", running.admin("SHOW CLIENTS").await).contains("waiting")
    })
    .await;
    servers.replica(1).resume_replay().await.unwrap();
    assert_eq!(read.await.unwrap(), ("9".into(), "fresh_replica".into()));
}

#[tokio::test]
async fn a_position_makes_another_session_see_what_the_first_one_wrote() {
    let servers = three().await;
    let running = patient(&servers, "read_wait = \"300ms\"").start().await;
    let (first, second) = (running.connect().await, running.connect().await);
    for replica in [0, 1] {
        servers.replica(replica).pause_replay().await.unwrap();
    }
    first.batch_execute("UPDATE t SET a = 8").await.unwrap();
    let position = value(&first, "SHOW tidegate.position").await;
    assert_eq!(value(&second, READ).await, "7", "nobody asked for more");
    second.batch_execute(&format!("SET tidegate.read_after = '{position}'")).await.unwrap();
    assert_eq!(value(&second, READ).await, "8");
    assert_eq!(route(&second).await, at("a", "no_fresh_replica"));
    servers.replica(1).resume_replay().await.unwrap();
    until("a replica that came so far", async || {
        assert_eq!(value(&second, READ).await, "8");
        route(&second).await == at("c", "fresh_replica")
    })
    .await;
    // For one statement, too.
    let hinted = format!("/* tidegate: read_after={position} */ {READ}");
    assert_eq!(value(&running.connect().await, &hinted).await, "8");
    let foreign = format!("/* tidegate: read_after=1{position} */ {READ}");
    let told = refused(&second, &foreign).await;
    assert!(told.starts_with("22023") && told.contains("another database system"), "{told}");
}

#[tokio::test]
async fn a_position_is_not_told_before_what_goes_before_it_is_done() {
    let servers = three().await;
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    client.batch_execute("BEGIN; UPDATE t SET a = 8").await.unwrap();
    let inside = value(&client, "SHOW tidegate.position").await;
    client.batch_execute("COMMIT").await.unwrap();
    let after = value(&client, "SHOW tidegate.position").await;
    let lsn = |token: &str| token.rsplit(':').next().map(str::to_owned).unwrap();
    let later = format!("SELECT '{}'::pg_lsn > '{}'::pg_lsn", lsn(&after), lsn(&inside));
    assert_eq!(value(&client, &later).await, "t");
}

async fn explained(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    let prepared: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let simple: Vec<String> = client
        .simple_query(sql)
        .await
        .unwrap()
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!((simple.len(), &simple[1]), (prepared.len(), &prepared[1]), "{simple:?}");
    simple
}

#[tokio::test]
async fn explain_says_where_a_statement_would_go_and_runs_nothing() {
    let servers = three().await;
    let keys = "consistency = \"session\"";
    let running = patient(&servers, keys).weight("c", 0).start().await;
    let client = running.connect().await;
    let lines = explained(&client, "EXPLAIN (TIDEGATE) SELECT a FROM t WHERE a = 7").await;
    assert!(lines[0].starts_with("Route: b (fresh_replica): a read"), "{lines:?}");
    assert_eq!(lines[1], "Reads: consistency session, max_staleness 3600s");
    let ends = ["is no replica", "may answer it", "has weight 0"];
    assert!(lines[2..].iter().zip(ends).all(|(line, end)| line.ends_with(end)), "{lines:?}");
    let lines = explained(&client, "EXPLAIN (TIDEGATE) DELETE FROM t").await;
    assert!(lines[0].starts_with("Route: a (write): "), "{lines:?}");
    assert_eq!(value(&client, READ).await, "7");
    let sql = "/* tidegate: route=c */ EXPLAIN (TIDEGATE) TABLE t";
    // The session has seen another replica just now.
    until("a replica that shows no less", async || {
        explained(&client, sql).await[0].starts_with("Route: c (asked): ")
    })
    .await;
    client.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let lines = explained(&client, "EXPLAIN (TIDEGATE) TABLE t").await;
    assert!(lines.iter().any(|line| line.contains("its transaction is open")), "{lines:?}");
}

#[tokio::test]
async fn routes_tell_of_each_shape_where_it_went_and_how_long_it_took() {
    let servers = three().await;
    let running = patient(&servers, "").start().await;
    let client = running.connect().await;
    for a in 0..5 {
        client.simple_query(&format!("SELECT a FROM t WHERE a = {a}")).await.unwrap();
    }
    client.batch_execute("UPDATE t SET a = 7 WHERE a = 99").await.unwrap();
    let statement = client.prepare("SELECT a FROM t WHERE a < $1").await.unwrap();
    for _ in 0..3 {
        client.query(&statement, &[&5_i32]).await.unwrap();
    }
    // A shape is judged anew with each catalog, and stays one shape.
    client.batch_execute("CREATE FUNCTION renewed() RETURNS int RETURN 1").await.unwrap();
    until("a catalog with the function", async || {
        sent(&client, "SELECT renewed()").await.1 == "fresh_replica"
    })
    .await;
    client.simple_query("SELECT a FROM t WHERE a = 1").await.unwrap();
    // What is written down of a statement is written after its answer: by then of these all.
    client.simple_query("SELECT 1").await.unwrap();
    let routes = running.admin("SHOW ROUTES").await;
    let of = |shape: &str| {
        let rows: Vec<_> = routes.iter().filter(|row| row[9].as_deref() == Some(shape)).collect();
        let [row] = rows[..] else { panic!("{shape}: {routes:?}") };
        let number = |at: usize| row[at].as_ref().unwrap().parse::<u64>().unwrap();
        let (average, median, longest) = (number(5), number(6), number(8));
        assert!(average > 0 && median <= longest && average <= longest, "{row:?}");
        (row[1].clone().unwrap(), number(2), number(3))
    };
    assert_eq!(of("SELECT a FROM t WHERE a = ?"), ("read".into(), 0, 6));
    assert_eq!(of("UPDATE t SET a = ? WHERE a = ?"), ("write".into(), 1, 0));
    let (kind, primary, replicas) = of("SELECT a FROM t WHERE a < ?");
    assert_eq!((kind.as_str(), primary), ("read", 0));
    assert!(replicas >= 3);
}
