//! A collector of traces: it takes what is posted to it, as OpenTelemetry's protocol has it.
#![allow(dead_code, reason = "every test binary uses another part")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Taken {
    spans: Vec<Value>,
    headers: Vec<HeaderMap>,
    resource: Value,
    /// What was posted, as it came.
    texts: String,
    answer: Option<StatusCode>,
}

/// A running one; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub(crate) async fn start() -> Collector {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Collector { address, taken }
    }

    /// `[tracing]` that leads to it.
    pub(crate) fn section(&self, more: &str) -> String {
        let endpoint = format!("http://{}", self.address);
        format!("[tracing]\nendpoint = \"{endpoint}\"\ninterval = \"10ms\"\n{more}")
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, status: StatusCode) {
        self.taken.lock().answer = Some(status);
    }

    /// Waits for a span of which this is true.
    pub(crate) async fn span(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(span) = self.taken.lock().spans.iter().find(|span| is_it(span)) {
                return span.clone();
            }
            assert!(Instant::now() < end, "no such span: {:#?}", self.taken.lock().spans);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn spans(&self) -> Vec<Value> {
        self.taken.lock().spans.clone()
    }

    pub(crate) fn texts(&self) -> String {
        self.taken.lock().texts.clone()
    }

    pub(crate) fn resource(&self) -> Value {
        self.taken.lock().resource.clone()
    }

    /// A header of the first request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let taken = self.taken.lock();
        let value = taken.headers.first()?.get(name)?;
        value.to_str().ok().map(str::to_owned)
    }
}

async fn take(
    State(taken): State<Arc<Mutex<Taken>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut taken = taken.lock();
    if let Some(status) = taken.answer {
        return (status, "");
    }
    let asked: Value = serde_json::from_slice(&body).expect("JSON");
    let of = &asked["resourceSpans"][0];
    taken.resource = of["resource"]["attributes"].clone();
    let spans = of["scopeSpans"][0]["spans"].as_array().expect("spans").clone();
    taken.spans.extend(spans);
    taken.headers.push(headers);
    taken.texts.push_str(&String::from_utf8_lossy(&body));
    (StatusCode::OK, "{}")
}

/// An attribute's value; nothing: it has none of that name.
pub(crate) fn attribute(span: &Value, key: &str) -> Value {
    let all = span["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|attribute| attribute["key"] == key);
    let value = found.and_then(|attribute| attribute["value"].as_object());
    value.and_then(|value| value.values().next().cloned()).unwrap_or(Value::Null)
}
