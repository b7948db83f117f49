//! What takes memory.

use serde::Serialize;

/// Things of one kind, and what they take.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    pub name: String,
    /// Bytes of one; `None`: they differ.
    pub size: Option<u64>,
    /// How many are in use.
    pub used: u64,
    /// How many more there is room for without more memory.
    pub free: u64,
    /// Bytes of all of them, about.
    pub total: u64,
}
