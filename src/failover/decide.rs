//! Is the primary lost? Pure: what was seen and the time are arguments.
//!
//! A proxy alone cannot tell a dead primary from its own isolation, nor from load. So silence is
//! never enough: a standby must have lost the primary, too, when it was asked to connect anew.

use super::settings::{Mode, Settings};
use super::term::{Guarantee, Name, Record};
use std::time::{Duration, Instant};

/// How the last attempts to write on the primary went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Since when none has succeeded; `None`: the last one did.
    pub failing_since: Option<Instant>,
    /// Since when nobody listens at its address; `None`: the last attempt got further.
    pub refused_since: Option<Instant>,
    /// Its port takes connections, and nobody answers them.
    pub deaf: bool,
    /// In the words of the last failure.
    pub why: String,
}

/// A standby that answers us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    pub name: Name,
    /// It has a connection to the primary that log comes by.
    pub streams: bool,
    /// When it had received something new last.
    pub advanced: Option<Instant>,
    /// When it was told to drop its connection and to make another, and had dropped it.
    pub asked: Option<Instant>,
}

/// All that the decision depends on.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    pub record: &'a Record,
    pub settings: &'a Settings,
    pub pulse: &'a Pulse,
    /// The primary answers questions, whatever becomes of its writes.
    pub answers: bool,
    /// An agent beside it can end it.
    pub agent: bool,
    pub witnesses: &'a [Witness],
    /// Since the last failover.
    pub since_failover: Option<Duration>,
    pub now: Instant,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It writes.
    Well,
    /// It does not, but not for long enough.
    Doubtful,
    /// Ask the standbys to connect to it anew.
    Ask,
    /// A standby still hears it: this proxy is cut off, or it is slow.
    Heard { by: Name },
    /// No standby answers: this proxy may be the one that is cut off.
    Alone,
    /// It is lost. `obstacle`: why nothing happens by itself.
    Lost { cause: String, obstacle: Option<Obstacle> },
}

/// Why a lost primary is not replaced by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("failover.mode is \"manual\"")]
    Manual,
    #[error("an operator has to look first: {0}")]
    Latched(String),
    #[error("the last failover was {0:.0?} ago, less than failover.cooldown")]
    Cooldown(Duration),
    #[error(
        "nothing could prove that it stopped: it does not answer, and there is no agent and no failover.fence_command"
    )]
    NoFence,
    #[error("commits do not wait for a quorum of standbys yet")]
    NoGuarantee,
}

/// How long a standby that was asked may take to be connected again.
const ANSWER: Duration = Duration::from_millis(1500);

/// After so long an answer says nothing about the present, and it is asked again.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// What to think of the primary.
pub fn decide(sight: &Sight<'_>) -> Verdict {
    let Some(failing) = sight.pulse.failing_since else { return Verdict::Well };
    let ago = |since: Instant| sight.now.saturating_duration_since(since);
    let gone = sight.pulse.refused_since.is_some_and(|s| ago(s) >= sight.settings.refused);
    let silent = ago(failing) >= sight.settings.silence;
    if !gone && !silent {
        return Verdict::Doubtful;
    }
    if sight.witnesses.is_empty() {
        return Verdict::Alone;
    }
    // Whoever received something since then heard it write.
    let heard = sight.witnesses.iter().find(|w| w.advanced.is_some_and(|at| at > failing + GRACE));
    if gone {
        return match sight.witnesses.iter().find(|w| w.streams) {
            Some(witness) => Verdict::Heard { by: witness.name.clone() },
            None => lost(sight, "nobody listens at its address"),
        };
    }
    // A server that takes no login may write for those who are inside; so may one that is slow, and
    // it gets more time before its standbys are disturbed.
    let shut = sight.pulse.deaf && ago(failing) >= sight.settings.silence * 2;
    match heard {
        Some(witness) if !shut => Verdict::Heard { by: witness.name.clone() },
        _ => silence(sight, ago(failing), heard.is_some()),
    }
}

/// Log that was under way when the first write failed.
const GRACE: Duration = Duration::from_millis(500);

/// It wrote nothing for too long: the standbys were asked, or are to be.
fn silence(sight: &Sight<'_>, silent: Duration, heard: bool) -> Verdict {
    let ago = |at: Instant| sight.now.saturating_duration_since(at);
    let asked = |w: &Witness| w.asked.filter(|at| ago(*at) < FORGOTTEN);
    let asked: Vec<_> = sight.witnesses.iter().filter_map(|w| Some((w, asked(w)?))).collect();
    if asked.is_empty() {
        return Verdict::Ask;
    }
    // Where anything arrives it lives, and may be slow to let somebody in.
    let answer = if heard { ANSWER * 3 } else { ANSWER };
    // It takes connections and answers, but nothing that it writes arrives anywhere.
    let stalled = sight.answers && !heard && silent >= sight.settings.silence * 2;
    match asked.iter().find(|(w, _)| w.streams) {
        Some(_) if stalled => lost(sight, "it answers, but no write is ever finished"),
        Some((witness, _)) => Verdict::Heard { by: witness.name.clone() },
        None if asked.len() < sight.witnesses.len() => Verdict::Ask,
        None if asked.iter().all(|(_, at)| ago(*at) >= answer) => {
            lost(sight, "it is silent, and its standbys cannot connect to it")
        }
        None => Verdict::Doubtful,
    }
}

fn lost(sight: &Sight<'_>, what: &str) -> Verdict {
    let cause = format!("{what}: {}", sight.pulse.why);
    Verdict::Lost { cause, obstacle: obstacle(sight) }
}

fn obstacle(sight: &Sight<'_>) -> Option<Obstacle> {
    let Sight { record, settings, .. } = sight;
    if settings.mode != Mode::Automatic {
        return Some(Obstacle::Manual);
    }
    if let Some(latch) = &record.latch {
        return Some(Obstacle::Latched(latch.clone()));
    }
    if let Some(ago) = sight.since_failover.filter(|ago| *ago < settings.cooldown) {
        return Some(Obstacle::Cooldown(ago));
    }
    match settings.guarantee {
        Guarantee::Strict => record.quorum.is_none().then_some(Obstacle::NoGuarantee),
        Guarantee::Available => {
            let provable = sight.pulse.refused_since.is_some()
                || sight.agent
                || (sight.answers && !sight.pulse.deaf)
                || !settings.fence_command.0.is_empty();
            (!provable).then_some(Obstacle::NoFence)
        }
    }
}

#[cfg(test)]
mod tests;
