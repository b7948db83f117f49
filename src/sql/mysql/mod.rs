//! The same for MySQL's and MariaDB's dialect.
//!
//! The contract is that of [`crate::sql`]: a text's bytes in, its [`Analysis`] out, and what is
//! doubtful is a write.

mod analysis;

pub use analysis::{
    Analysis, Assignment, Ending, Isolation, Modes, Part, Scope, Step, Uses, Value,
};
