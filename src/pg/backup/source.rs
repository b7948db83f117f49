//! A base backup of one node, with the log that it needs, from that node alone.

use super::copy::{Base, BaseBackup, Failure};
use super::line::{Line, LineError, parsed};
use super::settings::Reach;
use super::stream::{Assembly, Event, WalStream, history, identify, segment_size};
use crate::backup::{
    Contents, Copied, CopyError, Draft, Piece, Point, Segment, Source, StoreError,
};
use crate::pg::connect::Node;
use crate::topology::{NodeId, NodeSet, Published};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_postgres::NoTls;

/// The servers of a cluster as [`crate::backup::run`] sees them.
pub struct PgSource {
    reach: Reach,
    published: Arc<Published>,
}

impl PgSource {
    pub fn new(reach: Reach, published: Arc<Published>) -> PgSource {
        PgSource { reach, published }
    }

    fn node(&self, node: NodeId) -> &Arc<Node> {
        &self.reach.nodes[usize::from(node.0)]
    }

    async fn line(&self, node: NodeId) -> Result<Line, LineError> {
        let Reach { user, patience, .. } = &self.reach;
        Line::open(self.node(node), user, &self.reach.secret(), *patience).await
    }

    fn failed(&self, node: NodeId, error: &LineError) -> CopyError {
        let hint = match error.code() {
            // insufficient_privilege, invalid_authorization_specification
            "42501" | "28000" => {
                "\nhint: the monitor's user needs the attribute REPLICATION, and a line for the \
                 database \"replication\" in pg_hba.conf"
            }
            "53300" => "\nhint: raise max_wal_senders on that node",
            _ if error.to_string().contains("full_page_writes") => {
                "\nhint: set full_page_writes = on on the primary, then CHECKPOINT there"
            }
            _ => "",
        };
        CopyError::Node { node: self.node(node).name.clone(), cause: format!("{error}{hint}") }
    }

    async fn ask_synchronous(&self) -> Option<NodeSet> {
        const QUESTION: &str = "SELECT application_name FROM pg_stat_replication
            WHERE sync_state IN ('sync', 'quorum')";
        let primary = self.published.load().primary?;
        let (stream, _) = self.node(primary).dial().await.ok()?;
        let (client, connection) = self.reach.login().connect_raw(stream, NoTls).await.ok()?;
        let asked = async {
            let rows = client.query(QUESTION, &[]).await;
            drop(client);
            rows
        };
        let (rows, _) = tokio::join!(asked, connection);
        let mut found = NodeSet::EMPTY;
        for row in rows.ok()? {
            // A standby of strict failover goes by the name of its node.
            let name: String = row.try_get(0).ok()?;
            let at = self.reach.nodes.iter().position(|node| *node.name == *name);
            if let Some(at) = at.and_then(|at| u8::try_from(at).ok()) {
                found.insert(NodeId(at));
            }
        }
        Some(found)
    }

    async fn take(&self, node: NodeId, draft: &Draft) -> Result<Copied, Failure> {
        let mut base = self.line(node).await?;
        let mut log = self.line(node).await?;
        let (system, ..) = identify(&mut base).await?;
        let version: u32 =
            parsed(&base.ask("SHOW server_version_num").await?, 0, "server_version_num")?;
        let shown = base.ask("SHOW server_version").await?;
        let segment = segment_size(&mut base).await?;
        let slot = reserve(&mut log, draft).await;
        let backup = BaseBackup::begin(base, version, draft).await?;
        let start = backup.start;
        let (ended, end) = watch::channel(None);
        let base = async {
            let base = backup.store(draft).await?;
            ended.send_replace(Some(base.end));
            Ok::<Base, Failure>(base)
        };
        let first = Segment::of(start.timeline, start.lsn, segment);
        let mut known = Vec::new();
        if start.timeline.0 > 1 {
            // Recovery wants to know the history even of the timeline that it starts on.
            let (name, text) = history(&mut log, start.timeline).await?;
            known.push(keep(draft, &name, text).await?);
        }
        let log = fetch_log((log, slot.as_deref()), first, end, draft);
        // The first failure of either ends both.
        let (base, wal) = tokio::try_join!(base, log)?;
        known.extend(wal);
        let Base { archives, manifest, end, tablespaces } = base;
        Ok(Copied {
            version: shown.into_iter().flatten().next().unwrap_or_default(),
            system,
            start,
            end,
            segment,
            tablespaces,
            contents: Contents { archives, manifest: Some(manifest), wal: known },
        })
    }
}

/// Has the server keep the log from its last restart point on, as long as this connection lives.
/// Without a free slot it goes without: log that is gone then ends the copy.
async fn reserve(line: &mut Line, draft: &Draft) -> Option<String> {
    let slot = format!("tidegate_backup_{}", draft.id.as_str().to_ascii_lowercase());
    let text = format!("CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL RESERVE_WAL");
    match line.ask(&text).await {
        Ok(_) => Some(slot),
        Err(error) => {
            tracing::warn!(%error, "no slot for a backup: the log may go before it is copied");
            // The answer to an error ends with this, too.
            let _ = line.expect(b'Z').await;
            None
        }
    }
}

/// Stores the log from the start of a segment to the end of the backup, once that is known.
async fn fetch_log(
    (line, slot): (Line, Option<&str>),
    first: Segment,
    mut end: watch::Receiver<Option<Point>>,
    draft: &Draft,
) -> Result<Vec<Piece>, Failure> {
    let mut pieces = Vec::new();
    let mut stream = WalStream::start(line, slot, first.start(), first.timeline).await?;
    let mut assembly = Assembly::new(first);
    loop {
        let reached = |end: &Option<Point>| end.is_some_and(|end| end.lsn <= stream.received());
        if reached(&end.borrow_and_update()) {
            if let Some((segment, bytes)) = assembly.rest() {
                pieces.push(keep(draft, &segment.to_string(), bytes).await?);
            }
            return Ok(pieces);
        }
        let event = tokio::select! {
            // Both are cancel-safe: a stream's frame is taken as a whole or not at all.
            event = stream.next() => event?,
            changed = end.changed() => match changed {
                Ok(()) => continue,
                // The copy of the files failed, and says why itself.
                Err(_) => std::future::pending().await,
            },
        };
        match event {
            Event::Data { start, bytes } => {
                for (segment, bytes) in assembly.take(start, bytes)? {
                    pieces.push(keep(draft, &segment.to_string(), bytes).await?);
                    stream.stored(segment.end());
                }
            }
            Event::Quiet => {}
            Event::Switch { timeline, at } => {
                let mut line = stream.into_line();
                let (name, text) = history(&mut line, timeline).await?;
                pieces.push(keep(draft, &name, text).await?);
                let next = Segment::of(timeline, at, first.size);
                stream = WalStream::start(line, slot, next.start(), timeline).await?;
                assembly = Assembly::new(next);
            }
        }
    }
}

async fn keep(draft: &Draft, file: &str, bytes: Bytes) -> Result<Piece, StoreError> {
    draft.object(&format!("wal/{file}"), bytes).await
}

impl Source for PgSource {
    async fn system(&self, node: NodeId) -> Result<u64, CopyError> {
        let asked = async { identify(&mut self.line(node).await?).await };
        let answer: Result<_, LineError> = asked.await;
        answer.map(|(system, ..)| system).map_err(|error| self.failed(node, &error))
    }

    async fn synchronous(&self) -> NodeSet {
        let asked = tokio::time::timeout(self.reach.patience, self.ask_synchronous());
        asked.await.ok().flatten().unwrap_or_default()
    }

    async fn copy(&self, node: NodeId, draft: &Draft) -> Result<Copied, CopyError> {
        self.take(node, draft).await.map_err(|failure| match failure {
            Failure::Store(error) => CopyError::Store(error),
            Failure::Line(error) => self.failed(node, &error),
        })
    }
}
