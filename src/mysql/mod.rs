//! The MySQL and MariaDB engine: its bytes, its sessions, its servers.

mod accept;
pub mod auth;
mod client;
pub mod cluster;
pub mod connect;
pub mod engine;
mod exchange;
mod kill;
pub mod link;
pub mod probe;
mod refuse;
pub mod registry;
pub mod server;
mod session;
mod statement;
pub mod wire;
