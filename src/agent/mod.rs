//! The companion beside a database server: it stops, starts, rewinds and copies that one server by
//! order of whoever keeps the term.
//!
//! ```text
//! proxy ── orders ──► serve ──► judge (pure) ──► obey ──► server ──► pg_ctl, pg_rewind, …
//!                                 ▲ kept: the highest term (fsync'd)
//!                      watch ─────┘ stops what must not run
//! ```

mod judge;
mod keep;
mod obey;
mod problem;
mod secured;
mod serve;
mod server;
mod settings;
mod watch;

pub use keep::KeepError;
pub use serve::{AgentFailure, Listening, listen};
pub use settings::{Postgres, Settings};
