//! Throwaway PostgreSQL clusters: one primary and streaming replicas on loopback.
//!
//! ```no_run
//! # async fn example() -> Result<(), tidegate::lab::LabError> {
//! use tidegate::lab::postgres::cluster;
//! let cluster = cluster().replicas(2).start().await?;
//! cluster.sql("CREATE TABLE t (n int)").await?;
//! cluster.replica(0).pause_replay().await?;
//! # Ok(()) }
//! ```

mod adopt;
mod builder;
mod cluster;
mod install;
mod node;
mod template;

pub use crate::lab::process::How;
pub use adopt::{Adopted, Adoption, Programs};
pub use builder::{Builder, cluster};
pub use cluster::Cluster;
pub use node::Node;
