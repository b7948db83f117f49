//! The PostgreSQL engine: its bytes, its sessions, its servers.

mod accept;
pub mod auth;
pub mod backup;
mod cancel;
pub mod catalog;
mod client;
pub mod cluster;
pub mod connect;
pub mod engine;
mod exchange;
pub mod govern;
pub mod listen;
mod options;
mod params;
pub mod probe;
mod refuse;
pub mod registry;
pub mod replication;
mod server;
mod server_name;
pub mod session;
pub mod statement;
mod users;
mod wait;
mod welcome;
pub mod wire;

pub use crate::counters;
pub use crate::door::attendance;
