//! What programs and the dashboard ask for: state, samples, a live stream, commands.

use super::Pages;
use super::problem::Fault;
use crate::view::Proxy;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;

/// Everything, every client and server connection included.
pub(super) async fn status(State(pages): State<Pages>) -> Json<Proxy> {
    Json(pages.source.view())
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// The samples with a number above `after`, the oldest first.
pub(super) async fn samples(
    State(pages): State<Pages>,
    from: Result<Query<After>, QueryRejection>,
) -> Result<Response, Fault> {
    let Query(from) = from?;
    Ok(Json(pages.source.samples(from.after)).into_response())
}

/// With each sample, about once a second: the overview, and the samples since the last time.
pub(super) async fn live(
    State(pages): State<Pages>,
    from: Result<Query<After>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let Query(from) = from?;
    let changes = pages.source.sampled();
    let first = (pages, changes, from.after, true);
    let stream =
        futures_util::stream::unfold(first, |(pages, mut changes, after, first)| async move {
            if !first {
                let mut ending = pages.ending.clone();
                // Both branches are cancel-safe; an error means that the proxy ends.
                tokio::select! {
                    changed = changes.changed() => changed.ok()?,
                    _ = ending.wait_for(|ending| *ending) => return None,
                }
            }
            let newest = *changes.borrow_and_update();
            let samples = pages.source.samples(after);
            let data = json!({ "overview": overview(&pages), "samples": samples });
            let event = Event::default().data(data.to_string());
            Some((Ok(event), (pages, changes, newest, false)))
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// What fits a screen: no single clients and connections.
pub(super) async fn overview_page(State(pages): State<Pages>) -> Json<Value> {
    Json(overview(&pages))
}

/// Shapes, backups of each cluster, and events of an overview.
const SHAPES: usize = 20;
const BACKUPS: usize = 5;
const EVENTS: usize = 50;

fn overview(pages: &Pages) -> Value {
    let mut view = pages.source.view();
    let (clients, servers) = (view.clients.len(), view.servers.len());
    let pinned = view.clients.iter().filter(|client| client.pin.is_some()).count();
    let missing = view.missing();
    view.shapes.truncate(SHAPES);
    view.backups.iter_mut().for_each(|of| of.all.truncate(BACKUPS));
    let events = view.events.split_off(view.events.len().saturating_sub(EVENTS));
    json!({
        "version": view.version,
        "uptime_seconds": view.uptime.as_secs(),
        "missing": missing,
        "listeners": view.listeners,
        "clusters": view.clusters,
        "clients": clients,
        "pinned": pinned,
        "servers": servers,
        "pools": view.pools,
        "reigns": view.reigns,
        "backups": view.backups,
        "shapes": view.shapes,
        "events": events,
        "average": view.average,
        "may_command": pages.token.is_some(),
    })
}

#[derive(Deserialize)]
pub(super) struct Command {
    command: String,
}

/// Runs one command of the console. Only where a token is configured: without one every page that
/// a browser on this machine shows could send commands, too.
pub(super) async fn command(
    State(pages): State<Pages>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    asked: Result<Json<Command>, JsonRejection>,
) -> Result<Response, Fault> {
    if pages.token.is_none() {
        return Err(Fault::NoToken);
    }
    let Json(asked) = asked?;
    Ok(match pages.source.command(&format!("http ({peer})"), &asked.command).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response(),
    })
}
