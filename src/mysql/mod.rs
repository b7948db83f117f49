//! The MySQL and MariaDB engine: its bytes, its sessions, its servers.

pub mod auth;
pub mod connect;
pub mod link;
pub mod registry;
pub mod wire;
