//! Looks whether more could be lost than the operator bears, and has them told.

use super::keeper::State;
use crate::backup::{Event, Safe, Teller};
use crate::pg::backup::Archived;
use crate::task::Stop;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GLANCE: Duration = Duration::from_secs(1);

pub(super) struct Lookout {
    pub(super) rpo: Duration,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) archived: Option<Arc<Mutex<Archived>>>,
    pub(super) teller: Arc<Teller>,
}

impl Lookout {
    /// They are told once, until it was well again.
    pub(super) async fn run(self, mut stop: Stop) {
        let began = Instant::now();
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(GLANCE) => {}
            }
            let exposed = self.safe(began).exposed();
            let late = (exposed > self.rpo).then(|| {
                let rpo = self.rpo;
                format!(
                    "what was written in the last {exposed:.0?} is not safe yet; rpo is {rpo:?}"
                )
            });
            let before = std::mem::replace(&mut self.state.lock().late, late.clone());
            if let (None, Some(late)) = (before, late) {
                self.teller.tell(Event::Late, None, &late).await;
            }
        }
    }

    fn safe(&self, began: Instant) -> Safe {
        let newest = self.state.lock().backups.last().map(|listed| listed.entry.finished);
        let age = newest.map(|at| Timestamp::now().duration_since(at));
        Safe {
            backup: age.map(|age| Duration::try_from(age).unwrap_or_default()),
            archive: self.archived.as_ref().map(|board| board.lock().unsafe_for()),
            watched: began.elapsed(),
        }
    }
}
