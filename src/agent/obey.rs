//! Carries orders out, one at a time, after what must be remembered of them was written down.

use super::judge::{Objection, Seen, judge};
use super::keep::{Keeper, Kept};
use super::server::{Server, ServerError};
use crate::orders::{Done, Order, Refused, Status, What, Why};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Duration;

/// Time since the machine's start, that in which it slept included.
pub(super) fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// The agent itself: its server, what it remembers, what it is doing.
pub(super) struct Agent {
    pub(super) server: Server,
    keeper: Mutex<Keeper>,
    /// When an order of the term came last.
    renewed: Mutex<Duration>,
    doing: Mutex<Option<&'static str>>,
}

impl Agent {
    pub(super) fn new(server: Server, keeper: Keeper) -> Agent {
        let (keeper, renewed) = (Mutex::new(keeper), Mutex::new(now()));
        Agent { server, keeper, renewed, doing: Mutex::default() }
    }

    pub(super) fn kept(&self) -> Kept {
        self.keeper.lock().kept()
    }

    pub(super) fn since_renewed(&self) -> Duration {
        now().saturating_sub(*self.renewed.lock())
    }

    /// What the rules look at. Of data that are not there the system is 0.
    pub(super) async fn seen(&self) -> Result<Seen, ServerError> {
        let system = self.server.control().await?.system;
        Ok(Seen { system, ..self.glance() })
    }

    /// The same without asking a program for the system.
    pub(super) fn glance(&self) -> Seen {
        Seen { runs: self.server.pid().is_some(), standby: self.server.is_standby(), system: 0 }
    }

    pub(super) async fn status(&self) -> Result<Status, Refused> {
        let control = self.server.control().await.map_err(|error| failed(&error))?;
        let kept = self.kept();
        Ok(Status {
            term: kept.term,
            reigns: kept.reigns,
            stopped: kept.stopped,
            pid: self.server.pid(),
            standby: self.server.is_standby(),
            system: control.system,
            timeline: control.timeline,
            busy: self.doing.lock().map(str::to_owned),
        })
    }

    /// Whoever gave the order may hang up: it is carried out all the same.
    pub(super) async fn obey(self: &Arc<Self>, order: Order) -> Result<Done, Refused> {
        if order.what == What::Renew {
            self.note(judge(self.kept(), self.glance(), &order))?;
            return Ok(Done { says: "noted".into() });
        }
        let task = Task::begin(self, order.what.name())?;
        let agent = self.clone();
        let done = tokio::spawn(async move {
            let done = agent.carry_out(&order).await;
            match &done {
                Ok(done) => tracing::info!(order = order.what.name(), done.says, "done"),
                Err(refused) => {
                    tracing::warn!(order = order.what.name(), why = refused.error, "not done");
                }
            }
            drop(task);
            done
        });
        done.await.unwrap_or_else(|error| Err(refused(Why::Failed, error)))
    }

    async fn carry_out(&self, order: &Order) -> Result<Done, Refused> {
        let seen = self.seen().await.map_err(|error| failed(&error))?;
        let torn = self.kept().torn;
        self.note(judge(self.kept(), seen, order))?;
        let says = match &order.what {
            What::Renew => Ok("noted".into()),
            What::Stop { how } => self.server.stop(*how).await,
            What::Start => self.server.start().await,
            What::Follow { source } => self.server.follow(source),
            What::Rewind { source } => {
                self.tear(true)?;
                let done = self.server.rewind(source).await;
                // What failed may have failed in the middle.
                self.tear(done.is_err())?;
                done
            }
            What::Clone { source } => {
                let done = self.server.copy(source, order.system, torn).await;
                if done.is_ok() {
                    self.tear(false)?;
                }
                done
            }
        };
        says.map(|says| Done { says }).map_err(|error| failed(&error))
    }

    fn note(&self, judged: Result<Kept, Objection>) -> Result<(), Refused> {
        let kept = judged.map_err(|objection| {
            let why = match objection {
                Objection::OldTerm { .. } => Why::OldTerm,
                Objection::Torn => Why::Failed,
                _ => Why::NotAllowed,
            };
            refused(why, objection)
        })?;
        self.save(kept)?;
        *self.renewed.lock() = now();
        Ok(())
    }

    fn tear(&self, torn: bool) -> Result<(), Refused> {
        let kept = self.kept();
        self.save(Kept { torn, ..kept })
    }

    fn save(&self, kept: Kept) -> Result<(), Refused> {
        let mut keeper = self.keeper.lock();
        // Another order may have been noted since this one was judged.
        if kept.term < keeper.kept().term {
            let objection = Objection::OldTerm { term: kept.term, kept: keeper.kept().term };
            return Err(refused(Why::OldTerm, objection));
        }
        keeper.save(kept).map_err(|error| refused(Why::Failed, error))
    }
}

/// The one order that is being carried out.
struct Task(Arc<Agent>);

impl Task {
    fn begin(agent: &Arc<Agent>, name: &'static str) -> Result<Task, Refused> {
        let mut doing = agent.doing.lock();
        if let Some(other) = *doing {
            let mut busy = refused(Why::Busy, format!("{other} is being carried out"));
            busy.hint = Some("ask for the status until it is over".into());
            return Err(busy);
        }
        *doing = Some(name);
        Ok(Task(agent.clone()))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        *self.0.doing.lock() = None;
    }
}

pub(super) fn refused(why: Why, error: impl ToString) -> Refused {
    Refused { error: error.to_string(), why, hint: None }
}

fn failed(error: &ServerError) -> Refused {
    refused(Why::Failed, error)
}
