//! Those who wait for a connection, and who of them is next.

use crate::task::Home;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// By how much somebody may be served before another who came first, if the connection is at hand
/// where they are.
const HEAD_START: Duration = Duration::from_millis(4);
/// So many places of the queue are looked at.
const LOOKED_AT: usize = 16;

pub(super) struct Waiter<G> {
    pub(super) grant: oneshot::Sender<G>,
    since: Instant,
    home: Home,
}

/// First come, first served, but for [`HEAD_START`].
pub(super) struct Waiting<G>(VecDeque<Waiter<G>>);

impl<G> Default for Waiting<G> {
    fn default() -> Waiting<G> {
        Waiting(VecDeque::new())
    }
}

impl<G> Waiting<G> {
    pub(super) fn join(&mut self, home: Home, now: Instant) -> oneshot::Receiver<G> {
        let (grant, granted) = oneshot::channel();
        self.0.push_back(Waiter { grant, since: now, home });
        granted
    }

    /// Who gets a connection that is at hand in `home`.
    pub(super) fn next(&mut self, home: Home) -> Option<Waiter<G>> {
        let first = self.0.front()?.since;
        let is_near = |w: &Waiter<G>| w.home == home && w.since <= first + HEAD_START;
        let near = self.0.iter().take(LOOKED_AT).position(is_near);
        self.0.remove(near.unwrap_or(0))
    }

    /// Forgets those who left.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|waiter| !waiter.grant.is_closed());
    }

    /// All of them, who then wait no more.
    pub(super) fn dismiss(&mut self) -> impl ExactSizeIterator<Item = Waiter<G>> + use<G> {
        std::mem::take(&mut self.0).into_iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Since when the first in the queue has been waiting.
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.front().map(|waiter| waiter.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is served, by the order in which they came, when every connection is at hand in home 1.
    fn served(came: &[(u16, u64)]) -> Vec<usize> {
        let zero = Instant::now();
        let mut waiting = Waiting::<()>::default();
        let granted: Vec<_> = came
            .iter()
            .map(|(home, at)| {
                waiting.join(Home::numbered(*home), zero + Duration::from_micros(*at))
            })
            .collect();
        let mut order = Vec::new();
        let mut granted: Vec<_> = granted.into_iter().map(Some).collect();
        while let Some(waiter) = waiting.next(Home::numbered(1)) {
            waiter.grant.send(()).unwrap();
            let got = |g: &mut Option<oneshot::Receiver<()>>| {
                g.as_mut().is_some_and(|receiver| receiver.try_recv().is_ok())
            };
            let number = granted.iter_mut().position(got).unwrap();
            granted[number] = None;
            order.push(number);
        }
        order
    }

    #[test]
    fn who_is_near_goes_before_those_who_came_just_before() {
        assert_eq!(served(&[(2, 0), (1, 900), (2, 950), (1, 990)]), [1, 3, 0, 2]);
    }

    #[test]
    fn nobody_who_waited_much_longer_is_passed_over() {
        assert_eq!(served(&[(2, 0), (1, 4001), (2, 4002)]), [0, 1, 2]);
    }

    #[test]
    fn who_left_is_forgotten() {
        let mut waiting = Waiting::<()>::default();
        drop(waiting.join(Home::default(), Instant::now()));
        let _stays = waiting.join(Home::default(), Instant::now());
        waiting.tidy();
        assert_eq!(waiting.len(), 1);
    }
}
