//! What happened lately and how the numbers went, kept in memory for people who look.

mod events;
mod series;

pub use events::{Note, differences};
pub use series::{ClusterTotals, NodeTotals, Totals, between};

use crate::view::{Event, EventKind, Sample};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::SystemTime;
use tokio::sync::watch;

/// Events that are kept.
const EVENTS: usize = 1000;
/// Samples that are kept: with one a second, a quarter of an hour.
const SAMPLES: usize = 900;

/// The memory of one proxy. What is oldest makes room.
#[derive(Debug)]
pub struct Chronicle {
    kept: Mutex<Kept>,
    /// The number of the newest sample.
    sampled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    samples: VecDeque<Sample>,
    last_event: u64,
    last_sample: u64,
    average: Option<Sample>,
}

impl Default for Chronicle {
    fn default() -> Chronicle {
        Chronicle { kept: Mutex::default(), sampled: watch::channel(0).0 }
    }
}

impl Chronicle {
    /// Adds what happened now.
    pub fn note(&self, note: Note) {
        let mut kept = self.kept.lock();
        kept.last_event += 1;
        let Note { kind, cluster, node, what } = note;
        let number = kept.last_event;
        kept.events.push_back(Event { number, at: SystemTime::now(), kind, cluster, node, what });
        if kept.events.len() > EVENTS {
            kept.events.pop_front();
        }
    }

    /// The same for what concerns the whole proxy.
    pub fn note_of_proxy(&self, kind: EventKind, what: impl Into<String>) {
        self.note(Note { kind, cluster: None, node: None, what: what.into() });
    }

    /// Adds a sample, which gets its number here, and the average of the last ones.
    pub fn sample(&self, mut sample: Sample, average: Sample) {
        let mut kept = self.kept.lock();
        kept.average = Some(average);
        kept.last_sample += 1;
        sample.number = kept.last_sample;
        kept.samples.push_back(sample);
        if kept.samples.len() > SAMPLES {
            kept.samples.pop_front();
        }
        self.sampled.send_replace(kept.last_sample);
    }

    /// Events with a number above this one, the oldest first.
    pub fn events_after(&self, number: u64) -> Vec<Event> {
        let kept = self.kept.lock();
        kept.events.iter().filter(|event| event.number > number).cloned().collect()
    }

    /// Samples with a number above this one, the oldest first.
    pub fn samples_after(&self, number: u64) -> Vec<Sample> {
        let kept = self.kept.lock();
        kept.samples.iter().filter(|sample| sample.number > number).cloned().collect()
    }

    /// The newest sample; `None`: the proxy has just started.
    pub fn latest(&self) -> Option<Sample> {
        self.kept.lock().samples.back().cloned()
    }

    /// The last minute; `None`: the proxy has just started.
    pub fn average(&self) -> Option<Sample> {
        self.kept.lock().average.clone()
    }

    /// Changes with each sample.
    pub fn samples(&self) -> watch::Receiver<u64> {
        self.sampled.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_oldest_makes_room_and_numbers_go_on() {
        let chronicle = Chronicle::default();
        for n in 0..EVENTS + 5 {
            chronicle.note_of_proxy(EventKind::Proxy, n.to_string());
        }
        let all = chronicle.events_after(0);
        assert_eq!((all.len(), all[0].number), (EVENTS, 6));
        let last = chronicle.events_after(EVENTS as u64 + 4);
        assert_eq!((last.len(), last[0].what.as_str()), (1, "1004"));
    }

    #[test]
    fn whoever_waits_for_samples_is_told_of_each() {
        let chronicle = Chronicle::default();
        let mut samples = chronicle.samples();
        assert!(!samples.has_changed().expect("a chronicle"));
        let at = SystemTime::UNIX_EPOCH;
        let sample = Sample { number: 0, at, clients: 3, clusters: Vec::new() };
        chronicle.sample(sample.clone(), sample);
        assert_eq!(*samples.borrow_and_update(), 1);
        assert_eq!(chronicle.samples_after(0)[0].clients, 3);
        assert!(chronicle.samples_after(1).is_empty());
    }
}
