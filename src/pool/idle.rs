//! Connections that nobody uses, by the home whose poller watches them.

use super::lent::Held;
use crate::task::Home;
use std::time::Instant;

/// An idle connection.
pub(super) struct Idle<T> {
    pub(super) held: Held<T>,
    pub(super) since: Instant,
}

/// A stack for each home: what was used last is warm and goes first, what is not needed ages.
pub(super) struct Shelf<T> {
    stacks: Vec<Vec<Idle<T>>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf { stacks: Vec::new() }
    }
}

impl<T> Shelf<T> {
    pub(super) fn put(&mut self, idle: Idle<T>) {
        let number = idle.held.home.number();
        if number >= self.stacks.len() {
            self.stacks.resize_with(number + 1, Vec::new);
        }
        self.stacks[number].push(idle);
    }

    /// One that was used after `oldest`: of this home if there is one, else of any.
    pub(super) fn take_used_after(&mut self, here: Home, oldest: Instant) -> Option<Idle<T>> {
        let is_warm = |stack: &Vec<Idle<T>>| stack.last().is_some_and(|i| i.since >= oldest);
        let own = self.stacks.get(here.number()).is_some_and(is_warm);
        let number = match own {
            true => here.number(),
            false => self.stacks.iter().position(is_warm)?,
        };
        self.stacks[number].pop()
    }

    /// The one that was used last: of this home if there is one, else of any.
    pub(super) fn take(&mut self, here: Home) -> Option<Idle<T>> {
        let own = self.stacks.get_mut(here.number()).and_then(Vec::pop);
        own.or_else(|| {
            let last = |stack: &&mut Vec<Idle<T>>| stack.last().map(|idle| idle.since);
            self.stacks.iter_mut().max_by_key(last)?.pop()
        })
    }

    /// The one that nobody has needed for longest.
    pub(super) fn take_oldest(&mut self) -> Option<Idle<T>> {
        let aged = self.stacks.iter_mut().filter(|stack| !stack.is_empty());
        Some(aged.min_by_key(|stack| stack[0].since)?.remove(0))
    }

    /// Takes out those that `goes` says must go, the longest idle first.
    pub(super) fn sort_out(&mut self, mut goes: impl FnMut(&mut Idle<T>) -> bool) -> Vec<Idle<T>> {
        let mut all: Vec<Idle<T>> = self.stacks.iter_mut().flat_map(std::mem::take).collect();
        all.sort_by_key(|idle| idle.since);
        let mut gone = Vec::new();
        for mut idle in all {
            match goes(&mut idle) {
                true => gone.push(idle),
                false => self.put(idle),
            }
        }
        gone
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Idle<T>> {
        self.stacks.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.stacks.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Connections by name, home and when they were used last.
    fn shelf(idle: &[(&'static str, u16, u64)], zero: Instant) -> Shelf<&'static str> {
        let mut shelf = Shelf::default();
        for (conn, home, used) in idle {
            let since = zero + Duration::from_secs(*used);
            let home = Home::numbered(*home);
            let held = Held { conn: *conn, opened: zero, expires: zero, generation: 0, home };
            shelf.put(Idle { held, since });
        }
        shelf
    }

    fn names(idle: impl IntoIterator<Item = Idle<&'static str>>) -> Vec<&'static str> {
        idle.into_iter().map(|idle| idle.held.conn).collect()
    }

    #[test]
    fn the_warmest_of_the_same_place_goes_first_then_any() {
        let zero = Instant::now();
        let mut shelf = shelf(&[("a", 1, 1), ("b", 1, 2), ("c", 2, 9), ("d", 0, 4)], zero);
        let mut take = || shelf.take(Home::numbered(1)).map(|idle| idle.held.conn);
        let taken = [take(), take(), take(), take(), take()];
        assert_eq!(taken, [Some("b"), Some("a"), Some("c"), Some("d"), None]);
    }

    #[test]
    fn what_was_idle_for_too_long_is_not_taken_for_warm() {
        let zero = Instant::now();
        let mut shelf = shelf(&[("a", 1, 1), ("b", 2, 5)], zero);
        let oldest = zero + Duration::from_secs(3);
        let mut take = || shelf.take_used_after(Home::numbered(1), oldest).map(|i| i.held.conn);
        assert_eq!([take(), take()], [Some("b"), None]);
        assert_eq!(shelf.len(), 1);
    }

    #[test]
    fn the_longest_idle_of_all_places_goes_when_room_is_needed() {
        let zero = Instant::now();
        let mut shelf = shelf(&[("b", 1, 2), ("a", 2, 1), ("c", 2, 3)], zero);
        assert_eq!(names(shelf.take_oldest()), ["a"]);
        let mut left = 2;
        let gone = shelf.sort_out(|_| {
            left -= 1;
            left > 0
        });
        assert_eq!(names(gone), ["b"]);
        assert_eq!(shelf.iter().map(|idle| idle.held.conn).collect::<Vec<_>>(), ["c"]);
    }
}
