//! What the text of a function names that is not harmless.
//!
//! PL/pgSQL is read by its words, which sees too much rather than too little: comments and literals
//! are taken out first, and what is run from a literal (EXECUTE) is suspected.

use super::Meaning;
use crate::sql::functions::Call;
use crate::sql::lexer::shape;
use crate::sql::names::Names;
use crate::sql::standby::local_relation;

/// Words after which something may be left on the connection. CREATE may make temporary tables.
const KEEPING: [&str; 17] = [
    "alter",
    "call",
    "create",
    "deallocate",
    "discard",
    "do",
    "drop",
    "execute",
    "hold",
    "listen",
    "load",
    "notify",
    "prepare",
    "reset",
    "temp",
    "temporary",
    "unlisten",
];

/// Words that begin a write, a lock or a command, wherever they stand.
const WRITING: [&str; 26] = [
    "analyse",
    "analyze",
    "checkpoint",
    "cluster",
    "comment",
    "commit",
    "copy",
    "delete",
    "grant",
    "import",
    "insert",
    "lock",
    "merge",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "share",
    "truncate",
    "update",
    "vacuum",
];

/// Words of PL/pgSQL that an expression in parentheses may follow, besides those of SQL.
const BEFORE_EXPRESSIONS: [&str; 9] =
    ["assert", "by", "elseif", "elsif", "if", "perform", "query", "return", "while"];

/// What a VOLATILE function in PL/pgSQL does, which promises nothing: it is harmless if no word of it
/// is doubtful, and every call is of something harmless.
pub(super) fn prove(body: &str, names: Names<'_>) -> Meaning {
    let known = read(body, names);
    let mut text = Vec::with_capacity(body.len());
    if known != Meaning::HARMLESS || shape(body.as_bytes(), &mut text).is_none() {
        return known.and(Meaning { effect: true, keeps: false });
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let words = words(&text);
    let doubtful = words.iter().enumerate().any(|(at, word)| {
        let called = words.get(at + 1).is_some_and(|next| next == "(");
        WRITING.contains(&&**word) || (called && !is_known(word, names)) || is_harmful(word, names)
    });
    let effect = doubtful || names.catalog.hides_something();
    Meaning { effect, keeps: effect && names.catalog.hides_something() }
}

/// A call of this name, or what looks like one, is nothing unknown.
fn is_known(word: &str, names: Names<'_>) -> bool {
    let keyword = || include_str!("../keywords.txt").lines().any(|keyword| keyword == word);
    let name = word.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    !name
        || keyword()
        || BEFORE_EXPRESSIONS.contains(&word)
        || !matches!(names.call(None, word), Call::Unknown)
}

/// A function of the user's of this name has an effect: `row.name` may call it.
fn is_harmful(word: &str, names: Names<'_>) -> bool {
    names.catalog.function(None, word).is_some_and(|meaning| meaning.effect)
}

/// What the words of a function in PL/pgSQL or SQL may do. `INSERT` and its kin are not looked
/// for: where PostgreSQL's promise is believed, they are refused.
pub(super) fn read(body: &str, names: Names<'_>) -> Meaning {
    let mut text = Vec::with_capacity(body.len());
    if shape(body.as_bytes(), &mut text).is_none() {
        return Meaning::ANYTHING;
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let words = words(&text);
    let mut meaning = Meaning::HARMLESS;
    // UPDATE … SET is the one SET that leaves nothing; the statement ends with a semicolon.
    let mut updating = false;
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map(|word| &**word);
        let schema = match at.checked_sub(2).map(|before| (&*words[before], &*words[at - 1])) {
            Some((schema, ".")) => Some(schema),
            _ => None,
        };
        match &**word {
            ";" => updating = false,
            "update" => updating = true,
            "set" => meaning.keeps |= !updating,
            word if word.starts_with("pg_temp") || KEEPING.contains(&word) => meaning.keeps = true,
            word => {
                if next == Some("(") {
                    meaning = meaning.and(called(schema, word, names));
                }
                let local = local_relation(schema, word);
                let relation = names.catalog.relation(schema, word).unwrap_or_default();
                meaning = meaning.and(relation).and(Meaning { effect: local, keeps: false });
            }
        }
    }
    meaning
}

/// A word before a parenthesis: a function, or a type, a keyword or an alias.
fn called(schema: Option<&str>, name: &str, names: Names<'_>) -> Meaning {
    match names.call(schema, name) {
        Call::Harmless | Call::CurrentSetting => Meaning::HARMLESS,
        Call::OfUser(meaning) => meaning,
        Call::Unknown if !names.functions.shuns(name) => Meaning::HARMLESS,
        Call::Effect | Call::Sequence | Call::ProcessId | Call::Channels => {
            Meaning { effect: true, keeps: false }
        }
        _ => Meaning::ANYTHING,
    }
}

/// Identifiers as PostgreSQL folds them, and `(`, `.` and `;`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.char_indices().peekable();
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    while let Some((_, first)) = rest.next() {
        let mut word = String::new();
        match first {
            '(' | '.' | ';' => word.push(first),
            '"' => {
                // A doubled quote makes two names of one, of which each counts.
                word.extend(std::iter::from_fn(|| rest.next_if(|(_, c)| *c != '"')).map(|w| w.1));
                rest.next();
            }
            first if part(first) => {
                word.push(first);
                word.extend(std::iter::from_fn(|| rest.next_if(|(_, c)| part(*c))).map(|w| w.1));
                word.make_ascii_lowercase();
            }
            _ => continue,
        }
        words.push(word);
    }
    words
}
