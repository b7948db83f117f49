//! Metrics, health, the JSON API and the dashboard, all rendered from one `view::Proxy`.

mod api;
mod assets;
mod backups;
mod login;
mod metrics;
mod problem;
mod table;

pub use problem::Problem;
pub use table::METRICS;

use crate::view::{Proxy, Sample};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use problem::Fault;
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

#[derive(Clone, Default)]
pub struct Settings {
    /// Bearer token for all data; `None`: open to read, for loopback only.
    pub token: Option<Arc<str>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("token", &self.token.as_ref().map(|_| "…")).finish()
    }
}

/// What the pages show and do; the composition root implements it.
pub trait Source: Send + Sync + 'static {
    fn view(&self) -> Proxy;
    /// Samples with a number above this one, the oldest first.
    fn samples(&self, after: u64) -> Vec<Sample>;
    /// Changes with each sample.
    fn sampled(&self) -> watch::Receiver<u64>;
    /// Runs a command of the console in the name of an operator.
    fn command<'a>(
        &'a self,
        operator: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Value, Problem>>;
}

#[derive(Clone)]
struct Pages {
    source: Arc<dyn Source>,
    recorded: Option<PrometheusHandle>,
    token: Option<Arc<str>>,
    sessions: Arc<login::Sessions>,
    /// True when the live streams have to end.
    ending: watch::Receiver<bool>,
}

/// Serves until `stop` resolves, then finishes running requests for at most five seconds.
///
/// `recorded`: what `metrics::counter!` and friends collect; its upkeep runs here.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    source: Arc<dyn Source>,
    recorded: Option<PrometheusHandle>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    const FINISH: Duration = Duration::from_secs(5);
    let (end, ending) = watch::channel(false);
    let pages = Pages {
        source,
        recorded: recorded.clone(),
        token: settings.token,
        sessions: Arc::default(),
        ending,
    };
    let stopping = Arc::new(Notify::new());
    let told = stopping.clone();
    let graceful = async move { told.notified().await };
    let service = router(pages).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(graceful);
    let mut serving = std::pin::pin!(serving.into_future());
    // Cancel-safe: `serving` is polled again below, the other two hold nothing.
    tokio::select! {
        ended = &mut serving => return ended,
        () = upkeep(recorded) => {}
        () = stop => {}
    }
    stopping.notify_one();
    end.send_replace(true);
    tokio::time::timeout(FINISH, serving).await.unwrap_or(Ok(()))
}

/// Keeps the recorder from growing between scrapes; never returns.
async fn upkeep(recorded: Option<PrometheusHandle>) {
    const EVERY: Duration = Duration::from_secs(5);
    loop {
        tokio::time::sleep(EVERY).await;
        if let Some(recorded) = &recorded {
            recorded.run_upkeep();
        }
    }
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/metrics", get(metrics_page))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/overview", get(api::overview_page))
        .route("/api/v1/samples", get(api::samples))
        .route("/api/v1/live", get(api::live))
        .route("/api/v1/command", post(api::command))
        .route("/api/v1/logout", post(login::logout))
        .route_layer(middleware::from_fn_with_state(pages.clone(), login::authorized))
        .route("/api/v1/login", post(login::login))
        .route("/", get(assets::page))
        .route("/style.css", get(assets::style))
        .route("/script.js", get(assets::script))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .fallback(|| async { Fault::NothingHere })
        .method_not_allowed_fallback(|| async { Fault::Method })
        .with_state(pages)
}

async fn metrics_page(State(pages): State<Pages>) -> Response {
    let mut text = metrics::render(&pages.source.view());
    if let Some(recorded) = &pages.recorded {
        text.push_str(&recorded.render());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    missing: Vec<String>,
}

async fn readyz(State(pages): State<Pages>) -> Response {
    let missing = pages.source.view().missing();
    let ready = missing.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Readiness { ready, missing })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_printed() {
        let settings = Settings { token: Some("s3cret".into()) };
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
