//! Who is the primary when the primary fails, and how nobody else is.
//!
//! ```text
//! pulse, standbys ── decide ──► change ── plan::next ──► step ── execute ── Actuator ── servers
//!                                  ▲                        │
//!                                  └──── plan::note ◄─ fact ┘   (each written down by the Ledger)
//! ```
//!
//! [`term`], [`decide`], [`plan`] and [`choose`] are pure; `tests/model` checks them against
//! crashes, stalls, lost and late messages.

mod actuator;
mod begin;
mod by_hand;
mod care;
mod choose;
mod command;
mod coordinator;
mod decide;
mod decree;
mod execute;
mod fence;
mod handle;
mod heart;
mod plan;
mod rejoin;
mod report;
mod settings;
mod store;
mod term;
mod watch;

pub use actuator::{Actuator, Row, Trouble};
pub use choose::{Candidate, NoCandidate, choose};
pub use coordinator::{Parts, start};
pub use decide::{Pulse, Sight, Verdict, Witness, decide};
pub use decree::{decree, held};
pub use execute::{Before, Executor, Failure, Gate};
pub use handle::{Answer, Handle, Opinion, Rejoining, Wanted};
pub use plan::{Fact, Obstacle, Step, abandon, begin, may_promote, next, note, quorum_after};
pub use report::{Event, Loss, Outcome, Taken};
pub use settings::{CommandLine, CommitOutcome, Mode, Rejoin, Settings};
pub use store::{FileLedger, Folder, Ledger, State, StoreError, record_file};
pub use term::{
    Change, Evidence, Guarantee, Kind, Name, Phase, Place, Promoted, Quorum, Record, Term,
};
