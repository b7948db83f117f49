//! Metrics, health and the JSON API, all rendered from one `view::Proxy`.

mod backups;
mod metrics;
mod table;

pub use table::METRICS;

use crate::view::Proxy;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct Settings {
    /// Bearer token for everything but `/healthz` and `/readyz`; `None`: open, for loopback only.
    pub token: Option<Arc<str>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("token", &self.token.as_ref().map(|_| "…")).finish()
    }
}

/// Where the pages get their numbers from.
pub type Source = Arc<dyn Fn() -> Proxy + Send + Sync>;

#[derive(Clone)]
struct Pages {
    source: Source,
    recorded: Option<PrometheusHandle>,
    token: Option<Arc<str>>,
}

/// Serves until `stop` resolves, then finishes running requests for at most five seconds.
///
/// `recorded`: what `metrics::counter!` and friends collect; its upkeep runs here.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    source: Source,
    recorded: Option<PrometheusHandle>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    const FINISH: Duration = Duration::from_secs(5);
    let pages = Pages { source, recorded: recorded.clone(), token: settings.token };
    let stopping = Arc::new(Notify::new());
    let told = stopping.clone();
    let graceful = async move { told.notified().await };
    let serving = axum::serve(listener, router(pages)).with_graceful_shutdown(graceful);
    let mut serving = std::pin::pin!(serving.into_future());
    // Cancel-safe: `serving` is polled again below, the other two hold nothing.
    tokio::select! {
        ended = &mut serving => return ended,
        () = upkeep(recorded) => {}
        () = stop => {}
    }
    stopping.notify_one();
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
        .route("/api/v1/status", get(status))
        .route_layer(middleware::from_fn_with_state(pages.clone(), authorized))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .fallback(nothing_here)
        .with_state(pages)
}

async fn authorized(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    if allowed(pages.token.as_deref(), given) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate\"")];
    let body = Problem { error: "a valid bearer token is required", hint: None };
    (StatusCode::UNAUTHORIZED, challenge, Json(body)).into_response()
}

/// Compares without telling by its time how much of the token was right.
fn allowed(token: Option<&str>, given: Option<&[u8]>) -> bool {
    let Some(token) = token else { return true };
    let given = given.and_then(|given| {
        let (scheme, rest) = given.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
    });
    given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes())))
}

#[derive(Serialize)]
struct Problem {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

async fn nothing_here() -> Response {
    let hint = Some("/metrics, /healthz, /readyz and /api/v1/status are");
    (StatusCode::NOT_FOUND, Json(Problem { error: "nothing is served here", hint })).into_response()
}

async fn metrics_page(State(pages): State<Pages>) -> Response {
    let mut text = metrics::render(&(pages.source)());
    if let Some(recorded) = &pages.recorded {
        text.push_str(&recorded.render());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn status(State(pages): State<Pages>) -> Json<Proxy> {
    Json((pages.source)())
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    missing: Vec<String>,
}

async fn readyz(State(pages): State<Pages>) -> Response {
    let missing = (pages.source)().missing();
    let ready = missing.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Readiness { ready, missing })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        assert!(allowed(None, None));
        assert!(allowed(Some("s3cret"), Some(b"Bearer s3cret")));
        assert!(allowed(Some("s3cret"), Some(b"bearer s3cret")));
        let wrong: [Option<&[u8]>; 6] = [
            None,
            Some(b"s3cret"),
            Some(b"Bearer s3cre"),
            Some(b"Bearer s3cret "),
            Some(b"Basic s3cret"),
            Some(b"Bearer "),
        ];
        for given in wrong {
            assert!(!allowed(Some("s3cret"), given), "{given:?}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let settings = Settings { token: Some("s3cret".into()) };
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
