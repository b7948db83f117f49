//! The heartbeat: a durable write on the primary, again and again, and how it goes.

use super::actuator::{Actuator, Trouble};
use super::decide::Pulse;
use super::settings::Settings;
use super::term::Record;
use crate::orders;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long a beat may take before it counts as one that failed.
const LIMIT: Duration = Duration::from_secs(1);

/// Between two beats while they fail.
const AGAIN: Duration = Duration::from_millis(100);

/// What the beats say.
#[derive(Debug, Default)]
pub(super) struct Heart {
    state: Mutex<Beats>,
    /// What was wrong with the primary's agent last.
    agent: Mutex<Option<String>>,
}

#[derive(Clone, Debug, Default)]
struct Beats {
    /// Whose heart it is: that of another reign says nothing.
    term: u64,
    pulse: Pulse,
    last: Option<Instant>,
    taken: Option<String>,
}

impl Heart {
    /// How the beats of this reign go.
    pub(super) fn pulse(&self, record: &Record) -> Pulse {
        let state = self.state.lock();
        if state.term == record.term.0 { state.pulse.clone() } else { Pulse::default() }
    }

    /// When the last beat of this reign was answered.
    pub(super) fn last(&self) -> Option<Instant> {
        self.state.lock().last
    }

    /// The words of another proxy's row, if one has taken the reign.
    pub(super) fn taken(&self, record: &Record) -> Option<String> {
        let state = self.state.lock();
        state.taken.clone().filter(|_| state.term == record.term.0)
    }

    /// Beats for as long as somebody waits for it; `reign` answers with the record in force, or
    /// with none while nobody reigns.
    pub(super) async fn run<A: Actuator>(
        &self,
        actuator: &A,
        settings: &Settings,
        reign: impl Fn() -> Option<Arc<Record>>,
    ) {
        loop {
            let Some(record) = reign() else {
                sleep(AGAIN).await;
                continue;
            };
            let began = Instant::now();
            let renewed = renew(actuator, &record);
            let (beaten, ()) = tokio::join!(timeout(LIMIT, actuator.beat(&record)), async {
                self.note_agent(renewed.await);
            });
            let went_well = matches!(beaten, Ok(Ok(_)));
            self.note(&record, began, beaten.map_err(|_| ()).map(|done| done.map(drop)));
            sleep(if went_well { settings.heartbeat } else { AGAIN }).await;
        }
    }

    /// What is wrong with the agent is said once.
    fn note_agent(&self, trouble: Option<String>) {
        let mut last = self.agent.lock();
        if *last != trouble {
            match &trouble {
                Some(why) => tracing::warn!(why, "the agent of the primary hears nothing of us"),
                None => tracing::info!("the agent of the primary hears of us again"),
            }
            *last = trouble;
        }
    }

    fn note(&self, record: &Record, began: Instant, beaten: Result<Result<(), Trouble>, ()>) {
        let mut state = self.state.lock();
        if state.term != record.term.0 {
            *state = Beats { term: record.term.0, ..Beats::default() };
        }
        let trouble = match beaten {
            Ok(Ok(())) => {
                *state = Beats { term: state.term, last: Some(began), ..Beats::default() };
                return;
            }
            Ok(Err(trouble)) => Some(trouble),
            Err(()) => None,
        };
        let pulse = &mut state.pulse;
        pulse.failing_since.get_or_insert(began);
        pulse.refused_since = match &trouble {
            Some(Trouble::NobodyListens { .. }) => pulse.refused_since.or(Some(began)),
            _ => None,
        };
        pulse.deaf = matches!(trouble, Some(Trouble::Deaf { .. }));
        pulse.why = match &trouble {
            Some(trouble) => trouble.to_string(),
            None => format!("a write takes longer than {LIMIT:?}"),
        };
        if let Some(Trouble::Taken { term, holder, .. }) = trouble {
            state.taken = Some(format!("term {term} of another proxy, {holder}"));
        }
    }
}

/// The agent of the primary hears that whoever keeps the term is well; else why it does not.
async fn renew<A: Actuator>(actuator: &A, record: &Record) -> Option<String> {
    let agent = actuator.agent(&record.primary)?;
    let of = orders::Name { term: record.term.0, system: record.system };
    match timeout(LIMIT, agent.renew(of)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("node {}: {error}", record.primary)),
        Err(_) => Some(format!("node {}: its agent does not answer", record.primary)),
    }
}
