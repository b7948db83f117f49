//! The answer of the classifier of MySQL's and MariaDB's dialect.

use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use crate::sql::{Usage, Why};

/// What a session tells the lexer: the same bytes mean different things under different settings.
///
/// Whoever does not know a mode takes the one that is on at the server's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Modes {
    /// `sql_mode` has ANSI_QUOTES: `"x"` is a name.
    pub ansi_quotes: bool,
    /// `sql_mode` has NO_BACKSLASH_ESCAPES: a backslash in a string is a backslash.
    pub no_backslash_escapes: bool,
    /// `sql_mode` has ORACLE (MariaDB): another grammar; every text goes to the primary.
    pub oracle: bool,
    /// `character_set_client` is one in which a byte like a backslash or a quote may be half of a
    /// letter: big5, cp932, gb18030, gbk, sjis. Texts with bytes beyond ASCII go to the primary.
    pub ascii_in_letters: bool,
}

/// What one statement text (one statement or several) does.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// `None`: every part is a read that any fresh replica may answer.
    /// `Some`: the strongest part needs the primary, for this reason.
    pub primary: Option<Why>,
    /// One entry for each statement of the text, in order; **empty** when every one of them is
    /// plain and uses nothing, so that the usual case costs nothing.
    pub parts: Vec<Part>,
    /// The statement rules that it falls under: bit n for rule n.
    pub marks: u64,
    /// What is counted for its shape, where the answer is kept by shape.
    pub usage: Option<Arc<Usage>>,
}

/// Counts do not make two answers different.
impl PartialEq for Analysis {
    fn eq(&self, other: &Analysis) -> bool {
        (self.primary, &self.parts, self.marks) == (other.primary, &other.parts, other.marks)
    }
}

impl Eq for Analysis {}

impl Analysis {
    /// Its author's wish to have it done by a replica does not count: it changes the session, or
    /// its transaction, which belong to the primary.
    pub fn insists(&self) -> bool {
        matches!(self.primary, Some(Why::Session | Why::Transaction))
            || self.parts.iter().any(|part| part.step != Step::Plain)
    }

    /// What all parts use together.
    pub fn uses(&self) -> Uses {
        self.parts.iter().fold(Uses::NONE, |all, part| all | part.uses)
    }
}

/// One statement of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Applied when the server says that it succeeded.
    pub step: Step,
    pub uses: Uses,
}

/// What a statement means for the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// Nothing beyond its `uses`.
    #[default]
    Plain,
    /// BEGIN / START TRANSACTION; `read_only` as written, `None` when it does not say;
    /// `snapshot`: WITH CONSISTENT SNAPSHOT. It commits what was open.
    Begin {
        read_only: Option<bool>,
        snapshot: bool,
    },
    /// COMMIT
    Commit(Ending),
    /// ROLLBACK, to the transaction's beginning.
    Rollback(Ending),
    Savepoint(Box<str>),
    /// RELEASE SAVEPOINT
    Release(Box<str>),
    RollbackTo(Box<str>),
    /// SET …, its parts in their order: one that fails undoes none of those before it.
    Set(Box<[Assignment]>),
    /// `SET @tidegate_…` and nothing else: answered by the proxy.
    SetTidegate(Box<[Assignment]>),
    /// `SELECT @@tidegate_a [AS x], …` and nothing else: answered by the proxy. Names without
    /// `@@`, in lower case, and the columns' names.
    ShowTidegate(Box<[(Box<str>, Box<str>)]>),
    /// `EXPLAIN FORMAT = TIDEGATE …`: the proxy says where the statement would go, which is not
    /// executed.
    Explain(Arc<Analysis>),
    /// USE
    Use(Box<str>),
    /// PREPARE name FROM …; EXECUTE IMMEDIATE is `Plain` with `Uses::CODE`.
    Prepare(Box<str>),
    /// EXECUTE name
    Execute(Box<str>),
    /// DEALLOCATE PREPARE / DROP PREPARE
    Deallocate(Box<str>),
    /// LOCK TABLES, FLUSH TABLES … WITH READ LOCK / FOR EXPORT, BACKUP LOCK / STAGE: kept by the
    /// session until UNLOCK TABLES (or its own end).
    LockTables,
    /// UNLOCK TABLES, BACKUP UNLOCK, BACKUP STAGE END
    UnlockTables,
    /// KILL: the id is one of ours, which the proxy translates; `None`: not a plain number.
    Kill {
        query: bool,
        id: Option<u64>,
    },
    /// XA START: what follows, up to XA COMMIT or ROLLBACK, belongs to one connection.
    XaStart,
    /// XA COMMIT, XA ROLLBACK
    XaEnd,
    /// XA END, XA PREPARE, XA RECOVER
    XaOther,
    /// LOAD DATA / XML LOCAL INFILE: the server will ask the client for a file.
    LoadLocal,
    /// HANDLER … OPEN, which lives until HANDLER … CLOSE.
    HandlerOpen,
    /// HANDLER … CLOSE
    HandlerClose,
    /// DROP DATABASE: the schema that is gone; who was in it is in none.
    DropDatabase(Box<str>),
}

/// What follows the end of a transaction; `None`: the variable `completion_type` decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// AND [NO] CHAIN: another one like it begins at once.
    pub chain: Option<bool>,
    /// [NO] RELEASE: the server closes the connection.
    pub release: Option<bool>,
}

/// One part of a SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// `[SESSION | GLOBAL | @@…] name = value`; the name in lower case, a component's or key
    /// cache's in front of it with a dot.
    Variable { scope: Scope, name: Box<str>, value: Value },
    /// `@name = value`; the name in lower case.
    User { name: Box<str>, value: Value },
    /// SET NAMES; `None`: DEFAULT.
    Names { charset: Option<Box<str>>, collation: Option<Box<str>> },
    /// SET CHARACTER SET / CHARSET; `None`: DEFAULT.
    CharacterSet(Option<Box<str>>),
    /// SET [SESSION | GLOBAL] TRANSACTION
    Transaction { scope: Scope, isolation: Option<Isolation>, read_only: Option<bool> },
    /// SET ROLE: the text behind it, as written.
    Role(Box<[u8]>),
    /// SET PASSWORD, SET DEFAULT ROLE, SET RESOURCE GROUP, `NEW.x = …`: nothing to replay.
    Other,
}

/// How far a SET reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `SET TRANSACTION`, and `SET @@name` without a scope: the session, but for the isolation
    /// and the access mode (`@@transaction_isolation`, `@@tx_isolation`,
    /// `@@transaction_read_only`, `@@tx_read_only`) the next transaction alone.
    Unsaid,
    Session,
    /// GLOBAL, PERSIST, PERSIST_ONLY: of one server, not of the session.
    Global,
}

/// What is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// DEFAULT
    Default,
    /// One literal or one bare word.
    Literal {
        /// As it stands in the text: `SET name = written` says the same under the same modes and
        /// character set.
        written: Box<[u8]>,
        /// Without quotes, escapes and introducer; a number or a word as it is. `None`: a hex or
        /// bit literal, NULL, or not UTF-8.
        meaning: Option<Box<str>>,
    },
    /// An expression: only the server knows.
    Computed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// What a statement takes from its session's server connection, or leaves there: a set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Uses(u32);

impl Uses {
    pub const NONE: Uses = Uses(0);
    /// It reads user variables (`@x`).
    pub const READS_VARIABLES: Uses = Uses(1);
    /// It assigns user variables in a way that its text does not tell: `:=`, `INTO @x`,
    /// EXECUTE … INTO, GET DIAGNOSTICS @x, LOAD DATA (…, @x).
    pub const ASSIGNS_VARIABLES: Uses = Uses(1 << 1);
    /// LAST_INSERT_ID(), @@identity, @@last_insert_id: of what this session inserted before.
    pub const LAST_INSERT_ID: Uses = Uses(1 << 2);
    /// LAST_INSERT_ID(x) sets what LAST_INSERT_ID() will be.
    pub const SETS_LAST_INSERT_ID: Uses = Uses(1 << 3);
    /// FOUND_ROWS() of the statement before.
    pub const FOUND_ROWS: Uses = Uses(1 << 4);
    /// SQL_CALC_FOUND_ROWS: FOUND_ROWS() will be asked for.
    pub const CALC_FOUND_ROWS: Uses = Uses(1 << 5);
    /// ROW_COUNT() of the statement before.
    pub const ROW_COUNT: Uses = Uses(1 << 6);
    /// SHOW WARNINGS / ERRORS, GET DIAGNOSTICS, @@warning_count, @@error_count: of the statement
    /// before.
    pub const DIAGNOSTICS: Uses = Uses(1 << 7);
    /// GET_LOCK: until RELEASE_LOCK or the end of the connection.
    pub const NAMED_LOCK: Uses = Uses(1 << 8);
    /// RELEASE_LOCK, RELEASE_ALL_LOCKS: the named locks may be gone.
    pub const RELEASES_LOCK: Uses = Uses(1 << 9);
    /// CREATE TEMPORARY TABLE / SEQUENCE
    pub const TEMPORARY: Uses = Uses(1 << 10);
    /// DROP TABLE / TEMPORARY TABLE, RENAME, ALTER …: a temporary table may be gone.
    pub const DROPS: Uses = Uses(1 << 11);
    /// CONNECTION_ID(), @@pseudo_thread_id, SHOW PROCESSLIST and its kin: ids of connections,
    /// which the client knows by ours.
    pub const CONNECTION_ID: Uses = Uses(1 << 12);
    /// LASTVAL, PREVIOUS VALUE FOR: where NEXTVAL ran in this session.
    pub const SEQUENCE: Uses = Uses(1 << 13);
    /// It runs code that nobody has read (CALL, stored and loadable functions, EXECUTE IMMEDIATE,
    /// compound statements, texts that were not understood): it may have left anything.
    pub const CODE: Uses = Uses(1 << 14);
    /// It commits the transaction that is open, before it runs and after: DDL and its kin.
    pub const COMMITS: Uses = Uses(1 << 15);
    /// It reads variables of the session or server (`@@x`, SHOW VARIABLES): those that the proxy
    /// itself sets on its connections may differ from what the client set.
    pub const SYSTEM_VARIABLES: Uses = Uses(1 << 16);

    pub fn has(self, some: Uses) -> bool {
        self.0 & some.0 != 0
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Uses {
    type Output = Uses;
    fn bitor(self, other: Uses) -> Uses {
        Uses(self.0 | other.0)
    }
}

impl BitOrAssign for Uses {
    fn bitor_assign(&mut self, other: Uses) {
        self.0 |= other.0;
    }
}
