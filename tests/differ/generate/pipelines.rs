//! The extended protocol: statements and portals with names, in any order, with Syncs and without.

use super::Author;
use crate::script::Message;

const NAMES: &[&str] = &["a", "b", "c", ""];
const PORTALS: &[&str] = &["", "p", "q"];

/// Texts of named statements; some clients' texts differ under the same name.
const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT 'of {}'",
    "SELECT $1::int + 1",
    "SELECT $1::text, $2::int",
    "SELECT * FROM t{} WHERE a < $1",
    "SELECT b FROM shared WHERE a = $1",
    "INSERT INTO t{} VALUES ($1, 'p') ON CONFLICT DO NOTHING RETURNING a",
    "UPDATE t{} SET b = $1 WHERE a = 2",
    "SELECT generate_series(1, 9)",
    "SELECT 10 / $1::int",
];

fn text(author: &mut Author) -> String {
    match author.dice.once_in(3) {
        true => author.statement(),
        false => author.dice.pick(TEXTS).replace("{}", &author.client.to_string()),
    }
}

fn bind(author: &mut Author, portal: &str, name: &str) -> Message {
    let count = author.dice.below(5).saturating_sub(2);
    let values = (0..count).map(|_| author.dice.pick(&["1", "2", "7", "0"]).to_owned()).collect();
    let binary = author.dice.once_in(3);
    Message::Bind { portal: portal.into(), name: name.into(), binary, values }
}

fn execute(portal: &str, rows: u32) -> Message {
    Message::Execute { portal: portal.into(), rows }
}

/// One message, or a few that belong together.
fn part(author: &mut Author) -> Vec<Message> {
    let name = author.dice.pick(NAMES);
    let portal = author.dice.pick(PORTALS);
    match author.dice.below(17) {
        0..3 => vec![Message::Parse { name: name.into(), sql: text(author) }],
        3..8 => vec![bind(author, portal, name), execute(portal, 0)],
        8 => vec![bind(author, portal, name), execute(portal, 2)],
        9 => vec![bind(author, portal, name), Message::Describe('P', portal.into())],
        // See `known/describe_of_a_statement_of_another_server.txt` for why a Sync follows.
        10 if !name.is_empty() => vec![Message::Describe('S', name.into()), Message::Sync],
        10 => vec![Message::Describe('S', name.into())],
        11 => vec![Message::Describe('P', portal.into())],
        12 => vec![Message::Close('S', name.into())],
        13 => vec![Message::Close('P', portal.into())],
        14 => vec![execute(portal, 1)],
        15 => {
            let parse = Message::Parse { name: String::new(), sql: author.statement() };
            vec![parse, bind(author, "", ""), execute("", 0)]
        }
        _ => vec![Message::Flush],
    }
}

/// A batch of anything, and sometimes more than one; now and then without its Sync.
pub fn random(author: &mut Author) -> Vec<Vec<Message>> {
    let mut messages = Vec::new();
    for _ in 0..=author.dice.below(5) {
        messages.extend(part(author));
        if author.dice.once_in(4) {
            messages.push(Message::Sync);
        }
    }
    let end = if author.dice.once_in(6) { Message::Flush } else { Message::Sync };
    messages.push(end);
    vec![messages]
}

/// As drivers do it: prepare and describe, then bind and execute, in two batches.
pub fn named(author: &mut Author) -> Vec<Vec<Message>> {
    let name = author.dice.pick(NAMES);
    let mut first = Vec::new();
    if author.dice.once_in(2) {
        first.push(Message::Close('S', name.into()));
    }
    first.push(Message::Parse { name: name.into(), sql: text(author) });
    first.push(Message::Describe('S', name.into()));
    first.push(Message::Sync);
    let again = author.dice.below(3);
    let mut steps = vec![first];
    for _ in 0..again {
        steps.push(vec![bind(author, "", name), execute("", 0), Message::Sync]);
    }
    steps
}

/// A portal that is read in pieces inside of a transaction.
pub fn portal(author: &mut Author) -> Vec<Vec<Message>> {
    let portal = author.dice.pick(PORTALS);
    let parse = Message::Parse { name: String::new(), sql: "SELECT generate_series(1, 6)".into() };
    let open = vec![parse, bind(author, portal, ""), execute(portal, 2), Message::Flush];
    let mut steps = vec![vec![Message::Query("BEGIN".into())], open];
    for _ in 0..author.dice.below(4) {
        let end = if author.dice.once_in(2) { Message::Flush } else { Message::Sync };
        steps.push(vec![execute(portal, 2), end]);
    }
    steps.push(vec![Message::Sync]);
    if author.dice.once_in(2) {
        steps.push(vec![Message::Query("COMMIT".into())]);
    }
    steps
}

/// 2077: current_setting(text), 1270: timeofday() with an argument too many.
pub fn function(author: &mut Author) -> Vec<Vec<Message>> {
    let argument = author.dice.pick(&["server_version_num", "no_such_parameter", "work_mem"]);
    vec![vec![Message::Function(if author.dice.once_in(9) { 1 } else { 2077 }, argument.into())]]
}
