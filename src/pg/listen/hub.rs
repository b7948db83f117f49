//! The connection that listens for all sessions of a database, and the task that keeps it.

use super::mailbox::Mailbox;
use super::roster::{Heard, Roster};
use crate::pg::cluster::Cluster;
use crate::pg::connect::ConnectError;
use crate::pg::registry::pid_of;
use crate::pg::server::{ExchangeError, Server};
use crate::pg::wire::{self, Fault, HEADER};
use crate::pool::Connector;
use crate::task::{Backoff, Stop, chance};
use crate::topology::{NodeId, Snapshot};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};

/// How long a connection is kept that nobody needs: clients come back.
const GRACE: Duration = Duration::from_secs(60);
/// How long an answer may take before the connection is given up, and with it what it has not told
/// yet. Those who wait for the answer are less patient.
const SILENCE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Names and payloads come in UTF-8, and no timeout of a user or database ends the connection.
const PREPARE: &str = "SET client_encoding TO 'UTF8'; \
    SET application_name TO 'tidegate notifications'; \
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN \
    ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout')";

/// Why there is no connection that listens.
#[derive(Debug, Error)]
enum Lost {
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    #[error("no connection: {0}")]
    Connect(#[from] ConnectError),
    #[error("there is no primary")]
    NoPrimary,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("another node is the primary")]
    Deposed,
    #[error("nobody listens any more")]
    Unneeded,
    #[error("the proxy stops")]
    Stopped,
}

/// Listens for all sessions of one database.
pub struct Hub {
    pub database: Arc<str>,
    roster: Mutex<Roster>,
    /// Where the connection is, if there is one.
    node: Mutex<Option<NodeId>>,
    /// The connection is not to be kept for those who may come back.
    impatient: AtomicBool,
    /// There is something to tell the server.
    wake: Notify,
}

impl Hub {
    pub(super) fn new(database: Arc<str>) -> Hub {
        Hub {
            database,
            roster: Mutex::default(),
            node: Mutex::default(),
            impatient: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(super) fn listen(
        &self,
        mailbox: &Arc<Mailbox>,
        channels: &[Arc<str>],
    ) -> oneshot::Receiver<()> {
        let done = self.roster.lock().listen(mailbox, channels);
        self.wake.notify_one();
        done
    }

    /// The session no longer listens to these.
    pub fn unlisten(&self, mailbox: &Mailbox, channels: &[Arc<str>]) {
        self.roster.lock().unlisten(mailbox.id(), channels);
        self.wake.notify_one();
    }

    /// The session is gone.
    pub fn leave(&self, mailbox: &Mailbox) {
        self.roster.lock().leave(mailbox.id());
        self.wake.notify_one();
    }

    /// Resolves, with an error if need be, when all that was committed before has been shared out;
    /// `None`: there is no connection that could hear it.
    pub fn catch_up(&self) -> Option<oneshot::Receiver<()>> {
        let done = self.roster.lock().catch_up();
        self.wake.notify_one();
        done
    }

    pub fn heard(&self) -> Heard {
        self.roster.lock().heard()
    }

    pub fn node(&self) -> Option<NodeId> {
        *self.node.lock()
    }

    /// Ends the connection now if nobody listens: the database is to be dropped.
    pub(super) fn close_if_idle(&self) {
        self.impatient.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roster.lock().is_empty()
    }

    /// Keeps a connection to the primary until nobody needs it.
    pub(super) async fn run(self: Arc<Self>, cluster: Arc<Cluster>, mut stop: Stop) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
        let (mut again, mut turn) = (false, 0);
        while !stop.is_set() && !cluster.hubs.retire(&self) {
            let primary = cluster.monitor.published().load().primary;
            let opened = match primary {
                Some(node) => self.connect(node, turn).await.map(|server| (node, server)),
                None => Err(Lost::NoPrimary),
            };
            let lost = match opened {
                Ok((node, mut server)) => {
                    backoff.reset();
                    self.greet(&cluster, node, std::mem::replace(&mut again, true));
                    self.serve(&mut server, &cluster, node, &mut stop).await
                }
                Err(lost) => {
                    turn += 1;
                    lost
                }
            };
            *self.node.lock() = None;
            self.roster.lock().disconnected();
            if matches!(lost, Lost::Unneeded | Lost::Stopped) {
                continue;
            }
            let (name, database) = (&*cluster.name, &*self.database);
            tracing::warn!(cluster = name, database, %lost, "nobody hears notifications");
            let another = |seen: &Snapshot| seen.primary.is_some() && seen.primary != primary;
            // All branches are cancel-safe.
            tokio::select! {
                () = tokio::time::sleep(backoff.next(chance())) => {}
                _ = cluster.monitor.wait_for(another) => {}
                () = stop.stopped() => {}
            }
        }
        self.roster.lock().disconnected();
    }

    /// As one of the users who listen, by turns: one of them may not come in any more.
    async fn connect(&self, node: NodeId, turn: usize) -> Result<Box<Server>, Lost> {
        let someone = self.roster.lock().someone(turn);
        let Some(mailbox) = someone else { return Err(Lost::Unneeded) };
        let pool = &mailbox.pools().nodes[usize::from(node.0)];
        let mut server = pool.connector().connect().await?;
        let limit = pool.settings().connect_timeout;
        match tokio::time::timeout(limit, server.run(PREPARE)).await {
            Ok(prepared) => prepared.map(|()| server).map_err(Lost::Exchange),
            Err(_) => Err(Lost::Silent(limit)),
        }
    }

    fn greet(&self, cluster: &Cluster, node: NodeId, again: bool) {
        self.roster.lock().connected();
        *self.node.lock() = Some(node);
        let (cluster_name, database) = (&*cluster.name, &*self.database);
        let node = &*cluster.node_name(node);
        if again {
            cluster.counters.relistened.increment();
            tracing::warn!(
                cluster = cluster_name,
                database,
                node,
                "notifications are heard again; those sent meanwhile are lost"
            );
        } else {
            tracing::info!(cluster = cluster_name, database, node, "listening for notifications");
        }
    }

    /// Until the connection is lost, or nobody needs it any more.
    async fn serve(
        self: &Arc<Self>,
        server: &mut Server,
        cluster: &Cluster,
        node: NodeId,
        stop: &mut Stop,
    ) -> Lost {
        let mut changes = cluster.monitor.published().changes();
        let (mut asked, mut needed) = (None, Instant::now());
        loop {
            if let Some(sql) = self.roster.lock().next() {
                wire::put_query(&mut server.out, sql.as_bytes());
                asked = Some(Instant::now());
            }
            if !self.is_empty() {
                needed = Instant::now();
            } else if self.impatient.swap(false, Ordering::Relaxed) {
                return Lost::Unneeded;
            }
            let deadline = asked.map_or(needed + GRACE, |asked| asked + SILENCE);
            let crowded = self.roster.lock().take_crowded();
            join_all(crowded.iter().map(|mailbox| mailbox.wait_for_room())).await;
            // All branches are cancel-safe: what was read is in the connection or shared out.
            tokio::select! {
                heard = poll_fn(|cx| self.poll_hear(server, cluster, node, cx)) => match heard {
                    Ok(true) => asked = None,
                    Ok(false) => {}
                    Err(error) => return error.into(),
                },
                () = self.wake.notified() => {}
                _ = changes.changed() => {
                    let primary = cluster.monitor.published().load().primary;
                    // Without any primary this one may still be it, and unreached only.
                    if primary.is_some_and(|primary| primary != node) {
                        return Lost::Deposed;
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    if asked.is_some() {
                        return Lost::Silent(SILENCE);
                    }
                    if self.is_empty() {
                        return Lost::Unneeded;
                    }
                }
                () = stop.stopped() => return Lost::Stopped,
            }
        }
    }

    /// Sends what is to be sent and shares out what is heard; true when a statement is answered.
    fn poll_hear(
        &self,
        server: &mut Server,
        cluster: &Cluster,
        node: NodeId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, ExchangeError>> {
        if let Poll::Ready(Err(error)) = server.poll_send(cx) {
            return Poll::Ready(Err(error.into()));
        }
        let whose = |pid| client_behind(cluster, node, pid);
        let heard = server.poll_receive(cx, |_, _, chunk| self.hear(chunk, whose));
        heard.map(|heard| heard.and_then(|heard| heard))
    }

    fn hear(
        &self,
        chunk: &[u8],
        whose: impl Fn(u32) -> u32,
    ) -> (usize, Result<bool, ExchangeError>) {
        let (mut at, mut answered) = (0, false);
        let mut roster = self.roster.lock();
        while let Ok(Some(header)) = wire::peek(&chunk[at..]) {
            let Some(frame) = chunk.get(at..at + header.len) else { break };
            at += header.len;
            match header.tag {
                b'A' => {
                    if let Some(said) = wire::parse_notification(&frame[HEADER..]) {
                        roster.share_out(&said, &whose);
                    }
                }
                b'Z' => {
                    roster.answered();
                    answered = true;
                }
                b'E' => {
                    let fault = Fault::parse(&frame[HEADER..]);
                    return (at, Err(ExchangeError::Fault(fault)));
                }
                _ => {}
            }
        }
        (at, Ok(answered))
    }
}

/// The process id that the client was told for whom this backend worked, if any did: applications
/// know their own by it.
fn client_behind(cluster: &Cluster, node: NodeId, pid: u32) -> u32 {
    let node = &cluster.nodes[usize::from(node.0)];
    let found = node.servers.find(|server| {
        server.pid == pid && server.node == node.name && server.cluster == node.cluster
    });
    match found.map_or(0, |server| server.writer.load(Ordering::Relaxed)) {
        0 => pid,
        client => pid_of(client),
    }
}
