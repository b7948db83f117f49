//! Test restores in a running proxy: by schedule and by command.

use super::keeper::{FIRST, MOST, State, after, moment};
use crate::backup::{Event, Proof, Schedule, Store, Teller};
use crate::failover::Answer;
use crate::pg::backup::{Trial, prove};
use crate::task::{Backoff, Stop, chance};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

pub(super) struct Tester {
    pub(super) name: Arc<str>,
    pub(super) store: Store,
    pub(super) trial: Trial,
    pub(super) schedule: Option<Schedule>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) teller: Arc<Teller>,
}

impl Tester {
    pub(super) async fn run(
        self,
        mut asked: mpsc::Receiver<oneshot::Sender<Answer>>,
        mut stop: Stop,
    ) {
        let mut backoff = Backoff::new(FIRST, MOST);
        let mut not_before = Timestamp::MIN;
        loop {
            self.plan(not_before).await;
            let asker = tokio::select! {
                // All branches are cancel-safe.
                () = stop.stopped() => return,
                command = asked.recv() => match command {
                    Some(answer) => Some(answer),
                    None => return,
                },
                () = moment(&self.state, |state| state.next_test) => None,
            };
            let done = tokio::select! {
                // Dropped as it is: server and folder go with it.
                () = stop.stopped() => return,
                done = self.test() => done,
            };
            match &done {
                Ok(_) => backoff.reset(),
                Err(_) => not_before = after(backoff.next(chance())),
            }
            if let Some(asker) = asker {
                // Whoever asked may have left meanwhile; the result is stored all the same.
                let _ = asker.send(done);
            }
        }
    }

    async fn plan(&self, not_before: Timestamp) {
        let Some(schedule) = &self.schedule else { return };
        let backups = match self.store.backups().await {
            Ok(backups) => backups,
            Err(error) => {
                tracing::warn!(cluster = &*self.name, %error, "the backups cannot be looked at");
                Vec::new()
            }
        };
        let last = backups.iter().filter_map(|b| Some(b.proof.as_ref()?.began)).max();
        let due = schedule.due(last, Timestamp::now(), chance());
        self.state.lock().next_test = due.map(|due| due.max(not_before));
    }

    async fn test(&self) -> Answer {
        self.state.lock().testing = Some(Instant::now());
        let done = self.try_test().await;
        let failure = {
            let mut state = self.state.lock();
            state.testing = None;
            state.tests += 1;
            let failure = match &done {
                Ok(proof) => proof.failure.clone(),
                Err(why) => Some(why.clone()),
            };
            state.test_failures += u64::from(failure.is_some());
            state.test_trouble = failure.clone();
            failure
        };
        if let Ok(backups) = self.store.backups().await {
            self.state.lock().backups = backups;
        }
        let Some(failure) = failure else {
            return done.map(|proof| proof.words());
        };
        let backup = done.as_ref().ok().map(|proof| &proof.backup);
        tracing::error!(
            cluster = &*self.name,
            backup = backup.map(tracing::field::display),
            failure,
            "a test restore failed"
        );
        self.teller.tell(Event::TestFailed, backup, &failure).await;
        Err(done.map_or(failure, |proof| proof.words().join("\n")))
    }

    async fn try_test(&self) -> Result<Proof, String> {
        let newest = self.store.backups().await.map_err(|error| error.to_string())?.pop();
        let newest = newest.ok_or("there is no backup to be tested yet")?;
        tracing::info!(cluster = &*self.name, backup = %newest.entry.id, "a test restore begins");
        let proof = prove(&self.store, &newest.entry, &self.trial).await;
        proof.map_err(|error| error.to_string())
    }
}
