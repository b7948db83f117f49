//! Traces: which transactions become spans, whose, and what is told of them.

use crate::support::cluster;
use crate::support::collector::{Collector, attribute};
use crate::support::proxy::{Running, proxy};
use axum::http::StatusCode;
use std::io::{Read, Write};
use std::net::TcpStream;
use tidegate::lab::postgres::{Cluster, How};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A comment of sqlcommenter's.
fn comment(trace: &str, sampled: bool) -> String {
    let flags = u8::from(sampled);
    format!("/*action='%2Fbuy',traceparent='00-{trace}-{PARENT}-0{flags}'*/")
}

async fn traced(servers: &Cluster, collector: &Collector, more: &str) -> Running {
    proxy(servers).top(&collector.section(more)).start().await
}

/// The metric of spans with this result.
fn counted(running: &Running, result: &str) -> f64 {
    let mut stream = TcpStream::connect(running.http).expect("the port");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("a question");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("an answer");
    let start = format!("tidegate_spans_total{{result=\"{result}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{start}: {page}")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_hangs_under_the_span_that_its_comment_names() {
    let servers = cluster().replicas(1).start().await.expect("servers");
    let collector = Collector::start().await;
    let running = traced(&servers, &collector, "sample_ratio = 0\nservice_name = \"shop\"").await;
    let client = running.connect().await;
    let asked =
        format!("SELECT relname FROM pg_class WHERE relname = 'secret' {}", comment(TRACE, true));
    client.simple_query(&asked).await.expect("an answer");
    let span = collector.span(|span| span["traceId"] == TRACE).await;
    assert_eq!(span["parentSpanId"], PARENT);
    assert_eq!((&span["name"], &span["kind"]), (&"SELECT pg_class".into(), &3.into()));
    assert!(span["status"].is_null(), "{span}");
    let is = |key: &str| attribute(&span, key);
    assert_eq!(is("db.system.name"), "postgresql");
    assert_eq!(is("db.namespace"), "postgres");
    assert_eq!(is("db.operation.name"), "SELECT");
    assert_eq!(is("db.query.summary"), "SELECT pg_class");
    assert_eq!(is("db.query.text"), "SELECT relname FROM pg_class WHERE relname = ?");
    assert_eq!(is("server.address"), "127.0.0.1");
    assert_eq!((is("tidegate.cluster"), is("tidegate.statements")), ("test".into(), "1".into()));
    let node = is("tidegate.node");
    let at = servers.nodes().iter().position(|of| node == of.name()).expect("a node");
    let port = servers.nodes()[at].address().rsplit(':').next().expect("a port").to_owned();
    assert_eq!(is("server.port"), port.as_str());
    assert_eq!(is("tidegate.route"), ["primary", "replica"][at]);
    assert_eq!(is("tidegate.reason"), last_reason(&client).await.as_str());
    assert!(is("tidegate.wait").is_number(), "{span}");
    assert_eq!(is("tidegate.rows"), "0");
    let times = ["startTimeUnixNano", "endTimeUnixNano"];
    let [start, end] = times.map(|key| span[key].as_str().and_then(|at| at.parse::<u128>().ok()));
    assert!(start.is_some() && start <= end, "{span}");
    assert_eq!(collector.resource()[0]["value"]["stringValue"], "shop");
    assert_eq!(collector.header("content-type").as_deref(), Some("application/json"));
    assert!(!collector.texts().contains("secret"));
}

/// The reason in `SHOW tidegate.last_route`, of the same kind of statement.
async fn last_reason(client: &tokio_postgres::Client) -> String {
    let row = client.query_one("SHOW tidegate.last_route", &[]).await.expect("a row");
    let told: String = row.get(0);
    told.rsplit('(').next().expect("a reason").trim_end_matches(')').to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_one_span_with_all_its_statements() {
    let servers = cluster().start().await.expect("a server");
    let collector = Collector::start().await;
    let running = traced(&servers, &collector, "sample_ratio = 0").await;
    let mut client = running.connect().await;
    client.batch_execute("CREATE TABLE orders (n int)").await.expect("a table");
    let transaction = client.transaction().await.expect("a transaction");
    // Prepared, in a batch of its own, and executed twice.
    let insert =
        format!("INSERT INTO orders SELECT generate_series(1, $1) {}", comment(TRACE, true));
    let insert = transaction.prepare(&insert).await.expect("a statement");
    for _ in 0..2 {
        transaction.execute(&insert, &[&3_i32]).await.expect("rows");
    }
    transaction.commit().await.expect("a commit");
    let span = collector.span(|span| span["traceId"] == TRACE).await;
    // What went before the comment was not known to be of interest.
    assert_eq!(span["name"], "INSERT orders SELECT; INSERT orders SELECT; COMMIT");
    assert_eq!(attribute(&span, "tidegate.statements"), "4");
    assert_eq!(attribute(&span, "tidegate.rows"), "6");
    assert_eq!(attribute(&span, "tidegate.route"), "primary");
    assert!(attribute(&span, "db.operation.name").is_null());
    client.simple_query("SELECT 1").await.expect("an answer");
    assert_eq!(collector.spans().len(), 1, "{:?}", collector.spans());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_decides_and_without_one_the_ratio() {
    let servers = cluster().start().await.expect("a server");
    let collector = Collector::start().await;
    let running = traced(&servers, &collector, "sample_ratio = 1.0").await;
    let client = running.connect().await;
    let dropped = format!("SELECT 'dropped' AS dropped {}", comment(TRACE, false));
    client.simple_query(&dropped).await.expect("an answer");
    client.query("SELECT $1::int4 AS kept", &[&1_i32]).await.expect("an answer");
    let kept = |span: &serde_json::Value| {
        attribute(span, "db.query.text").as_str().is_some_and(|t| t.contains("kept"))
    };
    let span = collector.span(kept).await;
    assert!(span["parentSpanId"].is_null() && span["traceId"] != TRACE, "{span}");
    assert!(!collector.texts().contains("dropped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_has_its_code() {
    let servers = cluster().start().await.expect("a server");
    let collector = Collector::start().await;
    let section = collector.section("sample_ratio = 1.0");
    let running = proxy(&servers).top(&section).with("failover", "hold = \"1s\"").start().await;
    let client = running.connect().await;
    assert!(client.simple_query("SELECT 1/0").await.is_err());
    let of =
        |code: &'static str| move |span: &serde_json::Value| attribute(span, "error.type") == code;
    let span = collector.span(of("22012")).await;
    assert_eq!(attribute(&span, "db.response.status_code"), "22012");
    assert_eq!(span["status"]["code"], 2);
    // What a savepoint undid is no failure of the transaction.
    let undone = "BEGIN; SAVEPOINT s";
    client.batch_execute(undone).await.expect("a transaction");
    assert!(client.simple_query("SELECT 2/0 AS undone").await.is_err());
    client.batch_execute("ROLLBACK TO s").await.expect("a savepoint");
    client.batch_execute("SELECT 3; COMMIT").await.expect("a commit");
    let whole = collector
        .span(|span| {
            attribute(span, "db.query.text").as_str().is_some_and(|t| t.contains("undone"))
        })
        .await;
    assert!(whole["status"].is_null(), "{whole}");
    // Nobody serves it: the proxy's own code.
    servers.nodes()[0].stop(How::Immediate).await;
    assert!(client.simple_query("SELECT 4").await.is_err());
    let refused = |span: &serde_json::Value| {
        let code = attribute(span, "error.type");
        code.as_str().is_some_and(|code| code.starts_with("08") || code.starts_with("57"))
    };
    collector.span(refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_refuses_costs_spans_and_nothing_else() {
    let servers = cluster().start().await.expect("a server");
    let collector = Collector::start().await;
    let running = traced(&servers, &collector, "sample_ratio = 1.0").await;
    let client = running.connect().await;
    let ask = || client.simple_query("SELECT 1");
    ask().await.expect("an answer");
    collector.span(|_| true).await;
    collector.answers(StatusCode::BAD_REQUEST);
    while counted(&running, "refused") == 0.0 {
        ask().await.expect("an answer");
    }
    assert!(counted(&running, "sent") > 0.0);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let away = format!(
        "[tracing]\nendpoint = \"http://127.0.0.1:{port}\"\nqueue = 1\ninterval = \"10ms\"\nsample_ratio = 1.0"
    );
    let running = proxy(&servers).top(&away).start().await;
    let client = running.connect().await;
    while counted(&running, "queue_full") == 0.0 {
        client.simple_query("SELECT 1").await.expect("an answer");
    }
}
