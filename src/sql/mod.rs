//! What a statement text asks for, as far as routing and session tracking need to know.
//!
//! The contract: [`Classifier::analyse`] takes the bytes of a simple query or of a Parse message
//! and answers with an [`Analysis`]. What is doubtful is a write.
//!
//! ```text
//! text ── lexer ── shape ── cache ── Analysis
//!                             └ miss: grammar ── classify ── query, setting, transaction
//!                                                              └ names ── functions, standby
//!                                                                   └ catalog
//! ```

mod analysis;
mod cache;
mod catalog;
mod classifier;
mod classify;
mod durability;
mod functions;
mod grammar;
mod hint;
mod lexer;
mod mark;
pub mod mysql;
mod names;
mod part;
mod query;
mod setting;
mod standby;
mod summary;
mod transaction;
mod usage;

pub use analysis::{Analysis, Pin, SetValue, Step, Why};
pub use cache::Stats;
pub use catalog::Catalog;
pub use catalog::raw;
pub use classifier::{Classifier, Settings};
pub use durability::{binds_weaker_commits, is_weak_commit, weakens_commits};
pub use functions::FunctionNames;
pub use hint::{Hint, hint};
pub use lexer::printed_shape;
pub use mark::Mark;
pub use setting::is_read_once;
pub use summary::{Summary, summary};
pub use usage::{Counted, Usage};
