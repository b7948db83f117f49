//! Prepared statements, shared by all clients of a cluster that prepare the same bytes.

use crate::sql::Analysis;
use bytes::Bytes;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A statement as a Parse message brought it.
#[derive(Debug)]
pub struct Statement {
    /// Its name on servers is made of this number.
    pub id: u64,
    /// Query, NUL and parameter types: the Parse body after the name.
    pub content: Bytes,
    pub analysis: Arc<Analysis>,
}

/// Names that clients cannot guess by accident.
pub(super) const NAME_PREFIX: &str = "tidegate_";

/// A statement of ours that may be closed or replaced at any time; it deallocates itself.
pub(super) const STAND_IN: &str = "tidegate_0";
pub(super) const DEALLOCATE_STAND_IN: &str = "DEALLOCATE tidegate_0";

impl Statement {
    pub fn server_name(&self) -> String {
        format!("{NAME_PREFIX}{:x}", self.id)
    }
}

/// Statements by their exact bytes; what falls out of the bounded table is only shared no more.
pub struct Statements {
    shared: Cache<Bytes, Arc<Statement>>,
    next: AtomicU64,
}

impl Statements {
    /// `kept`: how many statements are remembered for sharing.
    pub fn new(kept: usize) -> Statements {
        Statements { shared: Cache::new(kept), next: AtomicU64::new(1) }
    }

    /// The statement with exactly this content; `analyse` is asked when it is new.
    pub fn intern(
        &self,
        content: &[u8],
        analyse: impl FnOnce() -> Arc<Analysis>,
    ) -> Arc<Statement> {
        if let Some(known) = self.shared.get(content) {
            return known;
        }
        let content = Bytes::copy_from_slice(content);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let statement = Arc::new(Statement { id, content: content.clone(), analysis: analyse() });
        self.shared.insert(content, statement.clone());
        statement
    }

    pub fn len(&self) -> usize {
        self.shared.len()
    }

    pub fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }
}

/// Which statements one server connection has.
#[derive(Clone, Debug, Default)]
pub struct OnServer {
    /// Statement id -> when it was used last.
    named: HashMap<u64, u64, foldhash::fast::RandomState>,
    clock: u64,
    /// The statement in the unnamed slot.
    pub unnamed: Option<u64>,
}

impl OnServer {
    /// True when the server has it; it counts as used.
    pub fn has(&mut self, id: u64) -> bool {
        self.clock += 1;
        match self.named.get_mut(&id) {
            Some(used) => {
                *used = self.clock;
                true
            }
            None => false,
        }
    }

    /// Notes a statement; answers with the one to be closed when there are more than `limit`.
    pub fn add(&mut self, id: u64, limit: usize) -> Option<u64> {
        self.clock += 1;
        self.named.insert(id, self.clock);
        if self.named.len() <= limit {
            return None;
        }
        let oldest = self.named.iter().min_by_key(|(_, used)| **used).map(|(id, _)| *id)?;
        self.named.remove(&oldest);
        Some(oldest)
    }

    /// Notes again a statement that was not closed after all.
    pub fn keep(&mut self, id: u64) {
        self.named.insert(id, self.clock);
    }

    pub fn remove(&mut self, id: u64) {
        self.named.remove(&id);
    }

    pub fn clear(&mut self) {
        self.named.clear();
        self.unnamed = None;
    }

    pub fn len(&self) -> usize {
        self.named.len()
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Arc<Analysis> {
        Arc::new(Analysis { primary: None, steps: Vec::new() })
    }

    #[test]
    fn only_equal_bytes_share_a_statement() {
        let statements = Statements::new(100);
        let a = statements.intern(b"SELECT 1\0\0\0", read);
        let b = statements.intern(b"SELECT 1\0\0\0", || panic!("known already"));
        let c = statements.intern(b"SELECT 1\0\0\x01\0\0\0\x17", read);
        assert_eq!(a.id, b.id);
        assert_ne!(a.id, c.id);
    }

    #[test]
    fn the_least_recently_used_statement_makes_room() {
        let mut server = OnServer::default();
        assert_eq!(server.add(1, 2), None);
        assert_eq!(server.add(2, 2), None);
        assert!(server.has(1));
        assert_eq!(server.add(3, 2), Some(2));
        assert!(server.has(1) && server.has(3) && !server.has(2));
    }
}
