//! A former primary comes back as a standby, by its agent: stopped, taken back to where its history
//! parted from that of the term, or copied anew, started.

use super::actuator::{Actuator, Trouble};
use super::handle::{Answer, Board, Rejoining};
use super::term::{Name, Record};
use crate::orders::{self, Agent, AgentError, How, Source, Why};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A node to bring back, and who waits for it.
pub(super) struct Errand {
    pub(super) node: Name,
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

/// Brings back one after the other. Never returns while somebody may send more.
pub(super) async fn run<A: Actuator>(
    actuator: &A,
    board: &Board,
    mut queue: mpsc::Receiver<Errand>,
) {
    while let Some(Errand { node, answer }) = queue.recv().await {
        let Some(state) = board.state.load_full() else { continue };
        let show = |failed| Some(Arc::new(Rejoining { node: node.clone(), failed }));
        board.rejoin.store(show(None));
        let done = match state.record.deposed.contains_key(&node) {
            true => rejoin(actuator, &state.record, &node).await.map_err(|t| t.to_string()),
            false => Err(no_former_primary(&node)),
        };
        board.rejoin.store(done.as_ref().err().and_then(|why| show(Some(why.clone()))));
        match &done {
            Ok(says) => tracing::info!(node = &*node, ?says, "a former primary is a standby"),
            Err(why) => tracing::error!(node = &*node, why, "a former primary stays out"),
        }
        if let Some(answer) = answer {
            // Whoever asked may be gone.
            let _ = answer.send(done);
        }
    }
}

fn no_former_primary(node: &Name) -> String {
    format!("{node} is no former primary that is kept out")
}

/// What would be done, or what stands against it.
pub(super) async fn outlook<A: Actuator>(actuator: &A, record: &Record, node: &Name) -> Answer {
    if !record.deposed.contains_key(node) {
        return Err(no_former_primary(node));
    }
    let agent = actuator.agent(node).ok_or_else(|| no_agent(node).to_string())?;
    let status = agent.status().await.map_err(|source| source.to_string())?;
    if status.system != record.system {
        return Err(format!("{node} belongs to database system {}", status.system));
    }
    if let Some(busy) = status.busy {
        return Err(format!("the agent of {node} is busy with {busy}"));
    }
    let primary = &record.primary;
    Ok(vec![
        format!("rejoin of {node} in {}, term {}; it is {status}", record.cluster, record.term),
        format!("CHECKPOINT on {primary}, so that it shows where the histories parted"),
        format!("{node} is stopped"),
        format!(
            "its data are taken back to there (pg_rewind), or else copied from {primary}; then the old ones are kept beside them"
        ),
        format!("it starts as a standby of {primary}, and is let in once it follows"),
    ])
}

fn no_agent(node: &Name) -> Trouble {
    let what = "have an agent: give it one in the configuration, or make it a standby by hand";
    Trouble::NotObserved { node: node.clone(), what: what.into() }
}

/// Every part may be done twice: whatever comes in between, it can be begun anew.
async fn rejoin<A: Actuator>(
    actuator: &A,
    record: &Record,
    node: &Name,
) -> Result<Vec<String>, Trouble> {
    let agent = actuator.agent(node).ok_or_else(|| no_agent(node))?;
    let of = orders::Name { term: record.term.0, system: record.system };
    let follower = node.to_string();
    let source = Source { address: actuator.address(&record.primary)?, follower };
    // Until then the primary's control file has the old timeline, and pg_rewind sees no fork.
    actuator.checkpoint(&record.primary).await?;
    let done = by_agent(agent, of, source).await;
    let mut lines = done.map_err(|source| Trouble::Agent { node: node.clone(), source })?;
    lines.push(format!("{node} is a standby of {}", record.primary));
    Ok(lines)
}

async fn by_agent(
    agent: &Agent,
    of: orders::Name,
    source: Source,
) -> Result<Vec<String>, AgentError> {
    let stopped = match agent.stop(of, How::Fast).await {
        // It waits for somebody who does not listen any more.
        Err(error) if has_failed(&error) => agent.stop(of, How::Immediate).await?,
        stopped => stopped?,
    };
    let data = match agent.rewind(of, source.clone()).await {
        Err(error) if has_failed(&error) => {
            tracing::warn!(%error, "the data cannot be rewound: they are copied");
            let copied = agent.copy(of, source.clone()).await?;
            format!("not rewound ({error}); {copied}")
        }
        rewound => format!("rewound: {}", rewound?),
    };
    agent.follow(of, source).await?;
    let started = agent.start(of, false).await?;
    Ok(vec![format!("stopped: {stopped}"), data, format!("started: {started}")])
}

/// It was tried, and something else may work.
fn has_failed(error: &AgentError) -> bool {
    matches!(error, AgentError::Refused { said, .. } if said.why == Why::Failed)
}
