//! The HTTP pages, asked over plain TCP.

mod view_fixture;

use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate::chronicle::Chronicle;
use tidegate::http::{METRICS, Problem, Settings, Source, serve};
use tidegate::telemetry::Metric;
use tidegate::view::{Proxy, Sample};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use view_fixture::proxy;

/// A proxy that stays as it is.
struct Fixed {
    view: Proxy,
    chronicle: Chronicle,
}

impl Source for Fixed {
    fn view(&self) -> Proxy {
        self.view.clone()
    }
    fn samples(&self, after: u64) -> Vec<Sample> {
        self.chronicle.samples_after(after)
    }
    fn sampled(&self) -> watch::Receiver<u64> {
        self.chronicle.samples()
    }
    fn command<'a>(
        &'a self,
        operator: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Value, Problem>> {
        let operator = operator.split(' ').next().unwrap_or_default();
        let answer = match text {
            "WRONG" => Err(Problem {
                number: "TG0901".into(),
                error: "wrong".into(),
                code: None,
                hint: None,
            }),
            _ => Ok(json!({ "done": text, "by": operator })),
        };
        Box::pin(async { answer })
    }
}

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
    let source = Arc::new(Fixed { view, chronicle: Chronicle::default() });
    let sample = source.view.average.clone().expect("one of the fixture");
    source.chronicle.sample(sample.clone(), sample);
    let task = tokio::spawn(serve(listener, settings, source, recorded, async {
        let _ = stopped.await;
    }));
    Http { address, stop: Some(stop), task }
}

impl Http {
    /// The status, the head and the body of the answer.
    async fn get(&self, path: &str, header: &str) -> (u16, String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{header}\r\n"))
            .await
    }

    async fn post(&self, path: &str, header: &str, body: &str) -> (u16, String, String) {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n{header}\r\n{body}"
        ))
        .await
    }

    async fn ask(&self, request: &str) -> (u16, String, String) {
        let mut tcp = TcpStream::connect(self.address).await.expect("a connection");
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
        "tidegate_certificate_ends_timestamp_seconds{listener=\"postgres\"} 1826161209",
        "tidegate_reloads_total{result=\"refused\"} 1",
        "tidegate_last_reload_refused 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in\n{body}");
    }
    assert!(
        !body.contains("staleness_seconds{cluster=\"orders\",node=\"c\"}"),
        "unknown is absent"
    );
}

/// `TIDEGATE_TEST_WRITE=1` writes the page anew instead.
#[test]
fn the_page_of_metrics_is_current() {
    const HEAD: &str = "# Metrics\n\nWhat `/metrics` shows, made from the table in `src/http/table.rs` \
         (`tests/http.rs` says how). Units end the\nnames. `config/alerts.yaml` has alerts on them and \
         `config/grafana.json` a dashboard.\n\n| metric | kind | labels | what it says |\n|---|---|---|---|\n";
    let row = |metric: &Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        format!("| `{name}` | {kind} | {} | {} |\n", labels.join(", "), metric.help)
    };
    let page = HEAD.to_owned() + &METRICS.iter().map(row).collect::<String>();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        std::fs::write(file, &page).expect("written");
    }
    assert!(
        std::fs::read_to_string(file).expect("the page") == page,
        "docs/metrics.md is not current"
    );
}

#[tokio::test]
async fn what_is_recorded_elsewhere_is_on_the_page_too() {
    let recorded = tidegate::telemetry::install_recorder().expect("the only one");
    metrics::counter!("tidegate_recorded_total", "result" => "ok").increment(2);
    let http = http_with(None, proxy(), Some(recorded)).await;
    let (_, _, body) = http.get("/metrics", "").await;
    for line in ["tidegate_recorded_total{result=\"ok\"} 2", "tidegate_info{version=\"0.1.0\"} 1"] {
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

#[tokio::test]
async fn a_browser_logs_in_with_the_token_and_its_cookie_alone_changes_nothing() {
    let http = http(Some("s3cret"), proxy()).await;
    assert_eq!(http.get("/api/v1/overview", "").await.0, 401);
    let (status, _, body) = http.post("/api/v1/login", "", "{\"token\":\"guess\"}").await;
    assert_eq!(status, 401, "{body}");
    let (status, head, _) = http.post("/api/v1/login", "", "{\"token\":\"s3cret\"}").await;
    assert_eq!(status, 204);
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains("s3cret"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().expect("a pair"));
    assert_eq!(http.get("/api/v1/overview", &cookie).await.0, 200);
    let command = "{\"command\":\"RELOAD\"}";
    assert_eq!(http.post("/api/v1/command", &cookie, command).await.0, 401);
    let ours = format!("{cookie}X-Tidegate: test\r\n");
    let (status, _, body) = http.post("/api/v1/command", &ours, command).await;
    assert_eq!((status, body.as_str()), (200, "{\"by\":\"http\",\"done\":\"RELOAD\"}"));
    let wrong = http.post("/api/v1/command", &ours, "{\"command\":\"WRONG\"}").await;
    assert_eq!((wrong.0, wrong.2.as_str()), (422, "{\"number\":\"TG0901\",\"error\":\"wrong\"}"));
    assert_eq!(http.post("/api/v1/logout", &ours, "{}").await.0, 204);
    assert_eq!(http.get("/api/v1/overview", &cookie).await.0, 401);
}

#[tokio::test]
async fn without_a_token_everyone_here_may_read_and_nobody_may_command() {
    let http = http(None, proxy()).await;
    let (status, _, body) = http.get("/api/v1/overview", "").await;
    let overview: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &overview["may_command"]), (200, &json!(false)));
    assert_eq!(overview["clusters"][0]["nodes"][1]["staleness_seconds"], json!(0.012));
    let (status, _, body) =
        http.post("/api/v1/command", "X-Tidegate: t\r\n", "{\"command\":\"RELOAD\"}").await;
    assert!(status == 403 && body.contains("http.token"), "{status} {body}");
    assert_eq!(http.post("/api/v1/login", "", "{\"token\":\"\"}").await.0, 403);
}

#[tokio::test]
async fn the_live_stream_begins_with_all_samples_and_ends_with_the_server() {
    let mut http = http(None, proxy()).await;
    let mut tcp = TcpStream::connect(http.address).await.expect("a connection");
    tcp.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: t\r\n\r\n").await.expect("sent");
    let mut seen = String::new();
    while !seen.contains("\"samples\":[") {
        let mut chunk = [0; 4096];
        let read = tcp.read(&mut chunk).await.expect("an answer");
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    http.stop.take().expect("running").send(()).expect("it runs");
    tcp.read_to_string(&mut seen).await.expect("an end");
    http.task.await.expect("no panic").expect("no error");
    assert!(seen.contains("\"p99_seconds\":0.001024"), "{seen}");
}

#[tokio::test]
async fn the_dashboard_is_open_to_all_and_loads_nothing_from_elsewhere() {
    let http = http(Some("s3cret"), proxy()).await;
    for (path, kind) in
        [("/", "text/html"), ("/style.css", "text/css"), ("/script.js", "text/javascript")]
    {
        let (status, head, body) = http.get(path, "").await;
        assert_eq!(status, 200, "{path}");
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert!(head.contains("frame-ancestors 'none'"), "{head}");
        let links = body.match_indices("http").map(|(at, _)| &body[at..]);
        for link in links.filter(|link| link.starts_with("http://") || link.starts_with("https://"))
        {
            assert!(link.starts_with("http://www.w3.org/"), "{path}: {}", &link[..40]);
        }
    }
}

#[tokio::test]
async fn whatever_is_refused_has_its_number_in_the_catalogue_and_a_hint() {
    let (open, closed) = (http(None, proxy()).await, http(Some("s3cret"), proxy()).await);
    let (bearer, command) = ("Authorization: Bearer s3cret\r\n", "/api/v1/command");
    let asked = [
        (closed.get("/metrics", "").await, 401, "TG0951"),
        (open.post(command, "", "{\"command\":\"RELOAD\"}").await, 403, "TG0952"),
        (open.post("/api/v1/login", "", "{\"token\":\"x\"}").await, 403, "TG0953"),
        (closed.post("/api/v1/login", "", "{\"token\":\"x\"}").await, 401, "TG0954"),
        (open.get("/nowhere", "").await, 404, "TG0956"),
        (open.post("/metrics", "", "").await, 405, "TG0957"),
        (closed.post(command, bearer, "{\"comand\":1}").await, 400, "TG0958"),
        (closed.post("/api/v1/login", "", "no JSON").await, 400, "TG0958"),
        (open.get("/api/v1/samples?after=x", "").await, 400, "TG0958"),
        (closed.post(command, bearer, "{\"command\":\"WRONG\"}").await, 422, "TG0901"),
    ];
    for ((status, _, body), wanted, number) in asked {
        let problem: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &problem["number"]), (wanted, &number.into()), "{body}");
        assert!(problem["error"].is_string(), "{body}");
        assert!(problem["hint"].is_string() || number == "TG0901", "{body}");
    }
}
