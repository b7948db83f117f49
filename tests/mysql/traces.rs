//! Traces of MySQL's and MariaDB's clients.

use super::collector::{Collector, attribute};
use super::fixture::{one_server, proxy, servers};
use mysql_async::prelude::Queryable;
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn comment() -> String {
    format!("/*traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/")
}

fn text(span: &Value) -> String {
    attribute(span, "db.query.text").as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_and_transactions_are_spans_here_too() {
    let cluster = servers(1).await;
    let collector = Collector::start().await;
    let section = collector.section("sample_ratio = 0.0");
    let running = proxy(&cluster, "mode = \"transaction\"", &section).await;
    let mut conn = running.connect().await;
    conn.query_drop("CREATE TABLE orders (n INT)").await.unwrap();
    conn.query_drop("START TRANSACTION").await.unwrap();
    let insert = format!("INSERT INTO orders VALUES (?) {}", comment());
    conn.exec_drop(&insert, (7,)).await.unwrap();
    conn.query_drop("COMMIT").await.unwrap();
    let span = collector.span(|span| span["traceId"] == TRACE).await;
    assert_eq!(span["name"], "INSERT orders; COMMIT");
    assert_eq!(attribute(&span, "db.system.name"), "mariadb");
    assert_eq!(attribute(&span, "db.namespace"), "test");
    assert_eq!(attribute(&span, "tidegate.route"), "primary");
    assert_eq!(attribute(&span, "tidegate.statements"), "3");
    let read = format!("SELECT 'secret' AS own FROM orders {}", comment());
    conn.query_drop(&read).await.unwrap();
    let span = collector.span(|span| text(span).contains("own")).await;
    assert_eq!(span["name"], "SELECT orders");
    assert_eq!(attribute(&span, "db.operation.name"), "SELECT");
    assert!(attribute(&span, "tidegate.reason").is_string(), "{span}");
    assert_eq!(collector.spans().len(), 2);
    assert!(!collector.texts().contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_have_their_number_in_a_session_that_keeps_its_server() {
    let cluster = one_server().await;
    let collector = Collector::start().await;
    let running = proxy(&cluster, "", &collector.section("sample_ratio = 1.0")).await;
    let mut conn = running.connect().await;
    conn.query_drop("SELECT * FROM nowhere").await.unwrap_err();
    let span = collector.span(|span| attribute(span, "error.type") == "1146").await;
    assert_eq!(span["name"], "SELECT nowhere");
    assert_eq!(span["status"]["code"], 2);
}
