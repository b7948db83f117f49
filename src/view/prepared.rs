//! Prepared statements that clients share.

use serde::Serialize;
use std::sync::Arc;

#[derive(Clone, Debug, Serialize)]
pub struct Prepared {
    pub cluster: Arc<str>,
    /// Its name on the servers.
    pub name: String,
    /// Sessions that have it.
    pub clients: u64,
    /// Memory of its text and its types.
    pub bytes: u64,
    /// A read for any fresh replica, or why it needs the primary.
    pub primary: Option<&'static str>,
    /// The beginning of its text.
    pub query: String,
}
