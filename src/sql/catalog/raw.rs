//! What a server says of a database's names, before anything is concluded from it.

/// The system's number of an object; two kinds of object may have the same.
pub type Oid = u32;

/// Everything that a catalog is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The functions of PostgreSQL's own, those of `pg_catalog`, by number.
    pub builtins: Vec<(Oid, String)>,
    /// All other functions that a SELECT may call, aggregates included.
    pub functions: Vec<Function>,
    /// Relations that are anything but an ordinary table.
    pub relations: Vec<Relation>,
    pub operators: Vec<Operator>,
    pub casts: Vec<Cast>,
    pub domains: Vec<Domain>,
}

/// A function, an aggregate or a window function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    pub oid: Oid,
    pub schema: String,
    pub name: String,
    /// VOLATILE, which is what PostgreSQL takes it for unless told otherwise.
    pub volatile: bool,
    pub language: String,
    pub extension: Option<String>,
    /// The text of a function in SQL or PL/pgSQL, if it is kept as a text.
    pub body: Option<String>,
    /// A body that is not kept as a text writes.
    pub writes: bool,
    /// Functions that it is made of: those in the defaults of its arguments, the parts of an
    /// aggregate, those in a body that is not kept as a text.
    pub functions: Vec<Oid>,
    /// Relations in such a body.
    pub relations: Vec<Oid>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub oid: Oid,
    pub schema: String,
    pub name: String,
    pub kind: RelationKind,
    /// Functions and relations in the query of a view and in the row policies of a table.
    pub functions: Vec<Oid>,
    pub relations: Vec<Oid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A standby cannot read it, or what it shows is not this server's: unlogged and foreign
    /// tables, and what has such a table among its partitions.
    Barred,
    /// A standby's is up to 32 values ahead (`SEQ_LOG_VALS` of PostgreSQL's sequence.c).
    Sequence,
    /// A view, or a table with row policies.
    Query,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub schema: String,
    pub name: String,
    pub function: Oid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The name of the type that it makes.
    pub schema: String,
    pub target: String,
    pub function: Oid,
    /// It is applied where nothing is written.
    pub implicit: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub oid: Oid,
    pub schema: String,
    pub name: String,
    /// What it is a domain over.
    pub base: Oid,
    /// Functions in its checks.
    pub functions: Vec<Oid>,
}
