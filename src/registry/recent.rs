//! A bounded table by number, in which what was used longest ago makes room.

use std::collections::HashMap;

#[derive(Clone, Debug)]
pub struct Recent<V> {
    /// Values, and when they were used last.
    entries: HashMap<u64, (V, u64), foldhash::fast::RandomState>,
    clock: u64,
}

impl<V> Default for Recent<V> {
    fn default() -> Recent<V> {
        Recent { entries: HashMap::default(), clock: 0 }
    }
}

impl<V: Copy> Recent<V> {
    /// The entry of this number, which counts as used now.
    pub fn get(&mut self, number: u64) -> Option<V> {
        self.clock += 1;
        let (value, used) = self.entries.get_mut(&number)?;
        *used = self.clock;
        Some(*value)
    }

    /// Adds an entry; answers with the one that had to go because there are more than `limit`.
    pub fn add(&mut self, number: u64, value: V, limit: usize) -> Option<(u64, V)> {
        self.clock += 1;
        self.entries.insert(number, (value, self.clock));
        if self.entries.len() <= limit {
            return None;
        }
        let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(n, _)| *n)?;
        self.remove(oldest).map(|value| (oldest, value))
    }

    pub fn remove(&mut self, number: u64) -> Option<V> {
        self.entries.remove(&number).map(|(value, _)| value)
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.entries.keys().copied()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut recent = Recent::default();
        assert_eq!(recent.add(1, 'a', 2), None);
        assert_eq!(recent.add(2, 'b', 2), None);
        assert_eq!(recent.get(1), Some('a'));
        assert_eq!(recent.add(3, 'c', 2), Some((2, 'b')));
        assert_eq!((recent.get(2), recent.len()), (None, 2));
        assert_eq!((recent.remove(1), recent.remove(1)), (Some('a'), None));
    }
}
