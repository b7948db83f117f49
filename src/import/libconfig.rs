//! The grammar of libconfig, as ProxySQL's file has it.
//!
//! Source: <http://www.hyperrealm.com/libconfig/libconfig_manual.html#Configuration-File-Grammar>

/// A value with the line on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// From 1.
    pub(super) line: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Text(String),
    /// A number or a boolean, as it stands.
    Word(String),
    List(Vec<Value>),
    Group(Group),
}

/// Settings by name, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group(pub(super) Vec<(String, Value)>);

impl Value {
    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Text(text) | What::Word(text) => Some(text),
            What::List(_) | What::Group(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// `true` and any number but 0.
    pub(super) fn is_on(&self) -> bool {
        self.text().is_some_and(|text| text != "0" && !text.eq_ignore_ascii_case("false"))
    }

    /// The groups of a list.
    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, &Group)> {
        let list = match &self.what {
            What::List(list) => list.as_slice(),
            _ => &[],
        };
        list.iter().filter_map(|value| match &value.what {
            What::Group(group) => Some((value.line, group)),
            _ => None,
        })
    }
}

impl Group {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.number()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadSyntax {
    pub(super) line: usize,
    pub(super) says: &'static str,
}

/// Lists within lists, at most.
const DEPTH: usize = 16;

pub(super) fn read(text: &str) -> Result<Group, BadSyntax> {
    let mut reader = Reader { rest: text, line: 1, depth: 0 };
    let group = reader.settings()?;
    match reader.peek()? {
        None => Ok(group),
        Some(_) => Err(reader.bad("a setting was expected: name = value")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    fn bad(&self, says: &'static str) -> BadSyntax {
        BadSyntax { line: self.line, says }
    }

    fn take(&mut self, length: usize) -> &str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// The next character that is neither white space nor of a comment.
    fn peek(&mut self) -> Result<Option<char>, BadSyntax> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            let comment = if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                self.rest.find("*/").ok_or_else(|| self.bad("a comment does not end"))? + 2
            } else {
                return Ok(self.rest.chars().next());
            };
            self.take(comment);
        }
    }

    fn skip(&mut self, wanted: &[char]) -> Result<bool, BadSyntax> {
        let there = self.peek()?.is_some_and(|c| wanted.contains(&c));
        if there {
            self.take(1);
        }
        Ok(there)
    }

    fn settings(&mut self) -> Result<Group, BadSyntax> {
        let mut found = Group::default();
        while self.peek()?.is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '*') {
            let name = |c: char| c.is_ascii_alphanumeric() || "_-*".contains(c);
            let end = self.rest.find(|c| !name(c)).unwrap_or(self.rest.len());
            let name = self.take(end).to_owned();
            if !self.skip(&['=', ':'])? {
                return Err(self.bad("= or : was expected behind the name of a setting"));
            }
            found.0.push((name, self.value()?));
            self.skip(&[';', ','])?;
        }
        Ok(found)
    }

    fn value(&mut self) -> Result<Value, BadSyntax> {
        let first = self.peek()?;
        let line = self.line;
        let what = match first {
            Some('"') => What::Text(self.text()?),
            Some('{') => {
                self.nest()?;
                let group = self.settings()?;
                self.close('}', "a setting or } was expected")?;
                What::Group(group)
            }
            Some('(') => What::List(self.list(')')?),
            Some('[') => What::List(self.list(']')?),
            _ => {
                let end =
                    self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
                let word = self.take(end.unwrap_or(self.rest.len())).to_owned();
                if word.is_empty() {
                    return Err(self.bad("a value was expected"));
                }
                What::Word(word)
            }
        };
        Ok(Value { line, what })
    }

    fn nest(&mut self) -> Result<(), BadSyntax> {
        self.take(1);
        self.depth += 1;
        match self.depth > DEPTH {
            true => Err(self.bad("lists are nested too deeply")),
            false => Ok(()),
        }
    }

    fn close(&mut self, end: char, says: &'static str) -> Result<(), BadSyntax> {
        self.depth -= 1;
        match self.skip(&[end])? {
            true => Ok(()),
            false => Err(self.bad(says)),
        }
    }

    /// ProxySQL's own sample leaves a comma out here and there.
    fn list(&mut self, end: char) -> Result<Vec<Value>, BadSyntax> {
        self.nest()?;
        let mut found = Vec::new();
        while self.peek()?.is_some_and(|c| c != end) {
            found.push(self.value()?);
            self.skip(&[','])?;
        }
        self.close(end, "a list does not end")?;
        Ok(found)
    }

    /// Adjacent strings are one.
    fn text(&mut self) -> Result<String, BadSyntax> {
        let mut text = String::new();
        while self.peek()? == Some('"') {
            self.take(1);
            loop {
                let end = self.rest.find(['"', '\\']);
                let end = end.ok_or_else(|| self.bad("a text does not end"))?;
                let part = self.take(end).to_owned();
                text.push_str(&part);
                if self.take(1) == "\"" {
                    break;
                }
                let escaped = self.rest.chars().next();
                let escaped = escaped.ok_or_else(|| self.bad("a text does not end"))?;
                self.take(escaped.len_utf8());
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lists_comments_and_texts_are_read_with_their_lines() {
        let text =
            "# c\na=1\nb: \"x\" \"y\\\"z\"; /* c\n */ c = ( { d=true }\n{ d=2, e=[1,2] } )\n";
        let read = read(text).unwrap();
        assert_eq!(read.number("a"), Some(1));
        assert_eq!((read.text("b"), read.get("b").unwrap().line), (Some("xy\"z"), 3));
        let groups: Vec<_> = read.get("c").unwrap().groups().collect();
        assert_eq!(groups.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
        assert!(groups[0].1.get("d").unwrap().is_on());
        assert_eq!(groups[1].1.get("e").unwrap().line, 5);
    }

    #[test]
    fn what_does_not_end_is_an_error_with_its_line() {
        let says = |text: &str| read(text).unwrap_err();
        assert_eq!(says("a = (\n{ b = 1 }").line, 2);
        assert_eq!(says("a\n1").says, "= or : was expected behind the name of a setting");
        assert_eq!(says("a = \"x").says, "a text does not end");
        assert_eq!(says(&format!("a = {}", "(".repeat(40))).says, "lists are nested too deeply");
        assert_eq!(says("a = 1 ) ").says, "a setting was expected: name = value");
    }
}
