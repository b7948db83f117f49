//! Evidence that the old primary acknowledges nothing any more, the strongest there is to be had.

use super::actuator::Actuator;
use super::plan::{Fact, may_promote, note};
use super::settings::Settings;
use super::term::{Evidence, Guarantee, Kind, Name, Record};
use crate::orders::{self, How};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long the server itself may take to be fenced: where it hangs, others are asked.
const ITSELF: Duration = Duration::from_secs(1);

/// How long its agent may take to kill it.
const BY_AGENT: Duration = Duration::from_secs(2);

/// The same where it is good to know, but the standbys have decided already.
const IN_PASSING: Duration = Duration::from_millis(300);

/// How much of a command's output is kept.
const SAID: usize = 200;

/// The evidence, or what was tried in vain.
pub(super) async fn fence<A: Actuator>(
    actuator: &A,
    settings: &Settings,
    record: &Record,
    nodes: &[(Name, String)],
) -> Result<Evidence, String> {
    let Some(change) = &record.change else { return Err("no change is under way".into()) };
    let revoked = note(record, Fact::Fenced(Evidence::Revocation));
    let is_decided = change.guarantee == Guarantee::Strict && may_promote(&revoked).is_ok();
    let mut tried = Vec::new();
    // A switchover wants all that the old primary wrote: it is not to die.
    if let Some(agent) = actuator.agent(&change.from).filter(|_| change.kind == Kind::Failover) {
        let of = orders::Name { term: record.term.0, system: record.system };
        let within = if is_decided { BY_AGENT / 2 } else { BY_AGENT };
        match timeout(within, agent.stop(of, How::Immediate)).await {
            Ok(Ok(says)) => return Ok(Evidence::AgentStopped(says)),
            Ok(Err(error)) => tried.push(error.to_string()),
            Err(_) => tried.push(format!("the agent of {} does not answer", change.from)),
        }
    }
    let within = if is_decided { IN_PASSING } else { ITSELF };
    match timeout(within, actuator.fence(&change.from)).await {
        Ok(Ok(evidence)) => return Ok(evidence),
        Ok(Err(trouble)) => tried.push(trouble.to_string()),
        Err(_) => tried.push(format!("node {} does not answer", change.from)),
    }
    if !settings.fence_command.0.is_empty() {
        let address = nodes.iter().find(|(name, _)| *name == change.from);
        let address = address.map_or("", |(_, address)| address);
        match command(settings, record, (&change.from, address)).await {
            Ok(said) => return Ok(Evidence::Command(said)),
            Err(why) => tried.push(why),
        }
    }
    if is_decided {
        return Ok(Evidence::Revocation);
    }
    match &change.vouched {
        Some(who) => Ok(Evidence::Operator(who.clone())),
        None => Err(format!("nothing proves that {} stopped: {}", change.from, tried.join("; "))),
    }
}

/// The operator's command: exit code 0 says that the server has ended for certain.
async fn command(
    settings: &Settings,
    record: &Record,
    (node, address): (&Name, &str),
) -> Result<String, String> {
    let Some((program, arguments)) = settings.fence_command.0.split_first() else {
        return Err("no failover.fence_command".into());
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env("TIDEGATE_CLUSTER", &*record.cluster).env("TIDEGATE_NODE", &**node);
    command.env("TIDEGATE_ADDRESS", address).env("TIDEGATE_TERM", record.term.to_string());
    let output = match timeout(settings.patience, command.output()).await {
        Ok(output) => output.map_err(|error| format!("failover.fence_command: {error}"))?,
        Err(_) => return Err("failover.fence_command takes too long".into()),
    };
    let said: String = String::from_utf8_lossy(&output.stdout).trim().chars().take(SAID).collect();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("failover.fence_command: {}: {said}", output.status)),
    }
}
