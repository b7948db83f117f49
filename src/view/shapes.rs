//! What statements of one shape did.

use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, Serialize)]
pub struct Shape {
    pub cluster: Arc<str>,
    /// The statement with a question mark for each literal.
    pub shape: String,
    /// `read`, or why it needs the primary.
    pub kind: &'static str,
    /// Batches that the primary answered.
    pub primary: u64,
    /// Batches that replicas answered.
    pub replicas: u64,
    /// How often one was asked again elsewhere, unseen.
    pub retries: u64,
    #[serde(rename = "average_seconds", serialize_with = "super::seconds")]
    pub average: Duration,
    /// Within a factor of two.
    #[serde(rename = "median_seconds", serialize_with = "super::seconds")]
    pub median: Duration,
    /// Within a factor of two.
    #[serde(rename = "p99_seconds", serialize_with = "super::seconds")]
    pub p99: Duration,
    #[serde(rename = "longest_seconds", serialize_with = "super::seconds")]
    pub longest: Duration,
}
