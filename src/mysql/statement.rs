//! Prepared statements by their content: clients that prepare the same bytes in the same
//! surroundings share one, which a server connection needs to have only once.

use crate::sql::mysql::Analysis;
use crate::sql::{self, Hint, Why};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Memory for texts that are remembered for sharing, in bytes, about.
const SHARED: u64 = 16 << 20;

/// What an entry costs besides its text, about; in bytes.
const ENTRY: usize = 300;

/// What makes two statements one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    pub(super) text: Box<[u8]>,
    /// The schema and the variables that the text is understood by.
    pub(super) surroundings: Surroundings,
}

/// What a server understands a text by when it prepares it, besides the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Surroundings {
    /// Names without a schema are in this one; empty: in none.
    pub(super) schema: Box<str>,
    /// Values that differ from those of a fresh connection, each behind its name.
    pub(super) variables: Box<str>,
}

/// A statement as a COM_STMT_PREPARE brought it.
#[derive(Debug)]
pub(super) struct Statement {
    /// Server connections know it by this number, which is none of theirs.
    pub(super) id: u64,
    pub(super) content: Content,
    pub(super) analysis: Arc<Analysis>,
    /// What comments in front of it ask for.
    pub(super) hint: Option<Box<Hint>>,
    refused: AtomicBool,
}

impl Statement {
    /// A replica refused it as a write.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Why it needs the primary; `None`: any fresh replica may answer it.
    pub(super) fn primary(&self) -> Option<Why> {
        let refused = self.refused.load(Ordering::Relaxed).then_some(Why::Refused);
        self.analysis.primary.or(refused)
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Content, Arc<Statement>> for ByBytes {
    fn weight(&self, content: &Content, _: &Arc<Statement>) -> u64 {
        // Once in the key, once in the statement.
        (2 * content.text.len() + ENTRY) as u64
    }
}

/// All statements that are shared in one cluster.
pub(super) struct Statements {
    shared: Cache<Content, Arc<Statement>, ByBytes>,
    next: AtomicU64,
}

impl Default for Statements {
    fn default() -> Statements {
        let entries = usize::try_from(SHARED).unwrap_or(usize::MAX) / 1000;
        Statements {
            shared: Cache::with_weighter(entries, SHARED, ByBytes),
            next: AtomicU64::new(1),
        }
    }
}

impl Statements {
    /// How many are shared, and what they take, in bytes, about.
    pub(super) fn taken(&self) -> (u64, u64) {
        (self.shared.len() as u64, self.shared.weight())
    }

    /// The statement of this content, which does what `analysis` says.
    pub(super) fn share(&self, content: Content, analysis: Arc<Analysis>) -> Arc<Statement> {
        let known = self.shared.get(&content);
        // What a rule or a refusal made of it since is a statement of its own.
        if let Some(known) = known
            .filter(|known| Arc::ptr_eq(&known.analysis, &analysis) || known.analysis == analysis)
        {
            return known;
        }
        let statement = Arc::new(Statement {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            hint: sql::hint(&content.text).map(Box::new),
            content: content.clone(),
            analysis,
            refused: AtomicBool::new(false),
        });
        self.shared.insert(content, statement.clone());
        statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str, schema: &str) -> Content {
        let surroundings = Surroundings { schema: schema.into(), ..Surroundings::default() };
        Content { text: text.as_bytes().into(), surroundings }
    }

    #[test]
    fn the_same_bytes_in_the_same_surroundings_are_one_statement() {
        let (all, does) = (Statements::default(), Arc::new(Analysis::default()));
        let one = all.share(content("SELECT 1", "a"), does.clone());
        assert_eq!(all.share(content("SELECT 1", "a"), does.clone()).id, one.id);
        assert_ne!(all.share(content("SELECT 1", "b"), does.clone()).id, one.id);
        assert_ne!(all.share(content("SELECT 2", "a"), does).id, one.id);
    }

    #[test]
    fn a_refused_read_is_a_write_for_everybody_who_prepares_it() {
        let (all, does) = (Statements::default(), Arc::new(Analysis::default()));
        let one = all.share(content("SELECT f()", ""), does.clone());
        assert_eq!(one.primary(), None);
        all.share(content("SELECT f()", ""), does).refuse();
        assert_eq!(one.primary(), Some(Why::Refused));
    }
}
