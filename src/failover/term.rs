//! The record of a reign: which node is the primary by which right, and how far a change has got.
//!
//! Values only. Whoever keeps the record (a file, or a store that several proxies share) replaces
//! it as a whole and never by an older one.

use crate::topology::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A node's name, as configured.
pub type Name = Arc<str>;

/// The number of a reign. It never goes back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Term(pub u64);

impl Term {
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a promotion must be able to promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guarantee {
    /// No acknowledged write is ever lost: commits wait for a quorum of standbys.
    Strict,
    /// What the chosen standby had not received is lost, and reported.
    Available,
}

impl Guarantee {
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::Strict => "strict",
            Guarantee::Available => "available",
        }
    }
}

/// What a commit waits for: `write` of the `voters`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quorum {
    pub write: usize,
    pub voters: BTreeSet<Name>,
}

impl Quorum {
    /// So many voters have at least one that every acknowledged commit reached.
    pub fn read(&self) -> usize {
        self.voters.len() + 1 - self.write.clamp(1, self.voters.len().max(1))
    }
}

/// A place in the log of one timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub timeline: u32,
    #[serde(with = "lsn")]
    pub lsn: Lsn,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.timeline, self.lsn)
    }
}

mod lsn {
    use super::Lsn;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(lsn: &Lsn, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(lsn)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Lsn, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why nothing that the old primary still does can be acknowledged to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Its agent ended it, and saw that no process is left.
    AgentStopped(String),
    /// Its own rules refuse logins, which was tried, and no session is left on it.
    LoginsRefused,
    /// Nobody listens at its address: the machine answers, the server is gone.
    NobodyListens,
    /// The operator's command said so by its exit code.
    Command(String),
    /// An operator vouches for it.
    Operator(String),
    /// None is needed: enough standbys stopped listening to it, so that it cannot commit.
    Revocation,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::AgentStopped(says) => write!(f, "stopped by its agent: {says}"),
            Evidence::LoginsRefused => f.write_str("it refuses logins and has no session left"),
            Evidence::NobodyListens => f.write_str("nobody listens at its address"),
            Evidence::Command(says) => write!(f, "the fence command succeeded: {says}"),
            Evidence::Operator(who) => write!(f, "vouched for by {who}"),
            Evidence::Revocation => f.write_str("its standbys left it: it cannot commit"),
        }
    }
}

/// A change of the primary for one of two reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The primary is lost.
    Failover,
    /// It is well, and somebody wants another.
    Switchover,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Failover => "failover",
            Kind::Switchover => "switchover",
        }
    }
}

/// A promotion that was seen to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promoted {
    /// The timeline that began.
    pub timeline: u32,
    /// Where it left the old one.
    #[serde(with = "lsn")]
    pub fork: Lsn,
}

/// What is known of a change under way. Each fact is written down when it was observed, and stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    pub kind: Kind,
    pub guarantee: Guarantee,
    /// Who lost, or gives up, the reign.
    pub from: Name,
    pub cause: String,
    /// The node that somebody asked for.
    pub to: Option<Name>,
    /// An operator takes the blame: who, in words.
    pub vouched: Option<String>,
    /// No client of this proxy uses the old primary any more.
    pub quiet: bool,
    pub evidence: Option<Evidence>,
    /// Switchover: where the old primary stopped, once its replica has all of it.
    pub drained: Option<Place>,
    /// Standbys that no longer listen to the old primary, and what they have of it.
    pub revoked: Option<BTreeMap<Name, Place>>,
    pub chosen: Option<Name>,
    /// The order to promote may have been sent: nobody else can be chosen any more.
    pub ordered: bool,
    pub promoted: Option<Promoted>,
    /// The new primary has the row of its term and its rules for commits.
    pub installed: bool,
    /// The other standbys were told whom to follow.
    pub repointed: bool,
    /// It was given up before anything was promoted, because of this.
    pub abandoned: Option<String>,
}

impl Change {
    /// One of which nothing is known yet but why it is wanted.
    pub fn new(kind: Kind, guarantee: Guarantee, from: Name, cause: impl Into<String>) -> Change {
        Change {
            kind,
            guarantee,
            from,
            cause: cause.into(),
            to: None,
            vouched: None,
            quiet: false,
            evidence: None,
            drained: None,
            revoked: None,
            chosen: None,
            ordered: false,
            promoted: None,
            installed: false,
            repointed: false,
            abandoned: None,
        }
    }
}

/// All that must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    pub cluster: Name,
    /// Whose record this is: chosen by chance when it was begun.
    pub holder: Arc<str>,
    pub term: Term,
    /// Who reigns; during a change, who reigned before.
    pub primary: Name,
    pub system: u64,
    /// The timeline of the reign.
    pub timeline: u32,
    /// What commits of this reign wait for, where none may be lost.
    pub quorum: Option<Quorum>,
    pub change: Option<Change>,
    /// Former primaries, and the timeline that each was left on. They serve nothing until they
    /// follow.
    pub deposed: BTreeMap<Name, u32>,
    /// Nodes that an operator fenced. They serve nothing until he lets them in.
    #[serde(default)]
    pub fenced: BTreeSet<Name>,
    /// Why nothing happens by itself until an operator has looked.
    pub latch: Option<String>,
    /// When the last failover began, in seconds since 1970.
    pub failed_over: Option<u64>,
}

/// What a record says about the present, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The primary reigns.
    Active,
    /// Writes are held, nothing else was done yet.
    Blocked,
    /// The standbys let go of the old primary.
    Revoked,
    /// The old primary cannot acknowledge anything.
    Fenced,
    /// The successor is known, and may have been told.
    Promoting,
    /// It was promoted; its term is being installed.
    Promoted,
    /// It reigns; the others are still being told.
    Settling,
    /// The change is being undone.
    Abandoned,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Active => "active",
            Phase::Blocked => "blocked",
            Phase::Revoked => "revoked",
            Phase::Fenced => "fenced",
            Phase::Promoting => "promoting",
            Phase::Promoted => "promoted",
            Phase::Settling => "settling",
            Phase::Abandoned => "abandoned",
        }
    }
}

impl Record {
    /// The first record of a cluster, or of a new holder.
    pub fn adopt(cluster: Name, holder: Arc<str>, term: Term, seat: (Name, u64, u32)) -> Record {
        let (primary, system, timeline) = seat;
        Record {
            cluster,
            holder,
            term,
            primary,
            system,
            timeline,
            quorum: None,
            change: None,
            deposed: BTreeMap::new(),
            fenced: BTreeSet::new(),
            latch: None,
            failed_over: None,
        }
    }

    pub fn phase(&self) -> Phase {
        let Some(change) = &self.change else { return Phase::Active };
        match change {
            Change { abandoned: Some(_), .. } => Phase::Abandoned,
            Change { installed: true, .. } => Phase::Settling,
            Change { promoted: Some(_), .. } => Phase::Promoted,
            Change { chosen: Some(_), .. } => Phase::Promoting,
            Change { evidence: Some(_), .. } => Phase::Fenced,
            Change { revoked: Some(_), .. } => Phase::Revoked,
            _ => Phase::Blocked,
        }
    }

    /// Who may take writes now; `None`: nobody.
    pub fn reigning(&self) -> Option<&Name> {
        matches!(self.phase(), Phase::Active | Phase::Settling).then_some(&self.primary)
    }
}
