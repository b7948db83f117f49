//! What each node is and how fresh it is, as the servers themselves say.
//!
//! One task per node asks ([`Probe`]), one task per cluster concludes and publishes. The
//! conclusions are pure: [`roles`] decides who is what, [`Samples`] how fresh a replica is,
//! [`Picture`] makes a [`crate::topology::Snapshot`] of both.
//!
//! Staleness uses one clock, ours. A primary sample is (t, P): t is read *before* the question is
//! sent, P is the answer, so every commit acknowledged before t is contained in P. A replica that
//! contains P misses nothing that was acknowledged before t.

mod ask;
mod descent;
mod handle;
mod pace;
mod picture;
mod probe;
mod roles;
mod run;
mod samples;
mod settings;

pub use handle::Handle;
pub use picture::{Change, Picture};
pub use probe::{Line, Lineage, Observation, Probe, ProbeError, Source};
pub use roles::{Reign, Seen, Verdict, roles};
pub use run::start;
pub use samples::Samples;
pub use settings::{Member, Settings};
