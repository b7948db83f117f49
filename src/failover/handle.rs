//! What the rest of the program holds of a cluster's failover: commands, and what is to be shown.

use super::settings::Settings;
use super::store::State;
use super::term::Name;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Another primary while this one is well.
    Switchover { to: Option<Name> },
    /// Another primary because this one is lost. `vouched`: whoever says so takes the blame for
    /// what cannot be proven.
    Failover { to: Option<Name>, vouched: Option<String> },
    /// A former primary as a standby again.
    Rejoin { node: Name },
    /// A node that is to serve nobody. `forced`: even if it is the primary.
    Fence { node: Name, forced: bool },
    /// One that may serve again.
    Unfence { node: Name },
    /// What kept failover from happening by itself was looked at.
    Unlatch,
}

/// What it amounts to, line by line; or why it is not done.
pub type Answer = Result<Vec<String>, String>;

pub(super) struct Command {
    pub(super) wanted: Wanted,
    /// Only say what would be done.
    pub(super) dry: bool,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What was thought of the primary last.
#[derive(Clone, Debug)]
pub struct Opinion {
    /// One word: `well`, `doubtful`, `heard`, `alone`, `lost`, `changing`, `foreign`, `unknown`.
    pub word: &'static str,
    pub says: String,
}

impl Opinion {
    pub(super) fn new(word: &'static str, says: impl Into<String>) -> Opinion {
        Opinion { word, says: says.into() }
    }
}

/// A former primary that is being brought back, or could not be.
#[derive(Clone, Debug)]
pub struct Rejoining {
    pub node: Name,
    pub failed: Option<String>,
}

/// What the coordinator shows.
pub(super) struct Board {
    pub(super) settings: Settings,
    pub(super) state: ArcSwapOption<State>,
    pub(super) opinion: ArcSwap<Opinion>,
    pub(super) beat: ArcSwapOption<Instant>,
    pub(super) rejoin: ArcSwapOption<Rejoining>,
}

/// A running failover of one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) board: Arc<Board>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Handle {
    pub fn settings(&self) -> &Settings {
        &self.board.settings
    }

    /// The record and what happened; `None`: the term is not known yet.
    pub fn state(&self) -> Option<Arc<State>> {
        self.board.state.load_full()
    }

    pub fn opinion(&self) -> Arc<Opinion> {
        self.board.opinion.load_full()
    }

    /// When the last heartbeat that was answered was sent.
    pub fn last_beat(&self) -> Option<Instant> {
        self.board.beat.load().as_deref().copied()
    }

    /// The former primary that is being brought back, or the last one that could not be.
    pub fn rejoin(&self) -> Option<Arc<Rejoining>> {
        self.board.rejoin.load_full()
    }

    /// Does it, or says what would be done. Resolves when it is over.
    pub async fn ask(&self, wanted: Wanted, dry: bool) -> Answer {
        let stopped = || "failover of this cluster has stopped".to_owned();
        let (answer, answered) = oneshot::channel();
        let command = Command { wanted, dry, answer };
        self.commands.send(command).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}
