//! The PostgreSQL engine: its bytes, its sessions, its servers.

mod accept;
pub mod auth;
mod cancel;
mod client;
mod cluster;
mod connect;
mod counters;
mod engine;
mod exchange;
mod params;
pub mod probe;
mod refuse;
mod registry;
mod server;
pub mod session;
mod statement;
pub mod wire;
