//! Commands that change something.

use super::command::Command;
use super::failure::{CONFIG, Failure, INTERNAL, NOT_NOW, UNDEFINED_OBJECT};
use super::{Control, Reloaded};
use crate::failover::Wanted;

pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
}

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "RELOAD", usage: "RELOAD", help: "read the configuration again" },
    Action {
        name: "PAUSE",
        usage: "PAUSE [cluster]",
        help: "let running transactions finish and new ones wait",
    },
    Action { name: "RESUME", usage: "RESUME [cluster]", help: "go on after PAUSE" },
    Action {
        name: "RECONNECT",
        usage: "RECONNECT [cluster]",
        help: "close server connections as they become free, and open new ones",
    },
    Action {
        name: "WAIT_CLOSE",
        usage: "WAIT_CLOSE [cluster]",
        help: "wait until the connections of before RECONNECT are closed",
    },
    Action { name: "DISABLE", usage: "DISABLE <cluster>", help: "let no new client in" },
    Action { name: "ENABLE", usage: "ENABLE <cluster>", help: "let new clients in again" },
    Action {
        name: "DRAIN",
        usage: "DRAIN <cluster>.<node>",
        help: "send no new reads to a replica, and wait until it does nothing any more",
    },
    Action { name: "UNDRAIN", usage: "UNDRAIN <cluster>.<node>", help: "send reads there again" },
    Action {
        name: "SET",
        usage: "SET <key> = <value>",
        help: "change what needs no restart, until the next RELOAD",
    },
    Action { name: "KILL", usage: "KILL <client id>", help: "close a client's connection" },
    Action {
        name: "SWITCHOVER",
        usage: "SWITCHOVER <cluster> [TO <node>] [DRY RUN]",
        help: "make another node the primary while this one is well",
    },
    Action {
        name: "FAILOVER",
        usage: "FAILOVER <cluster> [TO <node>] [FORCE] [DRY RUN]",
        help: "make another node the primary because this one is lost; FORCE: on your word",
    },
    Action {
        name: "REJOIN",
        usage: "REJOIN <cluster>.<node> [DRY RUN]",
        help: "make a former primary a standby, by its agent",
    },
    Action {
        name: "FENCE",
        usage: "FENCE <cluster>.<node> [FORCE] [DRY RUN]",
        help: "let a node serve nobody; FORCE: even the primary",
    },
    Action {
        name: "UNFENCE",
        usage: "UNFENCE <cluster>.<node> [DRY RUN]",
        help: "let a fenced node serve again",
    },
    Action {
        name: "UNLATCH",
        usage: "UNLATCH <cluster>",
        help: "let failover happen by itself again",
    },
    Action {
        name: "BACKUP",
        usage: "BACKUP <cluster>",
        help: "take a backup now; answers when it is there",
    },
    Action {
        name: "TEST",
        usage: "TEST BACKUP <cluster>",
        help: "restore the newest backup aside and try it; answers when that is done",
    },
    Action { name: "SHUTDOWN", usage: "SHUTDOWN", help: "drain, then stop the proxy" },
];

/// What is answered: a command tag, after these notices.
pub(super) struct Done {
    pub(super) tag: &'static str,
    pub(super) notices: Vec<String>,
}

impl Done {
    fn just(tag: &'static str) -> Done {
        Done { tag, notices: Vec::new() }
    }
}

/// Does what changes something; `None` for a command that only shows.
pub(super) async fn act(command: &Command, control: &dyn Control) -> Result<Option<Done>, Failure> {
    let done = match command {
        Command::Reload => {
            let reloaded = control.reload().map_err(|e| Failure::error(CONFIG, e))?;
            Done { tag: "RELOAD", notices: notices(&reloaded) }
        }
        Command::Pause(cluster) => {
            known(cluster.as_deref(), control)?;
            let paused = control.pause(cluster.as_deref()).await;
            paused.map_err(|e| Failure::error(INTERNAL, e))?;
            Done::just("PAUSE")
        }
        Command::Resume(cluster) => {
            known(cluster.as_deref(), control)?;
            control.resume(cluster.as_deref()).map_err(|e| Failure::error(INTERNAL, e))?;
            Done::just("RESUME")
        }
        Command::Reconnect(cluster) => {
            known(cluster.as_deref(), control)?;
            control.reconnect(cluster.as_deref()).map_err(|e| Failure::error(INTERNAL, e))?;
            Done::just("RECONNECT")
        }
        Command::WaitClose(cluster) => {
            known(cluster.as_deref(), control)?;
            let closed = control.wait_close(cluster.as_deref()).await;
            closed.map_err(|e| Failure::error(INTERNAL, e))?;
            Done::just("WAIT_CLOSE")
        }
        Command::Admit(cluster, admits) => {
            known(Some(cluster), control)?;
            control.admit(cluster, *admits).map_err(|e| Failure::error(INTERNAL, e))?;
            Done::just(if *admits { "ENABLE" } else { "DISABLE" })
        }
        Command::Drain(cluster, node, drained) => {
            known(Some(cluster), control)?;
            let done = control.drain_node(cluster, node, *drained).await;
            done.map_err(|e| Failure::error(NOT_NOW, e).hint("SHOW NODES has the nodes."))?;
            Done::just(if *drained { "DRAIN" } else { "UNDRAIN" })
        }
        Command::Set(key, value) => {
            let set = control.set(key, value).map_err(|e| Failure::error(CONFIG, e))?;
            Done { tag: "SET", notices: notices(&set) }
        }
        Command::Kill(client) if control.kill(*client) => Done::just("KILL"),
        Command::Kill(client) => {
            let text = format!("there is no client {client}");
            return Err(Failure::error(UNDEFINED_OBJECT, text).hint("SHOW CLIENTS has their ids."));
        }
        Command::Reign(cluster, wanted, dry) => {
            known(Some(cluster), control)?;
            let lines = control.reign(cluster, wanted.clone(), *dry).await;
            let refused =
                |why| Failure::error(NOT_NOW, why).hint("SHOW TERM and SHOW NODES tell more.");
            Done { tag: tag(wanted), notices: lines.map_err(refused)? }
        }
        Command::Backup(cluster) | Command::TestBackup(cluster) => {
            known(Some(cluster), control)?;
            backup(command, cluster, control).await?
        }
        Command::Shutdown => {
            control.shutdown();
            Done::just("SHUTDOWN")
        }
        Command::Ignored(tag) => Done::just(tag),
        Command::Show(..) | Command::Begin | Command::End(_) => return Ok(None),
    };
    Ok(Some(done))
}

/// Takes a backup of a cluster, or tests the newest one.
async fn backup(command: &Command, cluster: &str, control: &dyn Control) -> Result<Done, Failure> {
    let (tag, done) = match command {
        Command::TestBackup(_) => ("TEST", control.test_backup(cluster).await),
        _ => ("BACKUP", control.backup(cluster).await),
    };
    let refused = |why| Failure::error(NOT_NOW, why).hint("SHOW BACKUPS and SHOW NODES tell more.");
    Ok(Done { tag, notices: done.map_err(refused)? })
}

pub(super) fn tag(wanted: &Wanted) -> &'static str {
    match wanted {
        Wanted::Switchover { .. } => "SWITCHOVER",
        Wanted::Failover { .. } => "FAILOVER",
        Wanted::Rejoin { .. } => "REJOIN",
        Wanted::Fence { .. } => "FENCE",
        Wanted::Unfence { .. } => "UNFENCE",
        Wanted::Unlatch => "UNLATCH",
    }
}

fn notices(reloaded: &Reloaded) -> Vec<String> {
    let changed = reloaded.changed.iter().map(|key| format!("{key} changed"));
    let kept = reloaded.needs_restart.iter();
    changed.chain(kept.map(|key| format!("{key} changes only with a restart"))).collect()
}

fn known(cluster: Option<&str>, control: &dyn Control) -> Result<(), Failure> {
    let Some(asked) = cluster else { return Ok(()) };
    let clusters = control.view().clusters;
    if clusters.iter().any(|c| &*c.name == asked) {
        return Ok(());
    }
    let names: Vec<&str> = clusters.iter().map(|c| &*c.name).collect();
    Err(Failure::error(UNDEFINED_OBJECT, format!("there is no cluster {asked:?}"))
        .hint(format!("Clusters: {}.", names.join(", "))))
}
