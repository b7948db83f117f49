//! From the text of a statement to a command.

use super::act::{ACTIONS, Action};
use super::failure::{Failure, SYNTAX};
use super::select::{self, Select};
use super::show::{SHOWS, Show};
use crate::failover::Wanted;
use std::fmt;

#[derive(Clone, Debug)]
pub(super) enum Command {
    Show(&'static Show, Select),
    Reload,
    Pause(Option<String>),
    Resume(Option<String>),
    /// Server connections are replaced, all or those of one cluster.
    Reconnect(Option<String>),
    WaitClose(Option<String>),
    /// Whether new clients of the cluster are let in.
    Admit(String, bool),
    /// Whether new reads go to this node of this cluster.
    Drain(String, String, bool),
    /// A key of the configuration, and its new value.
    Set(String, String),
    Kill(u64),
    /// What is wanted of the primary of this cluster; only in words, if the last is true.
    Reign(String, Wanted, bool),
    /// Take a backup of this cluster.
    Backup(String),
    /// Restore the newest backup of this cluster for a test.
    TestBackup(String),
    Shutdown,
    /// Drivers wrap whatever they do in a transaction: nothing to do, and no reason to fail.
    Begin,
    End(&'static str),
    /// Drivers tidy up and set things on their own; it means nothing here, and this is its tag.
    Ignored(&'static str),
}

/// As an operator would write it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |cluster: &Option<String>| {
            cluster.as_ref().map(|cluster| format!(" {cluster}")).unwrap_or_default()
        };
        match self {
            Command::Show(show, _) => write!(f, "SHOW {show:?}"),
            Command::Reload => f.write_str("RELOAD"),
            Command::Pause(cluster) => write!(f, "PAUSE{}", of(cluster)),
            Command::Resume(cluster) => write!(f, "RESUME{}", of(cluster)),
            Command::Reconnect(cluster) => write!(f, "RECONNECT{}", of(cluster)),
            Command::WaitClose(cluster) => write!(f, "WAIT_CLOSE{}", of(cluster)),
            Command::Admit(cluster, true) => write!(f, "ENABLE {cluster}"),
            Command::Admit(cluster, false) => write!(f, "DISABLE {cluster}"),
            Command::Drain(cluster, node, true) => write!(f, "DRAIN {cluster}.{node}"),
            Command::Drain(cluster, node, false) => write!(f, "UNDRAIN {cluster}.{node}"),
            Command::Set(key, value) => write!(f, "SET {key} = {value}"),
            Command::Backup(cluster) => write!(f, "BACKUP {cluster}"),
            Command::TestBackup(cluster) => write!(f, "TEST BACKUP {cluster}"),
            Command::Kill(client) => write!(f, "KILL {client}"),
            Command::Reign(cluster, wanted, dry) => super::reign::write(f, cluster, wanted, *dry),
            Command::Shutdown => f.write_str("SHUTDOWN"),
            Command::Begin => f.write_str("BEGIN"),
            Command::End(tag) | Command::Ignored(tag) => f.write_str(tag),
        }
    }
}

impl Command {
    /// Something is not as it was after it.
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Command::Show(..) | Command::Ignored(_) | Command::Begin | Command::End(_))
    }
}

/// Session parameters that drivers set without being asked.
const HARMLESS: &[&str] = &[
    "APPLICATION_NAME",
    "BYTEA_OUTPUT",
    "CLIENT_ENCODING",
    "CLIENT_MIN_MESSAGES",
    "DATESTYLE",
    "EXTRA_FLOAT_DIGITS",
    "INTERVALSTYLE",
    "NAMES",
    "STANDARD_CONFORMING_STRINGS",
    "STATEMENT_TIMEOUT",
    "TIMEZONE",
];

/// The commands of a text, in order; statements without a word are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, Failure> {
    let statements = split(text)?;
    statements.iter().filter(|words| !words.is_empty()).map(|words| command(words)).collect()
}

/// A word as written; what stood in quotes is not a keyword.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    quoted: bool,
}

impl Word {
    pub(super) fn keyword(&self) -> String {
        if self.quoted { format!("{:?}", self.text) } else { self.text.to_ascii_uppercase() }
    }
}

fn command(words: &[Word]) -> Result<Command, Failure> {
    let keywords: Vec<String> = words.iter().map(Word::keyword).collect();
    let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
    match keywords[..] {
        ["SHOW", name, ..] => show(name, &words[2..]).unwrap_or_else(|| Err(unknown(&keywords))),
        ["HELP"] => show("HELP", &[]).unwrap_or_else(|| Err(unknown(&keywords))),
        ["RELOAD"] => Ok(Command::Reload),
        ["PAUSE"] => Ok(Command::Pause(None)),
        ["PAUSE", _] => Ok(Command::Pause(Some(words[1].text.clone()))),
        ["RESUME"] => Ok(Command::Resume(None)),
        ["RESUME", _] => Ok(Command::Resume(Some(words[1].text.clone()))),
        ["RECONNECT"] => Ok(Command::Reconnect(None)),
        ["RECONNECT", _] => Ok(Command::Reconnect(Some(words[1].text.clone()))),
        ["WAIT_CLOSE"] => Ok(Command::WaitClose(None)),
        ["WAIT_CLOSE", _] => Ok(Command::WaitClose(Some(words[1].text.clone()))),
        ["DISABLE", _] => Ok(Command::Admit(words[1].text.clone(), false)),
        ["ENABLE", _] => Ok(Command::Admit(words[1].text.clone(), true)),
        ["DRAIN", _] => node(&words[1]).map(|(cluster, node)| Command::Drain(cluster, node, true)),
        ["UNDRAIN", _] => {
            node(&words[1]).map(|(cluster, node)| Command::Drain(cluster, node, false))
        }
        ["KILL", _] => words[1].text.parse().map(Command::Kill).map_err(|_| {
            let text = format!("{:?} is not the id of a client", words[1].text);
            Failure::error(SYNTAX, text).hint("Usage: KILL <id>, with an id of SHOW CLIENTS.")
        }),
        ["SWITCHOVER" | "FAILOVER" | "REJOIN" | "FENCE" | "UNFENCE" | "UNLATCH", _, ..] => {
            super::reign::parse(words, &keywords)
        }
        ["BACKUP", _] => Ok(Command::Backup(words[1].text.clone())),
        ["TEST", "BACKUP", _] => Ok(Command::TestBackup(words[2].text.clone())),
        ["SHUTDOWN"] => Ok(Command::Shutdown),
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Ok(Command::Begin),
        ["COMMIT", ..] | ["END", ..] => Ok(Command::End("COMMIT")),
        ["ROLLBACK"] | ["ABORT"] => Ok(Command::End("ROLLBACK")),
        ["SET", "SESSION", name, ..] | ["SET", name, ..] if HARMLESS.contains(&name) => {
            Ok(Command::Ignored("SET"))
        }
        ["DEALLOCATE", ..] => Ok(Command::Ignored("DEALLOCATE")),
        ["RESET", ..] => Ok(Command::Ignored("RESET")),
        ["DISCARD", "ALL"] => Ok(Command::Ignored("DISCARD ALL")),
        ["SET", _, "=" | "TO", _] => Ok(Command::Set(words[1].text.clone(), words[3].text.clone())),
        [first, ..] => match ACTIONS.iter().find(|action| action.name == first) {
            Some(action) => Err(usage(action)),
            None => Err(unknown(&keywords)),
        },
        [] => Err(unknown(&keywords)),
    }
}

/// `orders.b`: a node of a cluster.
fn node(word: &Word) -> Result<(String, String), Failure> {
    match word.text.rsplit_once('.') {
        Some((cluster, node)) => Ok((cluster.to_owned(), node.to_owned())),
        None => Err(Failure::error(SYNTAX, format!("{:?} names no node", word.text))
            .hint("Say <cluster>.<node>, as SHOW NODES has them.")),
    }
}

/// `None`: there is no such list.
fn show(name: &str, rest: &[Word]) -> Option<Result<Command, Failure>> {
    let show = SHOWS.iter().find(|show| show.name == name)?;
    Some(select::parse(rest, show.columns).map(|select| Command::Show(show, select)))
}

pub(super) fn usage(action: &Action) -> Failure {
    let text = format!("{} is used differently", action.name);
    Failure::error(SYNTAX, text).hint(format!("Usage: {}", action.usage))
}

fn unknown(keywords: &[&str]) -> Failure {
    const SHOWN: usize = 60;
    let said: String = keywords.join(" ").chars().take(SHOWN).collect();
    let names: Vec<String> = all().collect();
    let near = |name: &&String| strsim::damerau_levenshtein(&said, name) <= 3;
    let nearest =
        names.iter().filter(near).min_by_key(|name| strsim::damerau_levenshtein(&said, name));
    let hint = match nearest {
        Some(name) => format!("Did you mean {name}? SHOW HELP lists all commands."),
        None => format!("Commands: {}.", names.join(", ")),
    };
    Failure::error(SYNTAX, format!("unknown command: {said}")).hint(hint)
}

fn all() -> impl Iterator<Item = String> {
    let shows = SHOWS.iter().map(|show| format!("SHOW {}", show.name));
    shows.chain(ACTIONS.iter().map(|action| action.name.to_string()))
}

/// Statements as words: comments and white space are gone, quotes are taken off.
fn split(text: &str) -> Result<Vec<Vec<Word>>, Failure> {
    let mut statements = vec![Vec::new()];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = rest.strip_prefix("/*") {
            after_comment(comment)?
        } else if first == ';' {
            statements.push(Vec::new());
            &rest[1..]
        } else {
            let (word, after) = word(rest, first)?;
            if let Some(statement) = statements.last_mut() {
                statement.push(word);
            }
            after
        }
        .trim_start();
    }
    Ok(statements)
}

/// The words of one statement.
#[cfg(test)]
pub(super) fn words(text: &str) -> Result<Vec<Word>, Failure> {
    Ok(split(text)?.remove(0))
}

/// Comments nest, as in PostgreSQL.
fn after_comment(inside: &str) -> Result<&str, Failure> {
    let (mut depth, mut rest) = (1, inside);
    while depth > 0 {
        let at = rest.find(['/', '*']).ok_or_else(|| unterminated("comment"))?;
        rest = &rest[at..];
        let step = match rest.get(..2) {
            Some("*/") => {
                depth -= 1;
                2
            }
            Some("/*") => {
                depth += 1;
                2
            }
            _ => 1,
        };
        rest = &rest[step..];
    }
    Ok(rest)
}

fn word(rest: &str, first: char) -> Result<(Word, &str), Failure> {
    if first == '\'' || first == '"' {
        let inside = &rest[1..];
        let end = inside.find(first).ok_or_else(|| unterminated("quoted text"))?;
        return Ok((Word { text: inside[..end].to_string(), quoted: true }, &inside[end + 1..]));
    }
    if first == ',' {
        return Ok((Word { text: ",".to_owned(), quoted: false }, &rest[1..]));
    }
    const OPERATORS: &str = "=<>!";
    if OPERATORS.contains(first) {
        let end = rest.find(|c| !OPERATORS.contains(c)).unwrap_or(rest.len());
        return Ok((Word { text: rest[..end].to_string(), quoted: false }, &rest[end..]));
    }
    let stop = |c: char| c.is_whitespace() || ";'\",".contains(c) || OPERATORS.contains(c);
    let mut end = rest.find(stop).unwrap_or(rest.len());
    for comment in ["--", "/*"] {
        end = rest[..end].find(comment).unwrap_or(end);
    }
    Ok((Word { text: rest[..end].to_string(), quoted: false }, &rest[end..]))
}

fn unterminated(what: &str) -> Failure {
    Failure::error(SYNTAX, format!("the {what} does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(commands) => format!("{commands:?}"),
            Err(failure) => panic!("{text}: {failure:?}"),
        }
    }

    #[test]
    fn case_comments_semicolons_and_spaces_do_not_matter() {
        let plain = shown("SHOW NODES");
        for text in [
            "show nodes;",
            " Show\n\tNodes ; ;",
            "-- first\nSHOW nodes -- last",
            "/* a /* b */ c */ show/**/nodes;--",
        ] {
            assert_eq!(shown(text), plain, "{text}");
        }
        assert_eq!(shown("-- nothing\n/* at all */;"), "[]");
        assert_eq!(shown("PAUSE; RESUME \"Orders\""), "[Pause(None), Resume(Some(\"Orders\"))]");
    }

    #[test]
    fn an_unknown_command_names_the_nearest_one() {
        let (code, message, hint) =
            ("42601", "unknown command: SHOW NODE", "Did you mean SHOW NODES?");
        let failure = parse("show node").expect_err("no such command");
        assert_eq!((failure.parts().0, failure.parts().1), (code, message));
        assert!(failure.parts().2.starts_with(hint), "{failure:?}");
    }

    #[test]
    fn a_command_like_no_other_is_answered_with_all_of_them() {
        let failure = parse("SELECT * FROM pg_class").expect_err("no such command");
        let hint = failure.parts().2;
        for name in ["SHOW CLIENTS", "SHOW HELP", "RELOAD", "PAUSE", "KILL", "SHUTDOWN"] {
            assert!(hint.contains(name), "{hint}");
        }
    }

    #[test]
    fn a_node_is_named_with_its_cluster() {
        assert_eq!(shown("DRAIN orders.b"), "[Drain(\"orders\", \"b\", true)]");
        assert_eq!(parse("UNDRAIN b").expect_err("wrong").parts().1, "\"b\" names no node");
    }

    #[test]
    fn wrong_arguments_are_answered_with_the_usage() {
        let usage = |text| parse(text).expect_err("wrong").parts().2.to_string();
        assert_eq!(usage("KILL"), "Usage: KILL <client id>");
        assert_eq!(usage("kill me"), "Usage: KILL <id>, with an id of SHOW CLIENTS.");
        assert_eq!(usage("PAUSE a b"), "Usage: PAUSE [cluster]");
    }

    #[test]
    fn drivers_may_set_what_means_nothing_here_and_nothing_else() {
        assert_eq!(
            shown("SET extra_float_digits = 3; BEGIN; COMMIT"),
            "[Ignored(\"SET\"), Begin, End(\"COMMIT\")]"
        );
        assert_eq!(shown("DEALLOCATE ALL"), "[Ignored(\"DEALLOCATE\")]");
        assert_eq!(
            shown("SET clusters.orders.pool.size = 4"),
            "[Set(\"clusters.orders.pool.size\", \"4\")]"
        );
        assert!(parse("SET pool_size").is_err());
        assert!(parse("SHOW 'NODES").is_err());
        assert!(parse("/* SHOW NODES").is_err());
    }
}
