//! The terms of clusters, as they are shown.

use crate::app::control::Console;
use crate::config;
use crate::failover::{Event, Handle, Mode, Outcome, State, Taken, record_file};
use crate::view::{Reign, ReignChange, ReignStep};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub(super) fn all(console: &Console) -> Vec<Reign> {
    let config = console.config();
    console.reigns.iter().map(|(name, of)| reign(name, of, &config.settings)).collect()
}

fn reign(cluster: &Arc<str>, handle: &Handle, config: &config::Settings) -> Reign {
    let settings = handle.settings();
    let state = handle.state();
    let record = state.as_ref().map(|state| &state.record);
    let opinion = handle.opinion();
    let quorum = record.and_then(|record| record.quorum.as_ref()).map(|quorum| {
        let voters: Vec<&str> = quorum.voters.iter().map(|name| &**name).collect();
        format!("{} of {}", quorum.write, voters.join(", "))
    });
    let configured = config.clusters.get(&**cluster).into_iter().flat_map(|of| &of.nodes);
    let agents =
        configured.filter(|node| node.agent.is_some()).map(|node| node.name.as_str().into());
    Reign {
        cluster: cluster.clone(),
        mode: match settings.mode {
            Mode::Off => "off",
            Mode::Manual => "manual",
            Mode::Automatic => "automatic",
        }
        .into(),
        guarantee: settings.guarantee.name().into(),
        term: record.map(|record| record.term.0),
        phase: record.map(|record| record.phase().name().into()),
        holder: record.map(|record| record.holder.clone()),
        record: record_file(&config.state_dir, cluster).display().to_string(),
        primary: record.map(|record| record.primary.clone()),
        timeline: record.map(|record| record.timeline.into()),
        quorum,
        opinion: opinion.word.into(),
        says: opinion.says.clone(),
        latch: record.and_then(|record| record.latch.clone()),
        deposed: record.map_or_else(Vec::new, |r| r.deposed.keys().cloned().collect()),
        agents: agents.collect(),
        rejoin: handle.rejoin().map(|rejoin| match &rejoin.failed {
            None => format!("{} is being brought back", rejoin.node),
            Some(why) => format!("{} stays out: {why}", rejoin.node),
        }),
        beat_age: handle.last_beat().map(|at| Instant::now().saturating_duration_since(at)),
        events: state.as_deref().map_or_else(Vec::new, events),
    }
}

/// The newest first.
fn events(state: &State) -> Vec<ReignChange> {
    state.events.iter().rev().map(event).collect()
}

fn event(event: &Event) -> ReignChange {
    let loss = event.loss.as_ref();
    ReignChange {
        term: event.term.0,
        kind: event.kind.name().into(),
        from: event.from.clone(),
        to: event.to.clone(),
        cause: event.cause.clone(),
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(event.began),
        held: event.held_millis.map(Duration::from_millis),
        outcome: match &event.outcome {
            Outcome::UnderWay => "under way".into(),
            Outcome::Done => "done".into(),
            Outcome::GivenUp(why) => format!("given up: {why}"),
        },
        lost_bytes: loss.map(|loss| loss.bytes),
        loss_window: loss.and_then(|loss| loss.window_millis).map(Duration::from_millis),
        steps: event.steps.iter().map(step).collect(),
    }
}

fn step(taken: &Taken) -> ReignStep {
    let took = Duration::from_millis(taken.millis);
    ReignStep { step: taken.step.as_str().into(), took, says: taken.says.clone() }
}
