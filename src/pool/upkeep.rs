//! What is done with pools by whoever does not care what is in them.

use super::{Connector, Counts, Pool};

pub trait Upkeep: Send + Sync {
    /// Closes what is too old or too idle and opens what `min_idle` asks for. Call each second.
    fn tend(&self);
    /// Closes idle connections now and lent ones when they come back.
    fn retire_all(&self);
    fn counts(&self) -> Counts;
}

impl<C: Connector> Upkeep for Pool<C> {
    fn tend(&self) {
        Pool::tend(self);
    }
    fn retire_all(&self) {
        Pool::retire_all(self);
    }
    fn counts(&self) -> Counts {
        Pool::counts(self)
    }
}
