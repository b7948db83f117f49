//! A replication connection after its login: bytes in both directions until one side ends.

use super::open::Opened;
use super::pump::Pump;
use crate::net::Stream;
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::pg::refuse::{self, Severity};
use crate::pg::registry::{CancelTarget, ClientEntry, ClientState, Registration, ServerEntry};
use crate::pool::Slot;
use crate::refusal::Refusal;
use crate::topology::{NodeId, Role, Snapshot};
use bytes::BytesMut;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Bytes that are held at most, from the client and from the server: log and data files come from
/// the server, little goes there.
const UP: usize = 8 * 1024;
const DOWN: usize = 32 * 1024;

/// How long a client that is sent away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A client and the server connection that is its own.
pub(in crate::pg) struct Relay {
    client: Stream,
    server: Stream,
    up: Pump,
    down: Pump,
    node: NodeId,
    /// The connection ends when `node` is no longer the primary.
    follows: bool,
    cluster: Arc<Cluster>,
    engine: Arc<Engine>,
    entry: Registration<ClientEntry>,
    _server: Registration<ServerEntry>,
    _slot: Slot,
}

/// Why it ends.
enum Ended {
    /// One side left.
    Over(io::Result<()>),
    /// The client is told.
    Told(Refusal),
}

impl Relay {
    /// `early`: what the client sent behind its login.
    pub(in crate::pg) fn new(
        engine: Arc<Engine>,
        cluster: Arc<Cluster>,
        (client, early): (Stream, &[u8]),
        entry: Registration<ClientEntry>,
        opened: Opened,
    ) -> Relay {
        let Opened { node, server, entry: ours, follows, _slot } = opened;
        ours.client.store(entry.id, Ordering::Relaxed);
        entry.link.set(CancelTarget { node, server: ours.id, key: Arc::new(server.cancel) });
        entry.set_state(ClientState::Active);
        Relay {
            client,
            server: server.stream,
            up: Pump::with(UP, early),
            down: Pump::new(DOWN),
            node,
            follows,
            cluster,
            engine,
            entry,
            _server: ours,
            _slot,
        }
    }

    pub(in crate::pg) async fn run(mut self) {
        match self.relay().await {
            Ended::Over(result) => {
                tracing::debug!(client = self.entry.id, ?result, "a replication connection ended");
            }
            Ended::Told(refusal) => {
                tracing::info!(client = self.entry.id, %refusal, "a replication connection is ended");
                let _ = tokio::time::timeout(LAST_WORDS, self.dismiss(&refusal)).await;
            }
        }
    }

    async fn relay(&mut self) -> Ended {
        let (cluster, node, follows) = (self.cluster.clone(), self.node, self.follows);
        let mut end_of_reign = pin!(async move {
            match follows {
                true => cluster.monitor.wait_for(|seen| reigns_no_more(seen, node)).await,
                false => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            self.entry.listen(cx);
            if self.entry.is_killed() {
                return Poll::Ready(Ended::Told(self.engine.gate.farewell()));
            }
            if end_of_reign.as_mut().poll(cx).is_ready() {
                let node = self.cluster.node_name(node);
                return Poll::Ready(Ended::Told(Refusal::ReignEnded { node }));
            }
            self.poll_both(cx).map(Ended::Over)
        })
        .await
    }

    /// Ready when the server is done, or when one side fails. A client that only ends its own
    /// stream is answered to the end.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let counters = &self.cluster.counters;
        let up = self.up.poll(cx, (&mut self.client, &mut self.server), &counters.received);
        let down = self.down.poll(cx, (&mut self.server, &mut self.client), &counters.sent);
        match (up, down) {
            (_, Poll::Ready(result)) => Poll::Ready(result),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// Tells the client why, between two frames.
    async fn dismiss(&mut self, refusal: &Refusal) -> io::Result<()> {
        let streams = (&mut self.server, &mut self.client);
        let (server, client) = streams;
        if poll_fn(|cx| self.down.poll_finish_frame(cx, (&mut *server, &mut *client))).await? {
            let mut out = BytesMut::new();
            refuse::put(&mut out, refusal, Severity::Fatal);
            client.write_all(&out).await?;
        }
        client.shutdown().await
    }
}

/// Another node is the primary, or this one says that it is none.
fn reigns_no_more(seen: &Snapshot, node: NodeId) -> bool {
    match &seen.node(node).role {
        Role::Primary => false,
        Role::Replica | Role::Fenced => true,
        Role::Unknown(_) => seen.primary.is_some_and(|primary| primary != node),
    }
}
