//! What a statement text asks for, as far as routing and session tracking need to know.
//!
//! The contract: [`Classifier::analyse`] takes the bytes of a simple query or of a Parse message
//! and answers with an [`Analysis`]. What is doubtful is a write.

mod analysis;

pub use analysis::{Analysis, Pin, SetValue, Step, Why};
