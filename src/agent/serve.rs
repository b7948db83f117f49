//! The agent's HTTP door.

use super::keep::{KeepError, Keeper};
use super::obey::{Agent, refused};
use super::problem::Problem;
use super::secured::Secured;
use super::server::Server;
use super::settings::Settings;
use super::watch::watch;
use crate::net::bearer;
use crate::net::tls::{Acceptor, Authorities, ClientMode, TlsError};
use crate::orders::{Done, ORDERS, Order, STATUS, Status, Why};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;

/// Why an agent does not run.
#[derive(Debug, Error)]
pub enum AgentFailure {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("{0} is no data directory: there is no PG_VERSION in it")]
    NoData(String),
    #[error("there is no {0}")]
    NoProgram(String),
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot serve: {0}")]
    Serve(io::Error),
}

/// An agent whose port is open.
pub struct Listening {
    pub address: SocketAddr,
    listener: TcpListener,
    acceptor: Arc<Acceptor>,
    door: Door,
    lease: Duration,
}

#[derive(Clone)]
struct Door {
    agent: Arc<Agent>,
    token: Option<Arc<str>>,
}

/// Opens the port and takes up what was kept.
pub async fn listen(settings: Settings) -> Result<Listening, AgentFailure> {
    let postgres = settings.postgres;
    if !postgres.data_dir.join("PG_VERSION").exists() {
        return Err(AgentFailure::NoData(postgres.data_dir.display().to_string()));
    }
    for program in ["pg_ctl", "pg_controldata", "pg_rewind", "pg_basebackup"] {
        let program = postgres.bin_dir.join(program);
        if !program.exists() {
            return Err(AgentFailure::NoProgram(program.display().to_string()));
        }
    }
    let acceptor = Arc::new(Acceptor::new(settings.tls, &mut Authorities::default())?);
    let keeper = Keeper::open(&settings.state_dir)?;
    let address = settings.listen;
    let failed = |source| AgentFailure::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let agent = Arc::new(Agent::new(Server::new(postgres, &settings.state_dir), keeper));
    let door = Door { agent, token: settings.token };
    Ok(Listening { address, listener, acceptor, door, lease: settings.lease })
}

impl Listening {
    /// For whoever has its certificate read again.
    pub fn acceptor(&self) -> Arc<Acceptor> {
        self.acceptor.clone()
    }

    /// Serves until `stop` resolves. The database server goes on without its agent.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), AgentFailure> {
        let watching = watch(self.door.agent.clone(), self.lease);
        let router = router(self.door);
        let serving = async {
            match self.acceptor.mode() {
                ClientMode::Off => axum::serve(self.listener, router).await,
                _ => axum::serve(Secured::new(self.listener, self.acceptor), router).await,
            }
        };
        tokio::select! {
            served = serving => served.map_err(AgentFailure::Serve),
            // An order under way is a task of its own, and ends with the process.
            () = watching => Ok(()),
            () = stop => Ok(()),
        }
    }
}

fn router(door: Door) -> Router {
    Router::new()
        .route(STATUS, get(status))
        .route(&format!("{ORDERS}{{order}}"), post(order))
        .route_layer(middleware::from_fn_with_state(door.clone(), authorized))
        .fallback(|| async { Problem::NothingHere })
        .method_not_allowed_fallback(|| async { Problem::NothingHere })
        .with_state(door)
}

async fn authorized(State(door): State<Door>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    if door.token.as_deref().is_none_or(|token| bearer::opens(token, given)) {
        return next.run(request).await;
    }
    Problem::Stranger.into_response()
}

async fn status(State(door): State<Door>) -> Result<Json<Status>, Problem> {
    Ok(Json(door.agent.status().await?))
}

async fn order(
    State(door): State<Door>,
    Path(name): Path<String>,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<Json<Done>, Problem> {
    let Json(mut body) = body?;
    // The path says which order it is.
    if let Some(order) = body.as_object_mut() {
        order.insert("order".into(), name.into());
    }
    let order = serde_json::from_value::<Order>(body);
    let order = order.map_err(|error| refused(Why::Nonsense, error))?;
    Ok(Json(door.agent.obey(order).await?))
}
