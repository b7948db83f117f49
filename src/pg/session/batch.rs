//! A batch of a client: what is asked up to the next Sync, or one simple query.

use super::undo::Undo;
use crate::dispatch::Wanted;
use crate::pg::statement::Statement;
use crate::refusal::Refusal;
use crate::route::{Place, Wants};
use crate::sql::{Analysis, Pin, Step, Usage, Why, is_read_once};
use std::sync::Arc;

/// One frame of a batch, understood as far as needed.
#[derive(Debug)]
pub enum Item {
    Query(Arc<Analysis>),
    /// `duplicate`: the session has another statement of this name already.
    Parse {
        statement: Arc<Statement>,
        named: bool,
        duplicate: bool,
        undo: Option<Undo>,
    },
    /// `deallocates`: it is a DEALLOCATE of a statement that servers know by another name.
    Bind {
        statement: Option<Arc<Statement>>,
        unnamed: bool,
        deallocates: bool,
    },
    /// With whether it is the unnamed one.
    DescribeStatement(Option<Arc<Statement>>, bool),
    CloseStatement(Option<Undo>),
    Execute(Option<Undo>),
    Sync,
    Function,
    /// Forwarded as it is; the reply, if any, is told by the tag.
    Pass,
}

impl Item {
    fn analysis(&self) -> Option<&Analysis> {
        match self {
            Item::Query(analysis) => Some(analysis),
            Item::Parse { statement, .. } | Item::Bind { statement: Some(statement), .. } => {
                Some(&statement.analysis)
            }
            _ => None,
        }
    }

    /// What it changed in the session when it was planned.
    pub fn undo(&self) -> Option<Undo> {
        match self {
            Item::Parse { undo, .. } | Item::CloseStatement(undo) | Item::Execute(undo) => {
                undo.clone()
            }
            _ => None,
        }
    }
}

/// A frame in the client's input buffer: the item, the bytes of it that are in the buffer,
/// and the bytes that are still to come and are forwarded unseen.
#[derive(Debug)]
pub struct Planned {
    pub item: Item,
    pub tag: u8,
    pub here: usize,
    pub later: usize,
}

/// Where a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a Sync, a simple query or a function call: the server answers ReadyForQuery.
    Ready,
    /// Something must be sent now, but the batch goes on (Flush, or it is too long to wait for).
    Open,
    /// Terminate.
    Leave,
}

/// A portal's name and the effect of its statement.
pub(super) type Bound = (Box<[u8]>, Option<Arc<Analysis>>);

/// What is known of the batch so far.
#[derive(Debug, Default)]
pub struct Batch {
    pub frames: Vec<Planned>,
    /// Bytes of the input buffer that belong to it.
    pub len: usize,
    pub end: Option<End>,
    /// The strongest reason for the primary among its parts.
    pub primary: Option<Why>,
    /// It holds a BEGIN READ ONLY or plain reads only: see `wants`.
    pub statements: usize,
    /// A LISTEN is among them.
    pub listens: bool,
    /// It asks which channels the session listens to.
    pub lists_channels: bool,
    /// It uses named statements whose types the client may know.
    seen: bool,
    /// It uses named statements for the first time.
    news: bool,
    /// What is counted for its first statement.
    pub usage: Option<Arc<Usage>>,
    /// The rules that statements of it fall under.
    pub marks: u64,
    /// What its hints want.
    pub wanted: Option<Box<Wanted>>,
    /// Why it cannot be carried out; nothing of it was.
    pub complaint: Option<Box<Refusal>>,
    /// It needs the primary whatever its hints want.
    insists: bool,
    /// Portals that it binds, where their statements have an effect or earlier ones had.
    pub(super) bound: Vec<Bound>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.frames.clear();
        if self.frames.capacity() > 256 {
            self.frames = Vec::new();
        }
        self.len = 0;
        self.end = None;
        self.primary = None;
        self.statements = 0;
        self.listens = false;
        self.lists_channels = false;
        self.seen = false;
        self.news = false;
        self.usage = None;
        self.marks = 0;
        self.wanted = None;
        self.complaint = None;
        self.insists = false;
        self.bound.clear();
    }

    pub fn wants(&self) -> Wants {
        match (self.primary.filter(|_| !self.is_overruled()), self.end) {
            (Some(why), _) => Wants::Primary(why),
            (None, Some(End::Ready)) => Wants::Read,
            (None, _) => Wants::Primary(Why::Unseen),
        }
    }

    /// A hint sends it to a replica although it may have an effect: its author knows better, and
    /// the replica will refuse what writes.
    fn is_overruled(&self) -> bool {
        let place = self.wanted.as_ref().and_then(|wanted| wanted.wish.place);
        !self.insists && matches!(place, Some(Place::Replica | Place::Nodes(_)))
    }

    pub(super) fn want(&mut self, wanted: Wanted) {
        match &mut self.wanted {
            Some(all) => {
                all.wish = all.wish.with(wanted.wish);
                all.after = all.after.take().or(wanted.after);
            }
            none => *none = Some(Box::new(wanted)),
        }
    }

    /// The first complaint counts.
    pub fn complain(&mut self, of: Option<Refusal>) {
        if let Some(refusal) = of.filter(|_| self.complaint.is_none()) {
            self.complaint = Some(Box::new(refusal));
        }
    }

    /// It was refused because commits would wait for less than the cluster promises.
    pub fn weakens_commits(&self) -> bool {
        matches!(self.complaint.as_deref(), Some(Refusal::WeakCommit))
    }

    /// It asks for the position that another session may read after.
    pub fn asks_position(&self) -> bool {
        let asked =
            |step: &Step| matches!(step, Step::ShowTidegate(n) if **n == *"tidegate.position");
        self.executed().any(|analysis| analysis.steps.iter().any(asked))
    }

    /// What EXPLAIN is asked about, and the hint's wishes are those of the batch.
    pub fn explains(&self) -> Option<&Analysis> {
        self.executed().flat_map(|analysis| &analysis.steps).find_map(|step| match step {
            Step::Explain(explained) => Some(&**explained),
            _ => None,
        })
    }

    /// The single statement of a batch that is one simple query.
    pub fn only_query(&self) -> Option<&Arc<Analysis>> {
        match self.frames.as_slice() {
            [Planned { item: Item::Query(analysis), later: 0, .. }] => Some(analysis),
            _ => None,
        }
    }

    pub(super) fn look_at(&mut self, seen: Option<bool>, name: &[u8]) {
        let named = !name.is_empty();
        self.seen |= named && seen == Some(true);
        self.news |= named && seen == Some(false);
    }

    /// Its statements can be prepared anew without the client's being told anything else than it
    /// was.
    pub fn is_renewable(&self) -> bool {
        self.news && !self.seen
    }

    /// The server fails it as a whole or not at all: when it fails, it can be asked again.
    pub fn is_atomic(&self) -> bool {
        let mut frames = self.frames.iter();
        let ends = matches!(frames.next_back(), Some(Planned { item: Item::Sync, .. }));
        ends && frames.all(|frame| match &frame.item {
            Item::Parse { .. } | Item::DescribeStatement(..) | Item::CloseStatement(_) => true,
            Item::Bind { statement, .. } => {
                frame.later == 0 && statement.as_ref().is_some_and(|s| s.analysis.steps.is_empty())
            }
            Item::Execute(undo) => undo.is_none(),
            Item::Pass => matches!(frame.tag, b'D' | b'C'),
            Item::Query(_) | Item::Sync | Item::Function => false,
        })
    }

    /// The unnamed statement is prepared by the batch itself before its frame `at`.
    pub(super) fn parses_unnamed(&self, at: usize) -> bool {
        self.frames[..at].iter().any(|f| matches!(f.item, Item::Parse { named: false, .. }))
    }

    /// It asks for what `nextval` gave this session last.
    pub fn asks_sequence(&self) -> bool {
        self.any_step(&Step::Pin(Pin::Sequence))
    }

    fn any_step(&self, step: &Step) -> bool {
        self.executed().any(|analysis| analysis.steps.contains(step))
    }

    /// What is executed, or bound to be.
    fn executed(&self) -> impl Iterator<Item = &Analysis> {
        self.frames.iter().filter_map(|frame| match &frame.item {
            Item::Query(analysis) => Some(&**analysis),
            Item::Bind { statement: Some(statement), .. } => Some(&*statement.analysis),
            _ => None,
        })
    }

    /// Behind what is bound already, a text may be read otherwise than the session would read it.
    pub(super) fn changes_reading(&self) -> bool {
        let changes = |step: &Step| match step {
            Step::Set { name, .. } | Step::Reset(name) => is_read_once(name),
            Step::ResetAll | Step::DiscardAll | Step::ReadsOtherwise => true,
            _ => false,
        };
        let effects = self.bound.iter().filter_map(|(_, effect)| effect.as_ref());
        effects.flat_map(|effect| &effect.steps).any(changes)
    }

    /// It may change what names mean.
    pub fn defines(&self) -> bool {
        self.any_step(&Step::Defines)
    }

    /// Databases that nobody may be connected to when it runs.
    pub fn empties(&self) -> impl Iterator<Item = &str> {
        self.executed().flat_map(|analysis| &analysis.steps).filter_map(|step| match step {
            Step::Empties(database) => Some(&**database),
            _ => None,
        })
    }

    /// SQL of it means statements by their names.
    pub(super) fn names_statements(&self) -> bool {
        self.frames.iter().any(|frame| match &frame.item {
            Item::Query(analysis) => names_statements(analysis),
            Item::Parse { statement, .. }
            | Item::Bind { statement: Some(statement), .. }
            | Item::DescribeStatement(Some(statement), _) => names_statements(&statement.analysis),
            _ => false,
        })
    }

    pub(super) fn count(&mut self, analysis: &Analysis) {
        self.statements += 1;
        self.primary = self.primary.or(analysis.primary);
        self.marks |= analysis.marks;
        if self.usage.is_none() {
            self.usage.clone_from(&analysis.usage);
        }
        self.insists |= insists(analysis);
        self.listens |= analysis.channels().next().is_some();
        self.lists_channels |= analysis.steps.contains(&Step::ListsChannels);
    }

    /// The channels of its LISTENs.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.frames.iter().filter_map(|frame| frame.item.analysis()).flat_map(|a| a.channels())
    }
}

/// It needs the primary for more than what it may do by functions that nobody knows, or by
/// relations that are different on each server.
fn insists(analysis: &Analysis) -> bool {
    let doubtful = [Why::Function, Why::Doubtful, Why::Session, Why::Refused, Why::Relation];
    let stays = |step: &Step| !matches!(step, Step::Plain | Step::Hidden | Step::ReadsOtherwise);
    analysis.primary.is_some_and(|why| !doubtful.contains(&why))
        || (analysis.primary.is_some() && analysis.steps.iter().any(stays))
}

fn names_statements(analysis: &Analysis) -> bool {
    let steps = &analysis.steps;
    // A DEALLOCATE alone is taken care of.
    steps.contains(&Step::Pin(Pin::SqlPrepare))
        || (steps.len() > 1 && steps.iter().any(|step| matches!(step, Step::Deallocate(_))))
}
