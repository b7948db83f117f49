//! The lines of a `pg_hba.conf`, as PostgreSQL and PgBouncer read them.
//!
//! Source: PostgreSQL's documentation, chapter 21.1, and PgBouncer's `config.md`, "HBA file format".

/// A name as it stands in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    /// In quotes a keyword is a name like others.
    pub(super) quoted: bool,
}

/// One record: its fields, each a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// From 1, where it begins.
    pub(super) line: usize,
    pub(super) fields: Vec<Vec<Name>>,
}

impl Record {
    /// The field's only name; empty: there is none.
    pub(super) fn word(&self, field: usize) -> &str {
        match self.fields.get(field).map(Vec::as_slice) {
            Some([name]) => &name.text,
            _ => "",
        }
    }
}

/// All records: no comments, no empty lines.
pub(super) fn records(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut whole = first.to_owned();
        // A backslash at the end: the next line belongs to it.
        while let Some(open) = whole.strip_suffix('\\') {
            whole = open.to_owned();
            whole.push_str(lines.next().map_or("", |(_, next)| next));
        }
        let fields = fields(&whole);
        if !fields.is_empty() {
            records.push(Record { line: number + 1, fields });
        }
    }
    records
}

/// The names of a file that is included with `@`: separated by white space or commas.
pub(super) fn names(text: &str) -> Vec<Name> {
    text.lines().flat_map(fields).flatten().collect()
}

fn fields(line: &str) -> Vec<Vec<Name>> {
    let mut fields: Vec<Vec<Name>> = Vec::new();
    let mut rest = line.trim_start();
    let mut goes_on = false;
    while let Some(first) = rest.chars().next().filter(|c| *c != '#') {
        if first == ',' {
            goes_on = true;
            rest = rest[1..].trim_start();
            continue;
        }
        let (name, after) = name(rest);
        match fields.last_mut().filter(|_| goes_on) {
            Some(field) => field.push(name),
            None => fields.push(vec![name]),
        }
        goes_on = after.starts_with(',');
        rest = after.trim_start();
        // White space before a comma belongs to the list, too.
        goes_on |= rest.starts_with(',');
    }
    fields
}

fn name(text: &str) -> (Name, &str) {
    if let Some(inside) = text.strip_prefix('"') {
        let end = inside.find('"').unwrap_or(inside.len());
        let after = inside[end..].strip_prefix('"').unwrap_or("");
        return (Name { text: inside[..end].to_owned(), quoted: true }, after);
    }
    let ends = |c: char| c.is_whitespace() || c == ',' || c == '#';
    let mut open = false;
    // An option's value may be in quotes: ldapserver="a b".
    let end = text.find(|c: char| {
        open ^= c == '"';
        !open && ends(c)
    });
    let (name, after) = text.split_at(end.unwrap_or(text.len()));
    (Name { text: name.to_owned(), quoted: false }, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<Vec<String>> {
        let text = |field: Vec<Name>| field.into_iter().map(|name| name.text).collect();
        fields(line).into_iter().map(text).collect()
    }

    #[test]
    fn fields_are_lists_of_names() {
        assert_eq!(texts("host all app,web 10.0.0.0/8 md5 # why")[2], ["app", "web"]);
        assert_eq!(
            texts("host a, b , c \"d e\" x"),
            [vec!["host"], vec!["a", "b", "c"], vec!["d e"], vec!["x"]]
        );
        assert_eq!(texts("  # nothing"), Vec::<Vec<String>>::new());
        assert_eq!(texts("ldap ldapserver=\"a b\" x").len(), 3);
        assert_eq!(texts("\"open"), [["open"]]);
    }

    #[test]
    fn a_record_goes_on_behind_a_backslash_and_keeps_its_first_line() {
        let read = records("\n# x\nhost all \\\nall ::1/128 trust\nlocal all all peer\n");
        assert_eq!((read[0].line, read[0].fields.len()), (3, 5));
        assert_eq!((read[1].line, read[1].word(3)), (5, "peer"));
        assert_eq!(names("a b,c\n\"all\"\n").len(), 4);
        assert!(names("\"all\"")[0].quoted);
    }
}
