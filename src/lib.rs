//! Tidegate: a replication-aware proxy for PostgreSQL and MySQL/MariaDB.
//!
//! ```text
//! client ── net ── pg::accept ── pg::auth ── pg::session ── Ask ── route ── Decision
//!                                               │                    ▲ Snapshot
//!                                               └── pool ── server   └ monitor
//! ```
//!
//! Layers, imports go downward only (`tests/tidy.rs` keeps it so):
//!
//! ```text
//! 5 app          knows everything, wires everything
//!   config       TOML -> every module's Settings
//! 4 admin, http  console, metrics, health
//!   agent        the companion beside a database server
//! 4 pg, mysql    the engines: bytes and session state; they never know each other
//! 3 dispatch     where work goes and what serves it, free of any protocol
//! 2 pool route monitor failover backup door chronicle, counters above them   decisions and resources,
//!                free of any protocol
//! 2 import        the configurations of other proxies, as a draft of ours
//! 1 topology sql refusal view registry draft userlist   values and pure functions, no I/O
//!   orders       what an agent is told, and the way to it
//!   spans        what a collector of traces is told, and the way to it
//! 0 net telemetry task secret proctree privilege   no domain words
//! ```

pub mod admin;
pub mod agent;
pub mod app;
pub mod backup;
pub mod chronicle;
pub mod config;
pub mod counters;
pub mod dispatch;
pub mod door;
pub mod draft;
pub mod failover;
pub mod http;
pub mod import;
pub mod lab;
pub mod monitor;
pub mod mysql;
pub mod net;
pub mod orders;
pub mod pg;
pub mod pool;
pub mod privilege;
mod proctree;
pub mod refusal;
pub mod registry;
pub mod route;
pub mod secret;
pub mod spans;
pub mod sql;
pub mod task;
pub mod telemetry;
pub mod topology;
pub mod userlist;
pub mod view;
