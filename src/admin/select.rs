//! What follows the name of a SHOW: WHERE, ORDER BY, LIMIT.
//!
//! ```text
//! SHOW CLIENTS WHERE state = 'waiting' AND requests > 10 ORDER BY requests DESC, id LIMIT 5
//! ```

use super::command::Word;
use super::failure::{Failure, SYNTAX, UNDEFINED_COLUMN};
use super::table::{Cell, Column, Row};
use std::cmp::Ordering;

/// Which rows are shown, and in which order; by default all, as they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Select {
    /// All of them are true of a row.
    conditions: Vec<Condition>,
    /// The column's place, and whether the largest comes first.
    order: Vec<(usize, bool)>,
    limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    column: usize,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// The comparison with the value has one of these results.
    Compare(&'static [Ordering], Cell),
    /// `%` stands for any text, `_` for any character; not so, if the last is false.
    Like(String, bool),
    Null(bool),
}

const USAGE: &str = "Usage: SHOW <list> [WHERE <column> = <value> [AND …]] \
                     [ORDER BY <column> [DESC], …] [LIMIT <number>]; comparisons: \
                     = <> < <= > >= LIKE, NOT LIKE, IS NULL, IS NOT NULL.";

fn wrong(at: Option<&Word>) -> Failure {
    let text = match at {
        Some(word) => format!("{:?} was not expected here", word.text),
        None => "something is missing at the end".to_owned(),
    };
    Failure::error(SYNTAX, text).hint(USAGE)
}

/// The words behind the name of a list with these columns.
pub(super) fn parse(words: &[Word], columns: &[Column]) -> Result<Select, Failure> {
    let mut rest = Rest { words, columns };
    let mut select = Select::default();
    if rest.takes("WHERE") {
        select.conditions.push(rest.condition()?);
        while rest.takes("AND") {
            select.conditions.push(rest.condition()?);
        }
    }
    if rest.takes("ORDER") {
        rest.expects("BY")?;
        select.order.push(rest.order()?);
        while rest.takes(",") {
            select.order.push(rest.order()?);
        }
    }
    if rest.takes("LIMIT") {
        let word = rest.next()?;
        select.limit = Some(word.text.parse().map_err(|_| wrong(Some(word)))?);
    }
    match rest.words.first() {
        None => Ok(select),
        unexpected => Err(wrong(unexpected)),
    }
}

/// The words that are not read yet.
struct Rest<'a> {
    words: &'a [Word],
    columns: &'a [Column],
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Result<&'a Word, Failure> {
        let (first, rest) = self.words.split_first().ok_or_else(|| wrong(None))?;
        self.words = rest;
        Ok(first)
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let found = self.words.first().is_some_and(|word| word.keyword() == keyword);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn expects(&mut self, keyword: &str) -> Result<(), Failure> {
        if self.takes(keyword) { Ok(()) } else { Err(wrong(self.words.first())) }
    }

    fn column(&mut self) -> Result<usize, Failure> {
        let name = &self.next()?.text;
        let found = self.columns.iter().position(|c| c.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(Column::name).collect();
            Failure::error(UNDEFINED_COLUMN, format!("there is no column {name:?}"))
                .hint(format!("Columns: {}.", names.join(", ")))
        })
    }

    fn condition(&mut self) -> Result<Condition, Failure> {
        let column = self.column()?;
        let operator = self.next()?;
        let test = match operator.keyword().as_str() {
            "=" => self.compare(column, &[Ordering::Equal])?,
            "<>" | "!=" => self.compare(column, &[Ordering::Less, Ordering::Greater])?,
            "<" => self.compare(column, &[Ordering::Less])?,
            "<=" => self.compare(column, &[Ordering::Less, Ordering::Equal])?,
            ">" => self.compare(column, &[Ordering::Greater])?,
            ">=" => self.compare(column, &[Ordering::Greater, Ordering::Equal])?,
            "LIKE" => Test::Like(self.next()?.text.clone(), true),
            "NOT" => {
                self.expects("LIKE")?;
                Test::Like(self.next()?.text.clone(), false)
            }
            "IS" => {
                let null = !self.takes("NOT");
                self.expects("NULL")?;
                Test::Null(null)
            }
            _ => return Err(wrong(Some(operator))),
        };
        Ok(Condition { column, test })
    }

    /// The value is of the column's kind.
    fn compare(&mut self, column: usize, results: &'static [Ordering]) -> Result<Test, Failure> {
        let word = self.next()?;
        let value = match self.columns[column] {
            Column::Text(_) => Cell::Text(word.text.clone()),
            Column::Int(name) => Cell::Int(word.text.parse().map_err(|_| {
                Failure::error(SYNTAX, format!("{name} is a number, {:?} is none", word.text))
            })?),
        };
        Ok(Test::Compare(results, value))
    }

    fn order(&mut self) -> Result<(usize, bool), Failure> {
        let column = self.column()?;
        let down = self.takes("DESC");
        if !down {
            self.takes("ASC");
        }
        Ok((column, down))
    }
}

impl Select {
    /// The rows that are wanted, in their order.
    pub(super) fn apply(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| self.conditions.iter().all(|c| c.test.holds(&row[c.column])));
        rows.sort_by(|a, b| {
            let by = |(column, down): &(usize, bool)| {
                let order = ascending(&a[*column], &b[*column]);
                if *down { order.reverse() } else { order }
            };
            self.order.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        rows
    }
}

impl Test {
    /// As in SQL: of what is unknown nothing is true but that it is null.
    fn holds(&self, cell: &Cell) -> bool {
        match (self, cell) {
            (Test::Null(null), _) => *null == (*cell == Cell::Null),
            (_, Cell::Null) => false,
            (Test::Compare(results, value), _) => results.contains(&ascending(cell, value)),
            (Test::Like(pattern, wanted), Cell::Text(text)) => *wanted == like(text, pattern),
            (Test::Like(pattern, wanted), Cell::Int(n)) => *wanted == like(&n.to_string(), pattern),
        }
    }
}

/// Nulls come last.
fn ascending(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        _ => (*a == Cell::Null).cmp(&(*b == Cell::Null)),
    }
}

fn like(text: &str, pattern: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = characters.as_str();
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| like(&text[at..], rest))
        }
        Some(wanted) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|c| wanted == '_' || wanted == c)
                && like(rest.as_str(), characters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::words;
    use super::*;

    const COLUMNS: &[Column] =
        &[Column::Text("node"), Column::Int("requests"), Column::Text("pin")];

    fn rows() -> Vec<Row> {
        let row = |node: &str, requests: u64, pin: Option<&str>| {
            vec![node.into(), requests.into(), pin.into()]
        };
        vec![row("b", 10, None), row("a", 9, Some("listen")), row("c", 10, Some("temp_table"))]
    }

    /// The nodes of the rows that are left.
    fn chosen(text: &str) -> String {
        let words = words(text).expect("words");
        let select = parse(&words, COLUMNS).unwrap_or_else(|failure| panic!("{failure:?}"));
        let name = |row: Row| match &row[0] {
            Cell::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        select.apply(rows()).into_iter().map(name).collect()
    }

    #[test]
    fn rows_are_chosen_and_sorted_as_in_sql() {
        for (text, expected) in [
            ("", "bac"),
            ("WHERE node = 'a'", "a"),
            ("where NODE=a", "a"),
            ("WHERE requests>=10", "bc"),
            ("WHERE requests > 9 AND pin IS NOT NULL", "c"),
            ("WHERE pin <> 'listen'", "c"),
            ("WHERE pin is null", "b"),
            ("WHERE pin LIKE '%_ta%e'", "c"),
            ("WHERE pin NOT LIKE 'l%'", "c"),
            ("WHERE requests LIKE '1%'", "bc"),
            ("WHERE requests <> 10", "a"),
            ("ORDER BY node", "abc"),
            ("ORDER BY requests DESC, node DESC", "cba"),
            ("ORDER BY pin", "acb"),
            ("ORDER BY requests ASC LIMIT 1", "a"),
            ("LIMIT 0", ""),
        ] {
            assert_eq!(chosen(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_what_is_possible() {
        let told = |text: &str| {
            let failure = parse(&words(text).expect("words"), COLUMNS).expect_err(text);
            let (code, message, hint) = failure.parts();
            format!("{code} {message} {}", &hint[..hint.len().min(24)])
        };
        assert_eq!(
            told("WHERE nodes = 1"),
            "42703 there is no column \"nodes\" Columns: node, requests,"
        );
        assert_eq!(told("WHERE requests = many"), "42601 requests is a number, \"many\" is none ");
        let usage = "Usage: SHOW <list> [WHER";
        assert_eq!(told("LIMIT all"), format!("42601 \"all\" was not expected here {usage}"));
        assert_eq!(
            told("ORDER BY node WHERE"),
            format!("42601 \"WHERE\" was not expected here {usage}")
        );
        assert_eq!(told("WHERE node ="), format!("42601 something is missing at the end {usage}"));
        assert_eq!(told("WHERE node ~ 'x'"), format!("42601 \"~\" was not expected here {usage}"));
    }
}
