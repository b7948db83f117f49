//! The task of one node: keeps a line open, asks at every interval, reports what happens.

use super::handle::Report;
use super::pace::Pace;
use super::{Line, Probe, ProbeError, Settings};
use crate::task::{Backoff, Stop, chance};
use crate::topology::{NodeId, Published};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, sleep_until, timeout};

pub(super) struct Asker<P> {
    pub(super) node: NodeId,
    pub(super) probe: P,
    pub(super) settings: Settings,
    /// Asks for a question out of turn. Heard only while a line is open: a node that is down is
    /// tried again at the back-off's pace, however many wait for it.
    pub(super) hurry: Arc<Notify>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) published: Arc<Published>,
}

impl<P: Probe> Asker<P> {
    /// Runs until it is asked to stop.
    pub(super) async fn run(self, mut stop: Stop) {
        let mut backoff = Backoff::new(self.settings.interval, self.settings.backoff_max);
        let mut ask_for_ever = std::pin::pin!(async {
            loop {
                let answers = self.one_line().await;
                // A line that worked until now is tried again at once.
                if answers > 0 {
                    backoff.reset();
                } else {
                    sleep(backoff.next(chance())).await;
                }
            }
        });
        tokio::select! {
            // Whatever is under way is dropped, and its line closed.
            () = stop.stopped() => {}
            () = &mut ask_for_ever => {}
        }
    }

    /// Opens a line and asks until it fails. The number of answers got.
    async fn one_line(&self) -> u64 {
        let limit = self.settings.connect_timeout;
        let opened = timeout(limit, self.probe.connect()).await;
        let mut line = match opened.unwrap_or(Err(ProbeError::Timeout(limit))) {
            Ok(line) => line,
            Err(error) => {
                self.silent(&error).await;
                return 0;
            }
        };
        let (mut answers, mut pace) = (0, Pace::default());
        let error = loop {
            let asked = Instant::now();
            let answer = timeout(self.settings.probe_timeout, line.ask()).await;
            match answer.unwrap_or(Err(ProbeError::Timeout(self.settings.probe_timeout))) {
                Ok(says) => self.report(Report::Answer { node: self.node, asked, says }).await,
                Err(error) => break error,
            }
            answers += 1;
            let interval = pace.next(&self.published.load(), asked, &self.settings);
            if let Err(error) = self.pause(&mut line, asked, interval).await {
                break error;
            }
        };
        self.silent(&error).await;
        answers
    }

    /// Waits for the next turn, or for someone in a hurry. An error when the line dies meanwhile.
    async fn pause(
        &self,
        line: &mut P::Line,
        asked: Instant,
        interval: Duration,
    ) -> Result<(), ProbeError> {
        let hurry = async {
            self.hurry.notified().await;
            sleep_until((asked + self.settings.shortest_interval).into()).await;
        };
        tokio::select! {
            // A hurry that loses the race is answered by the turn that won it.
            () = sleep_until((asked + interval).into()) => Ok(()),
            () = hurry => Ok(()),
            () = line.lost() => Err(ProbeError::Lost("closed by the node".to_string())),
        }
    }

    async fn silent(&self, error: &ProbeError) {
        let (node, at, why) = (self.node, Instant::now(), error.to_string());
        self.report(Report::Silent { node, at, why }).await;
    }

    async fn report(&self, report: Report) {
        // The other end is gone only when everything stops.
        if self.reports.send(report).await.is_err() {
            sleep(Duration::MAX).await;
        }
    }
}
