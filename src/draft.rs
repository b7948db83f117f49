//! A configuration as it is written for a person to read: tables, keys, and beside each key where
//! its value comes from.

use std::fmt::{Display, Write};
use toml::Value;

/// A file under construction; tables stand in the order in which they were first named.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    head: Vec<String>,
    tables: Vec<Table>,
}

/// One table: what is said of it, and its keys.
#[derive(Clone, Debug)]
pub struct Table {
    /// With its brackets; empty for what stands above all tables.
    header: String,
    about: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    key: String,
    value: Value,
    why: String,
    /// A proposal only.
    commented: bool,
}

impl Draft {
    /// A comment at the top of the file.
    pub fn say(&mut self, line: impl Into<String>) {
        self.head.push(line.into());
    }

    /// The table of this path, `["clusters", "orders", "pool"]`; no path: the keys above all tables.
    pub fn table(&mut self, path: &[&str]) -> &mut Table {
        let header = match path.is_empty() {
            true => String::new(),
            false => format!("[{}]", joined(path)),
        };
        let known = self.tables.iter().position(|table| table.header == header);
        match known {
            Some(at) => &mut self.tables[at],
            None => self.open(header),
        }
    }

    /// One more table in the list of this path.
    pub fn element(&mut self, path: &[&str]) -> &mut Table {
        self.open(format!("[[{}]]", joined(path)))
    }

    fn open(&mut self, header: String) -> &mut Table {
        // What belongs to no table must stand before the first one.
        let at = if header.is_empty() { 0 } else { self.tables.len() };
        self.tables.insert(at, Table { header, about: Vec::new(), lines: Vec::new() });
        &mut self.tables[at]
    }

    /// The file.
    pub fn render(&self) -> String {
        let mut out = String::new();
        comments(&mut out, &self.head);
        for table in &self.tables {
            out.push('\n');
            comments(&mut out, &table.about);
            if !table.header.is_empty() {
                let _ = writeln!(out, "{}", table.header);
            }
            table.lines.iter().for_each(|line| line.put(&mut out));
        }
        out
    }
}

impl Table {
    /// A comment above the table.
    pub fn say(&mut self, line: impl Into<String>) -> &mut Table {
        self.about.push(line.into());
        self
    }

    /// A key, with where its value comes from; the last value counts.
    pub fn set(&mut self, key: &str, value: impl Into<Value>, why: impl Display) -> &mut Table {
        self.put(key, value.into(), why.to_string(), false)
    }

    /// A key that is left to the reader: commented out.
    pub fn propose(&mut self, key: &str, value: impl Into<Value>, why: &str) -> &mut Table {
        self.put(key, value.into(), why.to_owned(), true)
    }

    /// The text that a key has.
    pub fn text(&self, key: &str) -> Option<&str> {
        let given = self.lines.iter().find(|line| line.key == key && !line.commented);
        given?.value.as_str()
    }

    fn put(&mut self, key: &str, value: Value, why: String, commented: bool) -> &mut Table {
        self.lines.retain(|line| line.key != key);
        self.lines.push(Line { key: key.to_owned(), value, why, commented });
        self
    }
}

impl Line {
    fn put(&self, out: &mut String) {
        let off = if self.commented { "#" } else { "" };
        let text = format!("{off}{} = {}", bare(&self.key), self.value);
        let _ = match self.why.is_empty() {
            true => writeln!(out, "{text}"),
            false => writeln!(out, "{text:<36}  # {}", one_line(&self.why)),
        };
    }
}

fn comments(out: &mut String, lines: &[String]) {
    for line in lines {
        let _ = match line.is_empty() {
            true => writeln!(out, "#"),
            false => writeln!(out, "# {}", one_line(line)),
        };
    }
}

/// What came from another file must not leave its comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn joined(path: &[&str]) -> String {
    path.iter().map(|name| bare(name)).collect::<Vec<_>>().join(".")
}

/// A key as TOML writes it.
fn bare(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_reads_back_as_it_was_written() {
        let mut draft = Draft::default();
        draft.say("made by a test\n[evil]");
        draft.table(&["clusters", "a"]).set("engine", "postgres", "").set("engine", "mysql", "x");
        draft.element(&["clusters", "a", "nodes"]).set("name", "n\"1", "line 3");
        draft.table(&["clusters", "a", "auth", "users", "o'brien x"]).say("who").propose(
            "max_clients",
            5,
            "",
        );
        draft.table(&[]).set("state_dir", "/var/lib", "");
        let text = draft.render();
        let read: toml::Table = text.parse().expect("TOML");
        assert_eq!(read["state_dir"].as_str(), Some("/var/lib"));
        let cluster = &read["clusters"]["a"];
        assert_eq!(cluster["engine"].as_str(), Some("mysql"));
        assert_eq!(cluster["nodes"][0]["name"].as_str(), Some("n\"1"));
        assert!(cluster["auth"]["users"]["o'brien x"].as_table().is_some_and(|t| t.is_empty()));
        assert!(text.starts_with("# made by a test [evil]\n"), "{text}");
    }
}
