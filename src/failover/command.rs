//! What an operator asks for: whether it is possible, and that it is done.

use super::actuator::Actuator;
use super::coordinator::Coordinator;
use super::execute::Gate;
use super::handle::{Answer, Command, Wanted};
use super::rejoin::{self, Errand};
use super::report::Outcome;
use super::settings::Mode;
use super::store::{Ledger, State, StoreError};
use super::term::{Change, Kind, Name, Record};
use crate::topology::{NodeView, Snapshot};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

impl<A: Actuator, G: Gate, L: Ledger> Coordinator<A, G, L> {
    pub(super) async fn command(
        &mut self,
        mut state: State,
        asked: Command,
    ) -> Result<State, StoreError> {
        let Command { wanted, dry, answer } = asked;
        if let Wanted::Rejoin { node } = wanted {
            self.rejoin(&state.record, node, dry, answer).await;
            return Ok(state);
        }
        if let Some(done) = self.by_hand(&mut state, &wanted, dry).await? {
            let _ = answer.send(done);
            return Ok(state);
        }
        let seen = self.published.load().clone();
        let outlook = self.outlook(&state.record, &wanted, &seen).await;
        let change = match outlook {
            Err(why) => {
                let _ = answer.send(Err(why));
                return Ok(state);
            }
            Ok((lines, _)) if dry => {
                let _ = answer.send(Ok(lines));
                return Ok(state);
            }
            Ok((lines, None)) => {
                state.record.latch = None;
                self.executor.commit(&state).await?;
                self.show(&state);
                let _ = answer.send(Ok(lines));
                return Ok(state);
            }
            Ok((_, Some(change))) => change,
        };
        if change.kind == Kind::Switchover
            && let Err(why) = self.drain(&state.record).await
        {
            self.executor.gate.decree(super::decree(&state.record, &self.executor.names())).await;
            let _ = answer.send(Err(why));
            return Ok(state);
        }
        state = self.begin(state, change).await?;
        state = self.carry_out(state).await?;
        let _ = answer.send(outcome(&state));
        Ok(state)
    }

    /// It is begun, and goes on beside everything else; the answer comes when it is over.
    async fn rejoin(
        &self,
        record: &Record,
        node: Name,
        dry: bool,
        answer: oneshot::Sender<Answer>,
    ) {
        let outlook = match self.executor.settings.mode {
            Mode::Off => Err("failover.mode is \"off\"".into()),
            _ => rejoin::outlook(&*self.executor.actuator, record, &node).await,
        };
        if dry || outlook.is_err() {
            let _ = answer.send(outlook);
            return;
        }
        let errand = Errand { node, answer: Some(answer) };
        if let Err(error) = self.rejoins.try_send(errand)
            && let Some(answer) = error.into_inner().answer
        {
            let _ = answer.send(Err("too many nodes are being brought back".into()));
        }
    }

    /// New work waits; what runs may finish, as long as `drain` allows. What runs longer is cut.
    async fn drain(&mut self, record: &Record) -> Result<(), String> {
        let checkpoint = self.executor.actuator.checkpoint(&record.primary);
        let limit = self.executor.settings.patience;
        match timeout(limit, checkpoint).await {
            Ok(done) => done.map_err(|trouble| trouble.to_string())?,
            Err(_) => return Err(format!("{} takes too long for a CHECKPOINT", record.primary)),
        }
        let names = self.executor.names();
        let because = "a switchover begins: open transactions may finish";
        self.executor.gate.decree(super::decree::held(record, &names, because)).await;
        let began = Instant::now();
        while self.executor.gate.users(&record.primary) > 0
            && began.elapsed() < self.executor.settings.drain
        {
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// What a command would do, or why it is not possible.
    async fn outlook(
        &self,
        record: &Record,
        wanted: &Wanted,
        seen: &Snapshot,
    ) -> Result<(Vec<String>, Option<Change>), String> {
        if self.executor.settings.mode == Mode::Off {
            return Err("failover.mode is \"off\"".into());
        }
        let (kind, to, vouched) = match wanted {
            Wanted::Unlatch => {
                let was = record.latch.as_deref().unwrap_or("nothing kept failover from happening");
                return Ok((vec![format!("unlatched: {was}")], None));
            }
            Wanted::Rejoin { .. } | Wanted::Fence { .. } | Wanted::Unfence { .. } => {
                return Err("the term does not change by that".into());
            }
            Wanted::Switchover { to } => (Kind::Switchover, to, None),
            Wanted::Failover { to, vouched } => (Kind::Failover, to, vouched.clone()),
        };
        let cause = format!("an operator asked for a {}", kind.name());
        let mut change = self.change(record, kind, cause);
        (change.to, change.vouched) = (to.clone(), vouched);
        let stops = self.stops(record, &change, seen).await;
        if !stops.is_empty() {
            return Err(stops.join("; "));
        }
        Ok((plan_lines(record, &change), Some(change)))
    }

    /// All that would keep the change from being made.
    async fn stops(&self, record: &Record, change: &Change, seen: &Snapshot) -> Vec<String> {
        let mut stops = Vec::new();
        let standby = |node: &&NodeView| {
            let standing = node.standing.filter(|s| s.in_recovery);
            node.name != record.primary && standing.is_some_and(|s| s.timeline.0 == record.timeline)
        };
        let standbys: Vec<&Name> =
            seen.nodes.iter().filter(standby).map(|node| &node.name).collect();
        if standbys.is_empty() {
            stops.push(format!("no standby of timeline {} answers", record.timeline));
        }
        if let Some(to) = &change.to
            && !standbys.contains(&to)
        {
            stops.push(format!("{to} is not a standby of {} that answers", record.primary));
        }
        let pulse = self.heart.pulse(record);
        match change.kind {
            Kind::Switchover if pulse.failing_since.is_some() => stops.push(format!(
                "{} takes no writes ({}): that is a FAILOVER",
                record.primary, pulse.why
            )),
            Kind::Failover if pulse.failing_since.is_none() && change.vouched.is_none() => {
                stops.push(format!("{} takes writes: that is a SWITCHOVER", record.primary));
            }
            _ => {}
        }
        let able = standbys
            .iter()
            .copied()
            .chain((change.kind == Kind::Switchover).then_some(&record.primary));
        for name in able {
            if let Err(trouble) = self.executor.actuator.is_able(name).await {
                stops.push(trouble.to_string());
            }
        }
        stops
    }
}

fn plan_lines(record: &Record, change: &Change) -> Vec<String> {
    let from = &change.from;
    let to = change.to.as_deref().unwrap_or("the standby that has most");
    let mut lines = vec![format!(
        "{} of {}: term {} of {from} ends, term {} begins ({})",
        change.kind.name(),
        record.cluster,
        record.term,
        record.term.next(),
        change.guarantee.name()
    )];
    let steps: &[&str] = match change.kind {
        Kind::Switchover => &[
            "new transactions wait, open ones may finish; what runs too long is cut",
            "the old primary rejects logins and ends its sessions",
            "the successor receives all that was written",
            "the standbys let go of the old primary",
        ],
        Kind::Failover => &[
            "writes wait; what runs on the old primary is cut",
            "the standbys let go of the old primary",
            "the old primary is fenced, by the strongest evidence there is",
        ],
    };
    lines.extend(steps.iter().map(|&step| step.to_owned()));
    lines.push(format!("{to} is promoted, and gets the row of the term"));
    lines.push("writes go on; the other standbys follow; CHECKPOINT".into());
    lines.push(format!("{from} stays fenced until it is made a standby"));
    lines
}

fn outcome(state: &State) -> Answer {
    let Some(event) = state.events.last() else { return Ok(Vec::new()) };
    match &event.outcome {
        Outcome::Done => {
            let to = event.to.as_deref().unwrap_or("nobody");
            let held = event.held_millis.unwrap_or(0);
            let line = format!("{to} reigns in term {}; writes waited for {held} ms", event.term);
            Ok(vec![line])
        }
        Outcome::GivenUp(why) => Err(format!("given up: {why}")),
        Outcome::UnderWay => Err("it is still under way: SHOW FAILOVERS".into()),
    }
}
