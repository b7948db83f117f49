//! What happens when the primary is gone, or somebody wants another.

use super::agent;
use super::cluster::{Cluster, DAY, HOUR};
use super::reading::Reading;
use super::schema::options;
use super::values::{Complaint, Value};
use crate::failover::{CommandLine, CommitOutcome, Guarantee, Mode, Rejoin, Settings};
use std::time::Duration;
use toml::de::DeValue;

options! {
    /// What happens when the primary is gone. For failover the monitor's user must be a superuser
    /// on every node: it promotes, points standbys to their primary, keeps logins out of a former
    /// one (pg_hba.conf), and keeps a table of one row, tidegate.term, in its database. A standby's
    /// primary_conninfo is a list of keyword = value pairs; it reaches the other nodes at the
    /// addresses above.
    for Settings {
        /// Who promotes a replica. "off": somebody else, and Tidegate follows what the servers say;
        /// "manual": an operator, by SWITCHOVER or FAILOVER on the console; "automatic": Tidegate,
        /// when the primary is lost, and an operator. One proxy for a cluster: a second one is
        /// refused.
        key mode: Mode = "off" => .restart();
        /// "strict": no acknowledged write is ever lost: commits wait for write_quorum standbys
        /// (Tidegate sets synchronous_standby_names; each standby's application_name must be its
        /// name here), and a promotion needs standbys enough to know of all of them. A session that
        /// wants synchronous_commit below "on" is refused; what files, roles and databases say of it
        /// does not count. "available":
        /// what the successor had not received is lost, and reported; a promotion needs proof that
        /// the old primary stopped.
        key guarantee: Guarantee = "strict" => .restart();
        /// How long a statement that needs the primary waits for one before it fails.
        key hold: Duration = "10s" => .limits(0, HOUR);
        /// strict: standbys that a commit waits for.
        key write_quorum: usize = "1" => .limits(1, 63).restart();
        /// How often a row is written on the primary, to see that it can.
        key heartbeat: Duration = "1s" => .limits(100, HOUR).restart();
        /// How long the primary's port must refuse connections, with its standbys disconnected,
        /// before it counts as lost: longer than a restart that is worth waiting for.
        key refused: Duration = "1s" => .limits(0, HOUR).restart();
        /// How long the primary may write nothing before its standbys are told to connect to it
        /// anew. If none of them can, it counts as lost.
        key silence: Duration = "3s" => .limits(500, HOUR).restart();
        /// After a failover none happens by itself for so long.
        key cooldown: Duration = "10m" => .limits(0, DAY).restart();
        /// SWITCHOVER: how long open transactions may take to finish; then they are cut.
        key drain: Duration = "5s" => .limits(0, HOUR).restart();
        /// How long a step of a change may take before the change is given up and undone.
        key patience: Duration = "15s" => .limits(500, HOUR).restart();
        /// Who brings a former primary back as a standby, by its agent (nodes.agent): "manual": an
        /// operator, by REJOIN; "automatic": Tidegate, as soon as there is another primary.
        key rejoin: Rejoin = "manual" => .restart();
        /// What a client is told whose primary was lost while it waited for its COMMIT. "unknown":
        /// that nobody knows (08007). "resolve": the next primary is asked whether it happened, for
        /// as long as hold: then it is done, or it is rolled back (40001, nothing of it is there);
        /// what cannot be proven stays 08007. It costs a question ahead of each COMMIT, without a
        /// round trip of its own. So it is for COMMIT in a message of its own, and for statements
        /// outside of transactions by the extended protocol (SELECT, INSERT, UPDATE, DELETE, MERGE).
        key commit_outcome: CommitOutcome = "unknown" => .restart();
        /// A program and its arguments that ends a server for certain, such as one that switches
        /// its power off; exit code 0 says that it has ended. It is told TIDEGATE_CLUSTER,
        /// TIDEGATE_NODE, TIDEGATE_ADDRESS and TIDEGATE_TERM in its environment.
        key fence_command: CommandLine = "[]" => .restart();
    }
}

impl Value for CommandLine {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of words such as [\"/usr/local/bin/power-off\", \"--now\"]".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let DeValue::Array(list) = value else { return Err(complaint()) };
        let words = list.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
        words.collect::<Option<Vec<_>>>().map(CommandLine).ok_or_else(complaint)
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        CommandLine::default()
    }
}

/// `path`: `clusters.NAME`.
pub(super) fn check(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    let settings = &cluster.failover;
    for (number, node) in cluster.nodes.iter().enumerate() {
        let Some(door) = &node.agent else { continue };
        let at = format!("{path}.nodes[{number}].agent");
        agent::check_door(&at, door, reading);
        if !cluster.engine.is_postgres() {
            let hint = "remove it".to_string();
            reading.wrong(&at, "is not built yet for MySQL and MariaDB", Some(hint));
        } else if settings.mode == Mode::Off {
            let hint = format!("set {path}.failover.mode, or remove it");
            reading.warn(&at, "is asked for nothing while failover is off", Some(hint));
        }
    }
    if settings.mode == Mode::Off {
        if settings.commit_outcome == CommitOutcome::Resolve {
            let hint = format!("set {path}.failover.mode, or remove it");
            let key = format!("{path}.failover.commit_outcome");
            reading.wrong(&key, "is for clusters whose failover is done here", Some(hint));
        }
        return;
    }
    let mode = format!("{path}.failover.mode");
    if !cluster.engine.is_postgres() {
        let hint = "set \"off\": Tidegate follows what the servers say".to_string();
        reading.wrong(&mode, "is not built yet for MySQL and MariaDB", Some(hint));
        return;
    }
    let nodes = cluster.nodes.len();
    if nodes < 2 {
        let hint = "set \"off\", or add a standby to nodes".to_string();
        reading.wrong(&mode, "needs a second node", Some(hint));
    } else if settings.guarantee == Guarantee::Strict && settings.write_quorum >= nodes {
        let says = format!("must be less than the number of nodes, {nodes}");
        let hint = "a commit waits for standbys, and the primary is none".to_string();
        reading.wrong(&format!("{path}.failover.write_quorum"), says, Some(hint));
    }
}
