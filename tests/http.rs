//! The HTTP pages, asked over plain TCP.

mod view_fixture;

use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate::http::{METRICS, Settings, serve};
use tidegate::view::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use view_fixture::proxy;

struct Http {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn http(token: Option<&str>, view: Proxy) -> Http {
    http_with(token, view, None).await
}

async fn http_with(token: Option<&str>, view: Proxy, recorded: Option<PrometheusHandle>) -> Http {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let settings = Settings { token: token.map(Into::into) };
    let source = Arc::new(move || view.clone());
    let task = tokio::spawn(serve(listener, settings, source, recorded, async {
        let _ = stopped.await;
    }));
    Http { address, stop: Some(stop), task }
}

impl Http {
    /// The status, the head and the body of the answer.
    async fn get(&self, path: &str, header: &str) -> (u16, String, String) {
        let mut tcp = TcpStream::connect(self.address).await.expect("a connection");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{header}\r\n");
        tcp.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        tcp.read_to_string(&mut text).await.expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, head.to_string(), body.to_string())
    }
}

/// Name, labels and value of a sample; panics on whatever Prometheus would not read.
fn sample(line: &str) -> (&str, &str, f64) {
    let (front, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = front.split_once('{') else { return (front, "", value) };
    let labels = labels.strip_suffix('}').expect("a closing brace");
    for pair in labels.split("\",") {
        let (label, text) = pair.split_once("=\"").expect("a label");
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        assert!(!text.trim_end_matches('"').contains('"'), "{line}");
    }
    (name, labels, value)
}

#[tokio::test]
async fn every_line_of_the_metrics_is_read_by_prometheus() {
    let http = http(None, proxy()).await;
    let (status, head, body) = http.get("/metrics", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let (mut typed, mut seen) = (HashSet::new(), HashSet::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap().to_string()), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, labels, _) = sample(line);
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|base| typed.contains(*base)));
            assert!(typed.contains(base.unwrap_or(name)), "{line} has no type");
            assert!(seen.insert(format!("{name}{labels}")), "{line} is there twice");
        }
    }
    assert_eq!(typed.len(), METRICS.len());
    for line in [
        "tidegate_node_staleness_seconds{cluster=\"orders\",node=\"b\"} 0.012",
        "tidegate_node_role{cluster=\"orders\",node=\"c\",role=\"unknown\"} 1",
        "tidegate_routed_total{cluster=\"orders\",database=\"orders\",because=\"fresh_replica\"} 900",
        "tidegate_pool_wait_seconds_count{cluster=\"orders\",database=\"orders\"} 1",
        "tidegate_clients{cluster=\"orders\",state=\"active\"} 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in\n{body}");
    }
    assert!(
        !body.contains("staleness_seconds{cluster=\"orders\",node=\"c\"}"),
        "unknown is absent"
    );
}

#[tokio::test]
async fn what_is_recorded_elsewhere_is_on_the_page_too() {
    let recorded = tidegate::telemetry::install_recorder().expect("the only one");
    metrics::counter!("tidegate_reloads_total", "result" => "ok").increment(2);
    let http = http_with(None, proxy(), Some(recorded)).await;
    let (_, _, body) = http.get("/metrics", "").await;
    for line in ["tidegate_reloads_total{result=\"ok\"} 2", "tidegate_info{version=\"0.1.0\"} 1"] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in\n{body}");
    }
}

#[tokio::test]
async fn readyz_says_what_is_missing() {
    let ready = http(None, proxy()).await;
    let (status, _, body) = ready.get("/readyz", "").await;
    assert_eq!((status, body.as_str()), (200, r#"{"ready":true,"missing":[]}"#));

    let mut view = proxy();
    view.clusters[0].primary = None;
    view.listeners[0].open = false;
    let unready = http(None, view).await;
    let (status, _, body) = unready.get("/readyz", "").await;
    assert_eq!(status, 503);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let missing =
        ["listener postgres (127.0.0.1:6432) is not open", "cluster orders has no primary"];
    assert_eq!(body, serde_json::json!({ "ready": false, "missing": missing }));
    assert_eq!(unready.get("/healthz", "").await.0, 200, "it lives all the same");
}

#[tokio::test]
async fn the_token_guards_all_but_health() {
    let http = http(Some("s3cret"), proxy()).await;
    for path in ["/metrics", "/api/v1/status"] {
        let (status, head, body) = http.get(path, "").await;
        assert_eq!(status, 401, "{path}");
        assert!(head.to_lowercase().contains("www-authenticate: bearer"), "{head}");
        assert!(!body.contains("orders"), "{body}");
        let wrong = http.get(path, "Authorization: Bearer s3cres\r\n").await;
        assert_eq!(wrong.0, 401, "{path}");
        let right = http.get(path, "Authorization: Bearer s3cret\r\n").await;
        assert_eq!(right.0, 200, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http.get(path, "").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn the_status_is_the_view_as_json() {
    let http = http(None, proxy()).await;
    let (status, _, body) = http.get("/api/v1/status", "").await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["clusters"][0]["nodes"][1]["staleness_seconds"], 0.012);
    assert_eq!(body["clusters"][0]["nodes"][2]["staleness_seconds"], serde_json::Value::Null);
    assert_eq!(body["clients"][0]["last_route"]["because"], "fresh_replica");
    assert_eq!(body["clients"][0]["connected"], "2027-01-15T08:00:00Z");
    assert_eq!(http.get("/nothing", "").await.0, 404);
}

#[tokio::test]
async fn it_stops_when_told_though_a_client_holds_its_connection_open() {
    let mut http = http(None, proxy()).await;
    let mut idle = TcpStream::connect(http.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    http.stop.take().unwrap().send(()).unwrap();
    (&mut http.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(http.address).await.is_err());
}
