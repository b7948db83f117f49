//! `tidegate switchover`, `failover`, `rejoin`, `fence`, `unfence`, `unlatch`: asked of the running proxy over its console.

use super::ask::with_console;
use super::print;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which cluster, of which proxy.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// The configuration file of the running proxy
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// The cluster
    #[arg(long)]
    pub(super) cluster: String,
}

/// The node that is to become the primary, and whether it is only asked about.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    of: Of,
    /// The node; default: the standby that has most
    #[arg(long)]
    to: Option<String>,
    /// Only say what would be done, or what would stop it
    #[arg(long)]
    dry_run: bool,
}

/// The node that a command is about.
#[derive(Debug, Args)]
pub(super) struct Returning {
    #[command(flatten)]
    of: Of,
    /// The node
    node: String,
    /// Only say what would be done, or what would stop it
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn rejoin(rejoin: &Returning) -> ExitCode {
    rejoin.tell("REJOIN", "")
}

impl Returning {
    fn tell(&self, word: &str, force: &str) -> ExitCode {
        let dry = if self.dry_run { " DRY RUN" } else { "" };
        tell(&self.of, &format!("{word} \"{}.{}\"{force}{dry}", self.of.cluster, self.node))
    }
}

/// The node that is to serve nobody.
#[derive(Debug, Args)]
pub(super) struct Fencing {
    #[command(flatten)]
    node: Returning,
    /// Even if it is the primary: all writes wait then
    #[arg(long)]
    force: bool,
}

pub(super) fn fence(fencing: &Fencing) -> ExitCode {
    let force = if fencing.force { " FORCE" } else { "" };
    fencing.node.tell("FENCE", force)
}

pub(super) fn unfence(node: &Returning) -> ExitCode {
    node.tell("UNFENCE", "")
}

pub(super) fn switchover(change: &Change) -> ExitCode {
    tell(&change.of, &change.command("SWITCHOVER", false))
}

pub(super) fn failover(change: &Change, force: bool) -> ExitCode {
    tell(&change.of, &change.command("FAILOVER", force))
}

pub(super) fn unlatch(of: &Of) -> ExitCode {
    tell(of, &format!("UNLATCH \"{}\"", of.cluster))
}

impl Change {
    fn command(&self, word: &str, force: bool) -> String {
        let mut command = format!("{word} \"{}\"", self.of.cluster);
        if let Some(to) = &self.to {
            command.push_str(&format!(" TO \"{to}\""));
        }
        if force {
            command.push_str(" FORCE");
        }
        if self.dry_run {
            command.push_str(" DRY RUN");
        }
        command
    }
}

fn tell(of: &Of, command: &str) -> ExitCode {
    with_console(&of.config, async |console| {
        let answer = console.ask(command).await?;
        Ok(print(&answer.notices.iter().map(|line| format!("{line}\n")).collect::<String>()))
    })
}
