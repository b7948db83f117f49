//! COPY in both directions, and its ways to fail.

use super::Author;
use crate::script::Message;

pub fn out(author: &mut Author) -> String {
    let own = format!("COPY t{} TO STDOUT", author.client);
    let texts = [
        own.as_str(),
        "COPY (SELECT generate_series(1, 3)) TO STDOUT (FORMAT csv, HEADER)",
        "COPY (SELECT 12 / (3 - g) FROM generate_series(1, 5) g) TO STDOUT",
        "COPY (SELECT repeat('z', 9000) FROM generate_series(1, 4)) TO STDOUT",
        "COPY shared TO STDOUT (FORMAT binary)",
        "COPY nothing TO STDOUT",
    ];
    author.dice.pick(&texts).to_owned()
}

/// Data for a COPY, good, bad, or taken back.
fn data(author: &mut Author) -> Vec<Message> {
    let n = author.dice.below(40) + 200;
    let row = |n: usize| Message::CopyData(format!("{n}\tcopied\n"));
    match author.dice.below(6) {
        0 => vec![Message::CopyDone],
        1 => vec![row(n), Message::CopyFail("enough".into())],
        2 => vec![row(n), Message::CopyData("x\ty\n".into()), row(n), Message::CopyDone],
        3 => vec![row(n), row(n), Message::CopyDone],
        _ => vec![row(n), row(n + 100), Message::CopyDone],
    }
}

pub fn into(author: &mut Author) -> Vec<Vec<Message>> {
    let target = author.dice.pick(&["t", "t", "t", "x", "nothing"]);
    let sql = format!("COPY {target}{} FROM STDIN", author.client);
    let data = data(author);
    let extended = [
        Message::Parse { name: String::new(), sql: sql.clone() },
        Message::Bind {
            portal: String::new(),
            name: String::new(),
            binary: false,
            values: Vec::new(),
        },
        Message::Execute { portal: String::new(), rows: 0 },
    ];
    match author.dice.below(6) {
        0 => {
            let sql = format!("{sql}; {}", author.statement());
            vec![[vec![Message::Query(sql)], data].concat()]
        }
        1 => vec![vec![Message::Query(sql)], [data, vec![Message::Sync]].concat()],
        2 => vec![[extended.to_vec(), data, vec![Message::Sync]].concat()],
        3 => {
            let first = [extended.to_vec(), vec![Message::Flush]].concat();
            vec![first, [data, vec![Message::Sync]].concat()]
        }
        _ => vec![[vec![Message::Query(sql)], data].concat()],
    }
}
