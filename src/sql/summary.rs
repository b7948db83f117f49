//! What a statement does and to which relations, in a few words: `INSERT orders SELECT carts`.
//!
//! Made of a shape, in either dialect, so that no literal is in it and few differ. It names spans, as
//! OpenTelemetry's conventions for databases have it; nothing is decided by it.

/// More is cut off between words; in bytes.
const LONGEST: usize = 255;

/// What is created, altered or dropped.
const THINGS: [&str; 19] = [
    "TABLE",
    "INDEX",
    "VIEW",
    "FUNCTION",
    "PROCEDURE",
    "DATABASE",
    "SCHEMA",
    "SEQUENCE",
    "TYPE",
    "ROLE",
    "USER",
    "TRIGGER",
    "EXTENSION",
    "POLICY",
    "PUBLICATION",
    "SUBSCRIPTION",
    "DOMAIN",
    "EVENT",
    "RULE",
];
/// Words between such a word, or a FROM or INTO, and a name.
const BETWEEN: [&str; 8] =
    ["IF", "NOT", "EXISTS", "ONLY", "TABLE", "LATERAL", "IGNORE", "CONCURRENTLY"];

/// A statement, or several, in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What it does; `None`: there are several statements.
    pub operation: Option<String>,
    /// The operations with their relations. Empty: nothing was understood.
    pub text: String,
}

/// The summary of a shape as people read it, with `?` for literals.
pub fn summary(shape: &str) -> Summary {
    let mut reader = Reader::default();
    let mut rest = shape;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(length(first, rest));
        reader.take(first, token, after);
        rest = after;
    }
    let statements = reader.statements.iter().filter(|words| !words.is_empty());
    let mut operations = statements.clone().map(|words| words[0].clone());
    let operation = operations.next().filter(|_| operations.next().is_none());
    let mut text = String::new();
    for (number, words) in statements.enumerate() {
        for (at, word) in words.iter().enumerate() {
            let gap = if at > 0 {
                " "
            } else if number > 0 {
                "; "
            } else {
                ""
            };
            if text.len() + gap.len() + word.len() > LONGEST {
                return Summary { operation, text };
            }
            text.push_str(gap);
            text.push_str(word);
        }
    }
    Summary { operation, text }
}

/// Of the token that begins with `first`, in bytes.
fn length(first: char, rest: &str) -> usize {
    let closed = |quote: char| rest[1..].find(quote).map_or(rest.len(), |end| end + 2);
    match first {
        '"' | '`' => closed(first),
        c if in_name(c) => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    }
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Reads token by token; one list of words for each statement.
#[derive(Default)]
struct Reader {
    statements: Vec<Vec<String>>,
    /// A word has begun the statement.
    begun: bool,
    /// For each open parenthesis, and for none: something is read from relations there.
    queries: Vec<bool>,
    /// The word before, in capitals.
    before: String,
    /// CREATE, ALTER or DROP, until it is known of what.
    thing: Option<String>,
    /// A name comes next.
    expects: bool,
    /// The last word is a name that goes on behind a dot.
    dotted: bool,
    /// The rest of the statement says nothing more.
    over: bool,
}

impl Reader {
    fn take(&mut self, first: char, token: &str, after: &str) {
        match first {
            ';' => {
                *self =
                    Reader { statements: std::mem::take(&mut self.statements), ..Reader::default() }
            }
            '(' => {
                self.queries.push(false);
                (self.expects, self.dotted) = (false, false);
            }
            ')' => {
                self.queries.pop();
            }
            '.' if self.dotted => {}
            c if in_name(c) || matches!(c, '"' | '`') => self.word(token, after),
            c if c.is_whitespace() => {}
            _ => (self.expects, self.dotted) = (false, false),
        }
    }

    fn word(&mut self, token: &str, after: &str) {
        let upper = token.to_ascii_uppercase();
        if self.dotted {
            self.dotted = after.starts_with('.');
            return self.add_to_name(token);
        }
        if self.over {
            return;
        }
        match std::mem::replace(&mut self.before, upper.clone()) {
            _ if !self.begun => self.begin(upper),
            _ if self.thing.is_some() => self.thing(&upper),
            _ if self.expects && BETWEEN.contains(&&*upper) => {}
            before if is_operation(&upper, &before) => self.operation(upper),
            _ if self.expects => {
                self.expects = false;
                self.dotted = after.starts_with('.');
                self.push(token.to_owned());
            }
            before => self.expects = leads_to_name(&upper, &before) && self.reads(),
        }
    }

    /// The first word of a statement.
    fn begin(&mut self, upper: String) {
        self.begun = true;
        self.statements.push(Vec::new());
        match &*upper {
            "WITH" => {}
            "CREATE" | "ALTER" | "DROP" => self.thing = Some(upper),
            "TRUNCATE" | "CALL" | "TABLE" | "LOCK" | "ANALYZE" | "REPLACE" | "REFRESH" => {
                self.expects = !matches!(&*upper, "REPLACE" | "REFRESH");
                self.operation_with(upper);
            }
            "EXPLAIN" => self.push(upper),
            _ if is_operation(&upper, "") => self.operation(upper),
            _ => {
                self.push(upper);
                self.over = true;
            }
        }
    }

    /// A word behind CREATE.
    fn thing(&mut self, upper: &str) {
        if let Some(verb) = self.thing.take_if(|_| THINGS.contains(&upper)) {
            self.push(format!("{verb} {upper}"));
            self.expects = true;
        }
    }

    fn operation(&mut self, upper: String) {
        self.expects = upper == "UPDATE";
        self.operation_with(upper);
    }

    fn operation_with(&mut self, upper: String) {
        match self.queries.last_mut() {
            Some(inner) => *inner = true,
            None => self.queries.push(true),
        }
        self.push(upper);
    }

    /// FROM means a relation here, unlike in `extract(year FROM x)`.
    fn reads(&self) -> bool {
        self.queries.last().copied().unwrap_or(false)
    }

    fn push(&mut self, word: String) {
        if let Some(words) = self.statements.last_mut() {
            words.push(word);
        }
    }

    fn add_to_name(&mut self, part: &str) {
        let last = self.statements.last_mut().and_then(|words| words.last_mut());
        if let Some(name) = last {
            name.push('.');
            name.push_str(part);
        }
    }
}

/// It begins a query within a statement, too.
fn is_operation(upper: &str, before: &str) -> bool {
    match upper {
        "SELECT" | "MERGE" => true,
        "INSERT" | "DELETE" | "UPDATE" => {
            !matches!(before, "FOR" | "DO" | "KEY" | "ON" | "THEN" | "OR")
        }
        _ => false,
    }
}

fn leads_to_name(upper: &str, before: &str) -> bool {
    match upper {
        "FROM" => before != "DISTINCT",
        "JOIN" | "INTO" | "STRAIGHT_JOIN" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_and_their_relations_are_told() {
        let pairs = [
            ("SELECT ?", "SELECT"),
            ("select * from songs where id = $1", "SELECT songs"),
            (
                "SELECT a FROM shop.orders o JOIN \"Order Lines\" l ON l.o = o.id",
                "SELECT shop.orders \"Order Lines\"",
            ),
            ("SELECT extract(year FROM made) FROM cars", "SELECT cars"),
            ("SELECT a IS DISTINCT FROM b FROM t FOR UPDATE", "SELECT t"),
            ("SELECT * FROM (SELECT x FROM inner_one) q", "SELECT SELECT inner_one"),
            ("INSERT INTO a (b, c) SELECT b, c FROM d", "INSERT a SELECT d"),
            ("INSERT INTO a VALUES (?) ON CONFLICT (b) DO UPDATE SET b = ?", "INSERT a"),
            ("INSERT INTO `a` VALUES (?) ON DUPLICATE KEY UPDATE b = ?", "INSERT `a`"),
            ("UPDATE ONLY accounts SET balance = balance + ? WHERE id = ?", "UPDATE accounts"),
            ("DELETE FROM a USING b WHERE a.x = b.x", "DELETE a"),
            ("WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "DELETE a SELECT x"),
            ("CREATE TABLE IF NOT EXISTS a.b (c int)", "CREATE TABLE a.b"),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (c)", "CREATE INDEX i"),
            ("BEGIN", "BEGIN"),
            ("SET search_path = a, b", "SET"),
            ("TRUNCATE TABLE a", "TRUNCATE a"),
            ("SELECT ?; SELECT x FROM y;", "SELECT; SELECT y"),
            ("", ""),
        ];
        for (shape, says) in pairs {
            assert_eq!(summary(shape).text, says, "{shape}");
        }
    }

    #[test]
    fn one_statement_has_one_operation_and_several_have_none() {
        let operation = |shape| summary(shape).operation;
        assert_eq!(operation("select x from y;").as_deref(), Some("SELECT"));
        assert_eq!(operation("DROP TABLE x").as_deref(), Some("DROP TABLE"));
        assert_eq!(operation("SELECT ?; SELECT ?"), None);
        assert_eq!(operation(""), None);
    }

    #[test]
    fn a_long_one_ends_with_a_whole_word() {
        let shape = "SELECT * FROM relation_one; ".repeat(40);
        let text = summary(&shape).text;
        assert!(text.len() <= LONGEST && text.len() > LONGEST - 30, "{}", text.len());
        assert!(text.ends_with("SELECT") || text.ends_with("relation_one"), "{text}");
    }

    #[test]
    fn nothing_that_is_no_statement_harms_it() {
        for shape in
            ["(((", ")))", "\"open", "`", "?.?", "ä.ö FROM é", "SELECT FROM", ". ; .", "FROM FROM"]
        {
            summary(shape);
        }
    }
}
