//! One backup, from the choice of its node to its object in the catalogue.

use super::objects::folder;
use super::{
    BackupId, Choice, Contents, Draft, Entry, NoNode, Point, Progress, Settings, Store, StoreError,
    Tablespace, Throttle, Wishes, choose, watch_lag,
};
use crate::task::Stop;
use crate::topology::{NodeId, NodeSet, Published};
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Nodes that are tried, one after the other.
const ATTEMPTS: usize = 3;

/// Between two attempts: the monitor learns what has become of the node meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// How long is waited for a node that is able, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(100);

/// What was copied; all of it is stored.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Of the server.
    pub version: String,
    pub system: u64,
    pub start: Point,
    pub end: Point,
    /// Bytes of a segment of the log.
    pub segment: u64,
    pub tablespaces: Vec<Tablespace>,
    pub contents: Contents,
}

/// Why a copy ended early.
#[derive(Debug, Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another node may do better.
    #[error("node {node}: {cause}")]
    Node { node: Arc<str>, cause: String },
    #[error("it was told to stop")]
    Stopped,
}

/// Why there is no backup.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(
        "no node is able to be backed up: {0}\nhint: clusters.NAME.backup has from and max_lag"
    )]
    NoNode(NoNode),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", .0.join("\n"))]
    Failed(Vec<String>),
    #[error("it was told to stop; nothing of it is left in the store")]
    Stopped,
}

/// The engine: it knows how to copy a node.
pub trait Source: Send + Sync {
    /// The database system that `node` belongs to.
    fn system(&self, node: NodeId) -> impl Future<Output = Result<u64, CopyError>> + Send;
    /// Nodes that commits on the primary wait for; none if nobody can say.
    fn synchronous(&self) -> impl Future<Output = NodeSet> + Send;
    /// Copies all of `node`. Dropped when it is not wanted any more.
    fn copy(
        &self,
        node: NodeId,
        draft: &Draft,
    ) -> impl Future<Output = Result<Copied, CopyError>> + Send;
}

/// All that a backup needs.
pub struct Job<'a, S> {
    pub source: &'a S,
    pub store: &'a Store,
    pub settings: &'a Settings,
    pub published: &'a Published,
    /// Nodes that the operator wants backups to be taken from.
    pub marked: NodeSet,
    pub progress: Arc<Progress>,
    /// Ends it early, and takes back what was stored.
    pub stop: Stop,
}

/// Takes a backup. Nodes that fail are left for others.
pub async fn run<S: Source>(job: &Job<'_, S>) -> Result<Entry, RunError> {
    let (mut tried, mut failures) = (NodeSet::EMPTY, Vec::new());
    while failures.len() < ATTEMPTS {
        if !failures.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        let choice = match pick(job, tried).await {
            Ok(choice) => choice,
            Err(none) if failures.is_empty() => return Err(RunError::NoNode(none)),
            Err(none) => {
                failures.push(none.to_string());
                break;
            }
        };
        match attempt(job, &choice).await {
            Ok(entry) => return Ok(entry),
            Err(CopyError::Store(error)) => return Err(error.into()),
            Err(CopyError::Stopped) => return Err(RunError::Stopped),
            Err(error) => {
                let cluster = job.published.load().cluster.clone();
                tracing::warn!(cluster = &*cluster, %error, "a backup was broken off");
                tried.insert(choice.node);
                failures.push(error.to_string());
            }
        }
    }
    Err(RunError::Failed(failures))
}

/// The best node; a replica may take a moment to show that it is fresh enough.
async fn pick<S: Source>(job: &Job<'_, S>, tried: NodeSet) -> Result<Choice, NoNode> {
    let wishes = Wishes {
        from: job.settings.from,
        max_lag: job.settings.max_lag,
        marked: job.marked,
        synchronous: job.source.synchronous().await,
        tried,
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let now = Instant::now();
        match choose(&job.published.load(), &wishes, now) {
            Err(_) if now < end && !job.stop.is_set() => tokio::time::sleep(GLANCE).await,
            chosen => return chosen,
        }
    }
}

async fn attempt<S: Source>(job: &Job<'_, S>, choice: &Choice) -> Result<Entry, CopyError> {
    job.store.claim(job.source.system(choice.node).await?).await?;
    let started = Timestamp::now();
    let id = claim_id(job.store).await?;
    let draft = Draft {
        store: job.store.clone(),
        key: job.store.data_key(&folder(&id))?,
        id,
        level: job.settings.level,
        throttle: Arc::new(Throttle::new(job.settings.max_rate)),
        progress: job.progress.clone(),
    };
    draft.progress.reset();
    let mut stop = job.stop.clone();
    tracing::info!(backup = %draft.id, node = &*choice.name, because = choice.because, "a backup begins");
    let watch = watch_lag(job.published, choice.node, job.settings.pause_lag, &draft.throttle);
    let copied = tokio::select! {
        // Both are dropped as they are: what was stored is discarded then.
        copied = job.source.copy(choice.node, &draft) => copied,
        why = watch => Err(CopyError::Node { node: choice.name.clone(), cause: why }),
        () = stop.stopped() => Err(CopyError::Stopped),
    };
    let done = match copied {
        Ok(copied) => finish(&draft, choice, started, copied).await.map_err(CopyError::from),
        Err(error) => Err(error),
    };
    match &done {
        Ok(entry) => tracing::info!(
            backup = %entry.id, node = entry.node, bytes = entry.raw, stored = entry.stored,
            "a backup is there"
        ),
        Err(_) => draft.discard().await,
    }
    done
}

/// A name that nobody else uses, and whose folder is there.
async fn claim_id(store: &Store) -> Result<BackupId, StoreError> {
    loop {
        let id = BackupId::at(Timestamp::now());
        match store.create(&format!("backups/{id}/begun"), "".into()).await {
            Ok(()) => return Ok(id),
            // Another began in this second.
            Err(StoreError::Exists { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

async fn finish(
    draft: &Draft,
    choice: &Choice,
    started: Timestamp,
    copied: Copied,
) -> Result<Entry, StoreError> {
    let contents = draft.contents(&copied.contents).await?;
    let objects = || copied.contents.objects();
    let entry = Entry {
        format: 1,
        id: draft.id.clone(),
        engine: "postgres".into(),
        version: copied.version,
        system: copied.system,
        node: choice.name.to_string(),
        because: choice.because.clone(),
        started,
        finished: Timestamp::now(),
        start: copied.start,
        end: copied.end,
        segment: copied.segment,
        tablespaces: copied.tablespaces,
        key: draft.key.as_ref().map(|key| key.id().to_owned()),
        raw: objects().map(|piece| piece.raw).sum(),
        stored: objects().map(|piece| piece.stored).sum(),
        contents,
    };
    draft.store.commit(&entry).await?;
    Ok(entry)
}
