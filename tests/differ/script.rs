//! A conversation of several clients as a value, and as a text that people read and keep.
//!
//! One line for each message: the client's number and the message begin a step, a dot and a
//! message go on with it. The bytes of a step are sent at once, and its answer is awaited before
//! the next step. `-` is an empty name; `\n` a line end, `\\` a backslash, `\(70000 x)` seventy
//! thousand times x.

use crate::support::wire;
use std::fmt::{self, Display, Write};

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
    },
    /// `binary`: parameters and results; a number is an int4 then.
    Bind {
        portal: String,
        name: String,
        binary: bool,
        values: Vec<String>,
    },
    /// `S` or `P`, and a name.
    Describe(char, String),
    Execute {
        portal: String,
        rows: u32,
    },
    Close(char, String),
    Flush,
    Sync,
    CopyData(String),
    CopyDone,
    CopyFail(String),
    /// A function's OID and a text argument.
    Function(u32, String),
}

/// What one client sends at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub client: usize,
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    pub steps: Vec<Step>,
}

impl Script {
    /// How many clients take part.
    pub fn clients(&self) -> usize {
        self.steps.iter().map(|step| step.client + 1).max().unwrap_or(0)
    }

    /// Lines that are empty or begin with `#` say nothing.
    pub fn parse(text: &str) -> Script {
        let mut script = Script::default();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (who, message) = line.split_once(' ').unwrap_or((line, ""));
            let message = Message::parse(message).unwrap_or_else(|| panic!("no message: {line}"));
            match who.parse() {
                Ok(client) => script.steps.push(Step { client, messages: vec![message] }),
                Err(_) if who == "." => {
                    let step = script.steps.last_mut().expect("a step to go on with");
                    step.messages.push(message);
                }
                Err(_) => panic!("no client: {line}"),
            }
        }
        script
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let mut who = step.client.to_string();
            for message in &step.messages {
                writeln!(f, "{who} {message}")?;
                who = ".".to_owned();
            }
        }
        Ok(())
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &str| if name.is_empty() { "-".to_owned() } else { name.to_owned() };
        match self {
            Message::Query(sql) => write!(f, "query {}", escape(sql)),
            Message::Parse { name: n, sql } => write!(f, "parse {} {}", name(n), escape(sql)),
            Message::Bind { portal, name: n, binary, values } => {
                let format = if *binary { "binary" } else { "text" };
                let values: String = values.iter().map(|v| format!(" |{}", escape(v))).collect();
                write!(f, "bind {} {} {format}{values}", name(portal), name(n))
            }
            Message::Describe(kind, n) => write!(f, "describe {kind} {}", name(n)),
            Message::Execute { portal, rows } => write!(f, "execute {} {rows}", name(portal)),
            Message::Close(kind, n) => write!(f, "close {kind} {}", name(n)),
            Message::Flush => f.write_str("flush"),
            Message::Sync => f.write_str("sync"),
            Message::CopyData(data) => write!(f, "copy_data {}", escape(data)),
            Message::CopyDone => f.write_str("copy_done"),
            Message::CopyFail(why) => write!(f, "copy_fail {}", escape(why)),
            Message::Function(oid, argument) => write!(f, "function {oid} {}", escape(argument)),
        }
    }
}

impl Message {
    fn parse(text: &str) -> Option<Message> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let name = |name: &str| if name == "-" { String::new() } else { name.to_owned() };
        let two = || rest.split_once(' ').unwrap_or((rest, ""));
        Some(match word {
            "query" => Message::Query(unescape(rest)),
            "parse" => Message::Parse { name: name(two().0), sql: unescape(two().1) },
            "bind" => {
                let mut values = rest.split(" |");
                let mut words = values.next()?.split(' ');
                Message::Bind {
                    portal: name(words.next()?),
                    name: name(words.next()?),
                    binary: words.next()? == "binary",
                    values: values.map(unescape).collect(),
                }
            }
            "describe" => Message::Describe(two().0.chars().next()?, name(two().1)),
            "execute" => Message::Execute { portal: name(two().0), rows: two().1.parse().ok()? },
            "close" => Message::Close(two().0.chars().next()?, name(two().1)),
            "flush" => Message::Flush,
            "sync" => Message::Sync,
            "copy_data" => Message::CopyData(unescape(rest)),
            "copy_done" => Message::CopyDone,
            "copy_fail" => Message::CopyFail(unescape(rest)),
            "function" => Message::Function(two().0.parse().ok()?, unescape(two().1)),
            _ => return None,
        })
    }

    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Message::Query(sql) => wire::query(sql),
            Message::Parse { name, sql } => wire::parse(name, sql),
            Message::Bind { portal, name, binary: false, values } => {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                wire::bind(portal, name, &values)
            }
            Message::Bind { portal, name, binary: true, values } => {
                bind_binary(portal, name, values)
            }
            Message::Describe(kind, name) => wire::describe(*kind, name),
            Message::Execute { portal, rows } => wire::execute(portal, *rows),
            Message::Close(kind, name) => wire::close(*kind, name),
            Message::Flush => wire::flush(),
            Message::Sync => wire::sync(),
            Message::CopyData(data) => wire::copy_data(data),
            Message::CopyDone => wire::copy_done(),
            Message::CopyFail(why) => wire::copy_fail(why),
            Message::Function(oid, argument) => wire::function(*oid, argument),
        }
    }
}

fn bind_binary(portal: &str, name: &str, values: &[String]) -> Vec<u8> {
    let mut body = format!("{portal}\0{name}\0").into_bytes();
    body.extend_from_slice(&[0, 1, 0, 1]);
    body.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        let bytes = match value.parse::<i32>() {
            Ok(number) => number.to_be_bytes().to_vec(),
            Err(_) => value.clone().into_bytes(),
        };
        body.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        body.extend_from_slice(&bytes);
    }
    body.extend_from_slice(&[0, 1, 0, 1]);
    wire::frame(b'B', &body)
}

/// Runs of one character that are longer are written as their length.
const LONGEST_RUN: usize = 40;

fn escape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let run = rest.chars().take_while(|next| *next == c).count();
        let run = if run > LONGEST_RUN { run } else { 1 };
        let one = match c {
            '\n' => "\\n".to_owned(),
            '\\' => "\\\\".to_owned(),
            other => other.to_string(),
        };
        match run {
            1 => out.push_str(&one),
            _ => write!(out, "\\({run} {one})").expect("a String"),
        }
        rest = &rest[run * c.len_utf8()..];
    }
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let run = after.strip_prefix('(').and_then(|a| a.split_once(' '));
        match run.and_then(|(count, a)| Some((count.parse::<usize>().ok()?, a))) {
            Some((count, after)) => {
                let (what, after) = after.split_once(')').expect("the end of a run");
                out.push_str(&unescape(what).repeat(count));
                rest = after;
            }
            None => {
                out.push(if after.starts_with('n') { '\n' } else { '\\' });
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn a_script_is_the_same_after_it_was_written_and_read() {
    let script = crate::generate::script(7);
    assert!(script.steps.len() > 100);
    assert_eq!(Script::parse(&script.to_string()), script);
    for text in ["a\nb\\", "\\n", &"x".repeat(3000), "", &"\n".repeat(50), "ä|"] {
        assert_eq!(unescape(&escape(text)), text);
    }
}
