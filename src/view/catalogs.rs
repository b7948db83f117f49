//! What is known of the names in each database.

use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, Serialize)]
pub struct Catalog {
    pub cluster: Arc<str>,
    pub database: Arc<str>,
    /// It is used now; otherwise only PostgreSQL's own functions count as harmless.
    pub known: bool,
    /// How long ago it was read.
    #[serde(rename = "age_seconds", serialize_with = "super::seconds_if_known")]
    pub age: Option<Duration>,
    /// Functions that are not PostgreSQL's own, and those of them that a read may call.
    pub functions: u64,
    pub harmless: u64,
    /// Relations, operators and types that a replica is not asked for.
    pub harmful: u64,
    /// Why it could not be read.
    pub failure: Option<String>,
}
