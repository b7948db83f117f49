//! Where spans are handed in: whether one is kept, and the queue to the exporter.

use super::Context;
use crate::task::chance;
use crate::telemetry::Counter;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Something that was done, with its time and what is known of it.
#[derive(Clone, Debug)]
pub struct Span {
    pub place: Sampled,
    pub name: String,
    pub start: SystemTime,
    pub took: Duration,
    pub attributes: Vec<(&'static str, Value)>,
    /// The code it failed with.
    pub failure: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Whole(i64),
    Fraction(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// The place of a span that is kept: its own trace, or under another one's span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sampled {
    ByLot,
    Under(Context),
}

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The collector took them.
    pub sent: u64,
    /// Dropped: the queue was full.
    pub queue_full: u64,
    /// Dropped: the collector was away, or refused them.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: Counter,
    pub(super) queue_full: Counter,
    pub(super) refused: Counter,
}

/// A span with its numbers.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) span: Span,
}

/// Takes spans, from any thread, and never waits.
#[derive(Debug)]
pub struct Tracer {
    /// `None`: nobody wants spans.
    queue: Option<mpsc::Sender<Numbered>>,
    /// The part of those without a context that is kept, from 0 to 1.
    ratio: f64,
    counters: Arc<Counters>,
    random: SystemRandom,
}

impl Tracer {
    /// One that wants nothing.
    pub fn off() -> Tracer {
        Tracer { queue: None, ratio: 0.0, counters: Arc::default(), random: SystemRandom::new() }
    }

    pub(super) fn new(
        queue: mpsc::Sender<Numbered>,
        ratio: f64,
        counters: Arc<Counters>,
    ) -> Tracer {
        Tracer { queue: Some(queue), ratio, counters, random: SystemRandom::new() }
    }

    /// One comparison: this is asked for each statement.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Draws lots for what has no context.
    pub fn draw(&self) -> bool {
        chance() < self.ratio
    }

    /// `None`: nobody wants spans.
    pub fn counts(&self) -> Option<Counts> {
        let Counters { sent, queue_full, refused } = &*self.counters;
        self.queue.as_ref().map(|_| Counts {
            sent: sent.get(),
            queue_full: queue_full.get(),
            refused: refused.get(),
        })
    }

    /// Hands in a span. When the queue is full it is dropped, and counted.
    pub fn hand_in(&self, span: Span) {
        let Some(queue) = &self.queue else { return };
        let mut numbers = [0; 24];
        if self.random.fill(&mut numbers).is_err() {
            return self.counters.refused.increment();
        }
        let (mut trace, mut id) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&numbers[..16]);
        id.copy_from_slice(&numbers[16..]);
        if let Sampled::Under(context) = &span.place {
            trace = context.trace;
        }
        if queue.try_send(Numbered { trace, id, span }).is_err() {
            self.counters.queue_full.increment();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(ratio: f64, room: usize) -> (Tracer, mpsc::Receiver<Numbered>) {
        let (sender, receiver) = mpsc::channel(room);
        (Tracer::new(sender, ratio, Arc::default()), receiver)
    }

    fn span(place: Sampled) -> Span {
        Span {
            place,
            name: "SELECT".into(),
            start: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            attributes: Vec::new(),
            failure: None,
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (tracer, mut queue) = tracer(1.0, 2);
        (0..5).for_each(|_| tracer.hand_in(span(Sampled::ByLot)));
        assert_eq!(tracer.counts().map(|counts| counts.queue_full), Some(3));
        let (first, second) = (queue.try_recv().expect("one"), queue.try_recv().expect("two"));
        assert!(first.trace != second.trace && first.id != second.id);
    }

    #[test]
    fn a_span_under_another_is_in_its_trace() {
        let (tracer, mut queue) = tracer(0.0, 1);
        let context = Context { trace: [7; 16], parent: [8; 8], sampled: true, state: None };
        tracer.hand_in(span(Sampled::Under(context)));
        assert_eq!(queue.try_recv().expect("one").trace, [7; 16]);
    }

    #[test]
    fn lots_are_drawn_by_the_ratio() {
        let drawn = |ratio| (0..10_000).filter(|_| tracer(ratio, 1).0.draw()).count();
        assert_eq!((drawn(0.0), drawn(1.0)), (0, 10_000));
        // Ten times the standard deviation.
        assert!((2_000..3_000).contains(&drawn(0.25)));
    }

    #[test]
    fn one_that_is_off_wants_and_counts_nothing() {
        let tracer = Tracer::off();
        tracer.hand_in(span(Sampled::ByLot));
        assert!(!tracer.is_on() && tracer.counts().is_none());
    }
}
