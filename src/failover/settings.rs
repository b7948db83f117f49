//! What an operator decides about failover.

use super::term::Guarantee;
use std::time::Duration;

/// Who promotes a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Somebody else; the servers' own claims decide.
    Off,
    /// An operator, by a command.
    Manual,
    /// This proxy, when the primary is lost; an operator may, too.
    Automatic,
}

/// Who brings a former primary back as a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejoin {
    /// An operator, by a command.
    Manual,
    /// This proxy, as soon as its agent answers.
    Automatic,
}

/// What a client is told whose server was lost at a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// That nobody knows whether it happened.
    Unknown,
    /// What the next primary says of it.
    Resolve,
}

/// A program and its arguments; empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub mode: Mode,
    pub guarantee: Guarantee,
    /// How long work that needs the primary waits for one.
    pub hold: Duration,
    /// Standbys that a commit waits for, where no acknowledged write may be lost.
    pub write_quorum: usize,
    /// How often a row is written on the primary.
    pub heartbeat: Duration,
    /// How long the primary's port must refuse before it counts as gone: longer than a restart
    /// that is worth waiting for.
    pub refused: Duration,
    /// How long the primary may write nothing before its standbys are asked about it.
    pub silence: Duration,
    /// After a failover, how long none happens by itself.
    pub cooldown: Duration,
    /// Switchover: how long open transactions may take to finish.
    pub drain: Duration,
    /// How long a step may take before the change is given up, where it still can be.
    pub patience: Duration,
    pub rejoin: Rejoin,
    pub commit_outcome: CommitOutcome,
    /// Ends the server for certain; exit code 0 says that it has ended.
    pub fence_command: CommandLine,
}
