//! The answer of the classifier.

use super::usage::Usage;
use std::sync::Arc;

/// What one statement text (one statement or several) does.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// `None`: every part is a read that any fresh replica may answer.
    /// `Some`: the strongest part needs the primary, for this reason.
    pub primary: Option<Why>,
    /// One entry for each statement of the text, in order; **empty** when every one of them is
    /// `Step::Plain`, so that the usual case costs nothing.
    pub steps: Vec<Step>,
    /// The statement rules that it falls under: bit n for rule n.
    pub marks: u64,
    /// What is counted for its shape, where the answer is kept by shape.
    pub usage: Option<Arc<Usage>>,
}

/// Counts do not make two answers different.
impl PartialEq for Analysis {
    fn eq(&self, other: &Analysis) -> bool {
        (self.primary, &self.steps, self.marks) == (other.primary, &other.steps, other.marks)
    }
}

impl Eq for Analysis {}

impl Analysis {
    /// The channels of its LISTENs.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Listen(channel) => Some(&**channel),
            _ => None,
        })
    }
}

/// Why a statement needs the primary. One word each for log, metric, console and test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM, DDL, …
    Write,
    /// SELECT FOR UPDATE / SHARE, LOCK TABLE.
    Locks,
    /// A data-modifying WITH clause, or SELECT INTO.
    WritingSelect,
    /// It calls a function that may have an effect.
    Function,
    /// It starts, ends or lives in a transaction that is not READ ONLY.
    Transaction,
    /// SET, RESET, DISCARD, PREPARE, LISTEN and others that change the session.
    Session,
    /// The grammar did not understand it.
    Unparsed,
    /// Longer than what is looked at, or a batch that was not yet whole.
    Unseen,
    /// A kind of statement that nobody has shown to be a read.
    Doubtful,
    /// It reads what a replica cannot (unlogged and foreign tables, sequences), or a view that
    /// hides an effect.
    Relation,
    /// A replica refused a statement of this shape.
    Refused,
}

impl Why {
    pub const ALL: [Why; 11] = [
        Why::Write,
        Why::Locks,
        Why::WritingSelect,
        Why::Function,
        Why::Transaction,
        Why::Session,
        Why::Unparsed,
        Why::Unseen,
        Why::Doubtful,
        Why::Relation,
        Why::Refused,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Why::Write => "write",
            Why::Locks => "locks",
            Why::WritingSelect => "writing_select",
            Why::Function => "function",
            Why::Transaction => "transaction",
            Why::Session => "session",
            Why::Unparsed => "unparsed",
            Why::Unseen => "unseen",
            Why::Doubtful => "doubtful",
            Why::Relation => "relation",
            Why::Refused => "refused",
        }
    }
}

/// The effect of one statement on the session, applied when the server says it succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No effect on the session.
    Plain,
    /// BEGIN / START TRANSACTION; `read_only` as written, `None` when it does not say.
    Begin {
        read_only: Option<bool>,
    },
    /// COMMIT; `chain`: another transaction begins at once.
    Commit {
        chain: bool,
    },
    Rollback,
    Savepoint(Box<str>),
    /// RELEASE SAVEPOINT
    Release(Box<str>),
    RollbackTo(Box<str>),
    /// SET [SESSION] name = value;
    /// SET SESSION CHARACTERISTICS sets `default_transaction_*`; SET SESSION AUTHORIZATION and
    /// SET ROLE set `session_authorization` and `role`; SET NAMES sets `client_encoding`.
    Set {
        name: Box<str>,
        value: SetValue,
    },
    /// SET LOCAL of a parameter that prepared statements are read by, see [`super::is_read_once`].
    ReadsOtherwise,
    Reset(Box<str>),
    ResetAll,
    DiscardAll,
    /// DISCARD TEMP
    DiscardTemp,
    /// DISCARD PLANS / SEQUENCES
    DiscardOther,
    /// DEALLOCATE name
    Deallocate(Box<str>),
    DeallocateAll,
    /// LISTEN; the channel as PostgreSQL folds and truncates it.
    Listen(Box<str>),
    Unlisten(Box<str>),
    /// UNLISTEN *
    UnlistenAll,
    /// NOTIFY or pg_notify: whoever listens hears of it after the transaction.
    Notify,
    /// pg_listening_channels: the session's own.
    ListsChannels,
    /// `SHOW tidegate.…`: answered by the proxy.
    ShowTidegate(Box<str>),
    /// `EXPLAIN (TIDEGATE) …`: the proxy says where the statement would go, which is not executed.
    Explain(Arc<Analysis>),
    /// The session must keep its server connection from here on.
    Pin(Pin),
    /// It may leave something on the server that its text does not tell, as whatever runs code of
    /// the user's: DO, CALL, a function that is not PostgreSQL's own.
    Hidden,
    /// It may take away what pinned the session: CLOSE, an advisory unlock.
    Releases,
    /// DROP DATABASE, or ALTER DATABASE … RENAME: nobody may be connected to it.
    Empties(Box<str>),
    /// It may change what the columns of a table are: CREATE, ALTER, and DROP, which may also take
    /// away what pinned the session.
    Defines,
}

/// The value of a SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// SET … TO DEFAULT
    Default,
    /// The flat string that `set_config` takes for it (lists joined and quoted as PostgreSQL's
    /// `flatten_set_variable_args` does).
    Text(Arc<str>),
}

/// Why a session must keep its server connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// CREATE TEMP …, SELECT INTO TEMP
    TemporaryObject,
    /// pg_advisory_lock and its kin, session level
    AdvisoryLock,
    /// DECLARE … WITH HOLD
    HoldCursor,
    /// LISTEN by code of the user's, or where nobody can listen in the session's place
    Listen,
    Load,
    /// PREPARE name AS …; EXECUTE and `pg_prepared_statements`, which mean the session's own
    /// statements under its own names.
    SqlPrepare,
    /// `SELECT pg_backend_pid()`: whoever asks means to keep it
    ProcessId,
    /// currval, lastval: where nextval ran
    Sequence,
    /// A SET whose value cannot be replayed (SET TIME ZONE INTERVAL …), set_config(…, false)
    Setting,
    /// The session pool.
    Mode,
    /// The server did not say whether it keeps something.
    Unproven,
}

impl Pin {
    /// In the order of their numbers.
    pub const ALL: [Pin; 11] = [
        Pin::TemporaryObject,
        Pin::AdvisoryLock,
        Pin::HoldCursor,
        Pin::Listen,
        Pin::Load,
        Pin::SqlPrepare,
        Pin::ProcessId,
        Pin::Sequence,
        Pin::Setting,
        Pin::Mode,
        Pin::Unproven,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Pin::TemporaryObject => "temporary_object",
            Pin::AdvisoryLock => "advisory_lock",
            Pin::HoldCursor => "hold_cursor",
            Pin::Listen => "listen",
            Pin::Load => "load",
            Pin::SqlPrepare => "sql_prepare",
            Pin::ProcessId => "process_id",
            Pin::Sequence => "sequence",
            Pin::Setting => "setting",
            Pin::Mode => "mode",
            Pin::Unproven => "unproven",
        }
    }
}
