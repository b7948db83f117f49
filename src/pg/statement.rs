//! Prepared statements, shared by all clients of a cluster that prepare the same bytes.

use super::params::Params;
use super::server_name::ServerName;
use crate::registry::Recent;
use crate::sql::{self, Analysis, Hint, Why};
use bytes::Bytes;
use equivalent::Equivalent;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A statement as a Parse message brought it: one text, analysed in one surrounding.
#[derive(Debug)]
pub struct Statement {
    /// Its name on servers is made of this number.
    pub id: u64,
    /// Query, NUL and parameter types: the Parse body after the name.
    pub content: Bytes,
    pub analysis: Arc<Analysis>,
    /// The number of the catalog that the analysis was drawn from.
    pub catalog: u64,
    /// What comments in front of it ask for.
    pub hint: Option<Box<Hint>>,
    /// Parameter and result types as the server said that had it first. Whatever a client was
    /// told, it was this.
    types: Arc<OnceLock<Box<[u8]>>>,
    refused: AtomicBool,
    /// The parameters that its text is read by, wherever it is prepared.
    pub reading: Params,
}

/// What a text does, by the catalog of this number.
pub struct Judged {
    pub analysis: Arc<Analysis>,
    pub catalog: u64,
}

impl Statement {
    fn new(id: u64, content: Bytes, judged: Judged, reading: Params) -> Statement {
        let Judged { analysis, catalog } = judged;
        let hint = sql::hint(text(&content)).map(Box::new);
        let (types, refused) = Default::default();
        Statement { id, content, analysis, catalog, hint, types, refused, reading }
    }

    /// The same statement, judged by another catalog.
    pub fn judged(&self, Judged { analysis, catalog }: Judged) -> Statement {
        let (content, types) = (self.content.clone(), self.types.clone());
        let (hint, refused) = (self.hint.clone(), AtomicBool::new(false));
        let reading = self.reading.clone();
        Statement { id: self.id, content, analysis, catalog, hint, types, refused, reading }
    }

    /// A replica refused it, as long as the catalog is this one.
    pub fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Why it needs the primary; `None`: any fresh replica may answer it.
    pub fn primary(&self) -> Option<Why> {
        let refused = self.refused.load(Ordering::Relaxed).then_some(Why::Refused);
        self.analysis.primary.or(refused)
    }

    pub fn server_name(&self) -> ServerName {
        ServerName::of(self.id)
    }

    pub fn query(&self) -> &[u8] {
        text(&self.content)
    }

    /// Memory for its text and its types.
    pub fn bytes(&self) -> usize {
        self.content.len() + self.types.get().map_or(0, |types| types.len())
    }

    /// Some server has described it.
    pub fn is_described(&self) -> bool {
        self.types.get().is_some()
    }

    /// Whether a server describes it as the first one did.
    pub fn agrees(&self, types: &[u8]) -> bool {
        **self.types.get_or_init(|| types.into()) == *types
    }

    /// The same statement with other types: for one session, which was told them.
    pub fn told(&self, types: &[u8]) -> Statement {
        let judged = Judged { analysis: self.analysis.clone(), catalog: self.catalog };
        let told = Statement::new(self.id, self.content.clone(), judged, self.reading.clone());
        told.agrees(types);
        told
    }

    /// Its types are settled when it is prepared, as PostgreSQL's `RevalidateCachedQuery` sees it:
    /// those of FETCH, EXECUTE and the like are found at each execution.
    pub fn has_types(&self) -> bool {
        const PLANNED: [&[u8]; 8] =
            [b"select", b"with", b"insert", b"update", b"delete", b"values", b"table", b"merge"];
        let text = after_comments(self.query());
        PLANNED.iter().any(|word| {
            text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        })
    }
}

/// The text in the content of a Parse.
fn text(content: &[u8]) -> &[u8] {
    content.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What follows the spaces, comments and opening parentheses at the start of a text.
fn after_comments(mut text: &[u8]) -> &[u8] {
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|at| at == what);
    loop {
        let skipped = match text {
            [b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'(', ..] => Some(1),
            [b'-', b'-', ..] => find(text, b"\n").map(|end| end + 1),
            [b'/', b'*', ..] => find(text, b"*/").map(|end| end + 2),
            _ => return text,
        };
        text = skipped.map_or(&[], |skipped| &text[skipped..]);
    }
}

/// Where a text means the same: user, database and the parameters that its analysis reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    place: Place,
    content: Bytes,
}

#[derive(Hash)]
struct KeyRef<'a> {
    place: Place,
    content: &'a [u8],
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.place == key.place && *self.content == *key.content
    }
}

/// Statements by their exact bytes; what falls out of the bounded table is only shared no more.
pub struct Statements {
    shared: Cache<Key, Arc<Statement>>,
    places: Mutex<HashMap<Box<str>, Place>>,
    next: AtomicU64,
}

/// More places are not remembered: applications have few search paths.
const PLACES: usize = 10_000;

impl Statements {
    /// `kept`: how many statements are remembered for sharing.
    pub fn new(kept: usize) -> Statements {
        Statements { shared: Cache::new(kept), places: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// The place of this description.
    pub fn place(&self, description: &str) -> Place {
        let mut places = self.places.lock();
        if let Some(known) = places.get(description) {
            return *known;
        }
        if places.len() >= PLACES {
            places.clear();
        }
        let place = Place(self.number());
        places.insert(description.into(), place);
        place
    }

    /// The statement with exactly this content; `judge` is asked when it is new, or was judged by
    /// another catalog than the one of this number.
    pub fn intern(
        &self,
        (place, params): (Place, &Params),
        content: &[u8],
        catalog: u64,
        judge: impl FnOnce() -> Judged,
    ) -> Arc<Statement> {
        let statement = match self.shared.get(&KeyRef { place, content }) {
            Some(known) if known.catalog == catalog => return known,
            Some(known) => Arc::new(known.judged(judge())),
            None => self.alone(content, judge(), params.reading()),
        };
        let key = Key { place, content: statement.content.clone() };
        self.shared.insert(key, statement.clone());
        statement
    }

    /// A statement that nobody else will have; `reading`: see [`Statement::reading`].
    pub fn alone(&self, content: &[u8], judged: Judged, reading: Params) -> Arc<Statement> {
        let content = Bytes::copy_from_slice(content);
        Arc::new(Statement::new(self.number(), content, judged, reading))
    }

    /// The same statement, judged by another catalog; shared with those who have it from there.
    pub fn judge_anew(&self, place: Place, old: &Statement, judged: Judged) -> Arc<Statement> {
        let shared = self.shared.get(&KeyRef { place, content: &old.content });
        let its = |known: &Arc<Statement>| known.id == old.id;
        match shared.filter(its) {
            Some(known) if known.catalog == judged.catalog => known,
            Some(known) => {
                let statement = Arc::new(known.judged(judged));
                let key = Key { place, content: statement.content.clone() };
                self.shared.insert(key, statement.clone());
                statement
            }
            None => Arc::new(old.judged(judged)),
        }
    }

    /// Tables may not be what they were: what is prepared from now on is analysed anew.
    pub fn renew(&self) {
        self.shared.clear();
    }

    /// The shared statements that sessions have, with how many do.
    pub fn used(&self) -> Vec<(Arc<Statement>, usize)> {
        let clients = |statement: &Arc<Statement>| Arc::strong_count(statement) - 1;
        let shared = self.shared.iter().map(|(_, statement)| (clients(&statement) - 1, statement));
        shared.filter(|(clients, _)| *clients > 0).map(|(clients, s)| (s, clients)).collect()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// What the shared ones take, in bytes, about.
    pub fn weight(&self) -> u64 {
        self.shared.weight()
    }

    pub fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }
}

/// What a Parse fills, or a Close empties, on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The shared name of this statement.
    Shared(u64),
    /// The unnamed statement; `was`: what stood there.
    Unnamed { was: Option<u64> },
    /// One of the session's own names, see [`OnServer::private`].
    Private,
    /// A name of which nothing is remembered.
    Other,
}

/// Which statements one server connection has.
#[derive(Clone, Debug, Default)]
pub struct OnServer {
    named: Recent<()>,
    /// The statement in the unnamed slot.
    pub unnamed: Option<u64>,
    /// Statements whose types here are not what clients were told.
    differing: Vec<u64>,
    /// Its statements are those of one session, under that session's names; none is of ours.
    pub private: bool,
    /// Private, but something failed before all of the session's statements were there.
    pub lacking: bool,
}

impl OnServer {
    /// True when the server has it; it counts as used.
    pub fn has(&mut self, id: u64) -> bool {
        self.named.get(id).is_some()
    }

    /// Puts a statement, or none, into the unnamed slot; answers with how to take it back.
    pub(super) fn fill_unnamed(&mut self, with: Option<u64>) -> Slot {
        Slot::Unnamed { was: std::mem::replace(&mut self.unnamed, with) }
    }

    /// Notes a statement; answers with the one to be closed when there are more than `limit`.
    pub fn add(&mut self, id: u64, limit: usize) -> Option<u64> {
        self.named.add(id, (), limit).map(|(id, ())| id)
    }

    /// Notes again a statement that was not closed after all.
    pub fn keep(&mut self, id: u64) {
        self.named.add(id, (), usize::MAX);
    }

    pub fn remove(&mut self, id: u64) {
        self.named.remove(id);
    }

    /// Notes that this copy has other types than clients were told.
    pub fn differs(&mut self, id: u64) {
        self.remove(id);
        self.differing.push(id);
    }

    /// Whether such a copy is there, which nobody may use; it is up to the caller to close it.
    pub fn take_differing(&mut self, id: u64) -> bool {
        let at = self.differing.iter().position(|differing| *differing == id);
        at.map(|at| self.differing.swap_remove(at)).is_some()
    }

    /// Such a copy is there.
    pub fn has_differing(&self, id: u64) -> bool {
        self.differing.contains(&id)
    }

    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.named.numbers().chain(self.differing.iter().copied())
    }

    /// The server has none any more.
    pub fn clear(&mut self) {
        self.named.clear();
        self.differing.clear();
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

    fn judged(catalog: u64) -> Judged {
        Judged { analysis: Arc::<Analysis>::default(), catalog }
    }

    fn read() -> Judged {
        judged(0)
    }

    #[test]
    fn only_equal_bytes_share_a_statement() {
        let statements = Statements::new(100);
        let (here, none) = (statements.place("a\0b"), Params::default());
        let a = statements.intern((here, &none), b"SELECT 1\0\0\0", 0, read);
        let b = statements.intern((here, &none), b"SELECT 1\0\0\0", 0, || panic!("known already"));
        let c = statements.intern((here, &none), b"SELECT 1\0\0\x01\0\0\0\x17", 0, read);
        assert_eq!(a.id, b.id);
        assert_ne!(a.id, c.id);
    }

    #[test]
    fn elsewhere_and_after_a_renewal_the_same_text_is_another_statement() {
        let statements = Statements::new(100);
        let (here, there) = (statements.place("a"), statements.place("b"));
        let none = Params::default();
        assert_eq!(here, statements.place("a"));
        let first = statements.intern((here, &none), b"TABLE t\0\0\0", 0, read);
        assert_ne!(first.id, statements.intern((there, &none), b"TABLE t\0\0\0", 0, read).id);
        statements.renew();
        assert_ne!(first.id, statements.intern((here, &none), b"TABLE t\0\0\0", 0, read).id);
    }

    #[test]
    fn another_catalog_judges_a_statement_anew_and_leaves_it_the_same() {
        let statements = Statements::new(100);
        let (here, none) = (statements.place("a"), Params::default());
        let first = statements.intern((here, &none), b"SELECT f()\0\0\0", 0, read);
        let second = statements.intern((here, &none), b"SELECT f()\0\0\0", 7, || judged(7));
        assert_eq!((first.id, second.catalog), (second.id, 7));
        let third = statements.judge_anew(here, &first, judged(7));
        assert!(Arc::ptr_eq(&second, &third));
        // What one of them is told of its types holds for all.
        assert!(first.agrees(b"int4") && !third.agrees(b"text"));
        statements.renew();
        assert_eq!(statements.judge_anew(here, &first, judged(8)).catalog, 8);
        assert!(statements.is_empty());
    }

    #[test]
    fn the_first_description_is_what_clients_were_told() {
        let statement =
            Statement::new(1, Bytes::from_static(b"TABLE t\0\0\0"), read(), Params::default());
        assert!(!statement.is_described());
        assert!(statement.agrees(b"int4") && statement.agrees(b"int4"));
        assert!(!statement.agrees(b"text"));
    }

    #[test]
    fn only_what_is_planned_has_types() {
        let has = |text: &str| {
            let text = Bytes::copy_from_slice(text.as_bytes());
            Statement::new(1, text, read(), Params::default()).has_types()
        };
        assert!(has("select 1\0") && has(" /* a */ -- b\n ((VALUES (1)))\0"));
        assert!(!has("FETCH c\0") && !has("-- select\0") && !has("\0"));
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
