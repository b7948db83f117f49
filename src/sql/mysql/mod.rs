//! The same for MySQL's and MariaDB's dialect.
//!
//! The contract is that of [`crate::sql`]: a text's bytes in, its [`Analysis`] out, and what is
//! doubtful is a write. Its fine print: a read that uses `READS_VARIABLES` needs the session's
//! variables where it runs, and what belongs to the session's last connection (LAST_INSERT_ID,
//! FOUND_ROWS, warnings …) is never a read for any replica.
//!
//! ```text
//! text ── lexer ── shape ── cache ── Analysis
//!                             └ miss: text ── classify ── scan ── functions, local
//!                                                  └ set, transaction, session
//! ```
//!
//! No grammar stands behind it: the ones there are understand three statements of four. None is
//! needed to know that a query only reads, since in this dialect each effect of a query shows in
//! its tokens (`scan`); and what is neither a query nor known by its first words needs the primary.

mod analysis;
mod classifier;
mod classify;
mod functions;
mod lexer;
mod local;
mod marks;
mod scan;
mod session;
mod set;
mod text;
mod transaction;

pub use analysis::{
    Analysis, Assignment, Ending, Isolation, Modes, Part, Scope, Step, Uses, Value,
};
pub use classifier::Classifier;
pub use functions::Dialect;
pub use lexer::printed_shape;
pub(super) use marks::has_shape;
