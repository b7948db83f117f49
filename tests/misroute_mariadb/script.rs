//! The statements of a file in the language of `mysqltest`.

/// Words that start commands of `mysqltest` itself; the others are for the server.
const SERVER: [&str; 41] = [
    "alter",
    "analyze",
    "begin",
    "call",
    "check",
    "checksum",
    "commit",
    "create",
    "deallocate",
    "delete",
    "desc",
    "describe",
    "do",
    "drop",
    "execute",
    "explain",
    "flush",
    "get",
    "handler",
    "insert",
    "lock",
    "optimize",
    "prepare",
    "rename",
    "repair",
    "replace",
    "rollback",
    "savepoint",
    "select",
    "set",
    "show",
    "signal",
    "start",
    "table",
    "truncate",
    "unlock",
    "update",
    "use",
    "values",
    "with",
    "xa",
];

/// The statements for the server, in their order. What depends on variables of `mysqltest`, on
/// its loops and conditions is left out or taken once: it is only there to make tables.
pub fn statements(file: &[u8]) -> Vec<Vec<u8>> {
    let mut delimiter = b";".to_vec();
    let mut found = Vec::new();
    let mut command: Vec<u8> = Vec::new();
    for line in file.split(|byte| *byte == b'\n') {
        let trimmed = line.trim_ascii();
        if command.is_empty() {
            let own = trimmed.starts_with(b"--");
            if let Some(rest) = own.then(|| trimmed[2..].trim_ascii_start()) {
                if let Some(new) = rest.strip_prefix(b"delimiter ".as_slice()) {
                    delimiter = new.trim_ascii().to_vec();
                }
                continue;
            }
            if trimmed.is_empty() || matches!(trimmed[0], b'#' | b'{' | b'}') {
                continue;
            }
        }
        command.extend_from_slice(line);
        command.push(b'\n');
        while let Some(end) = find(&command, &delimiter) {
            let rest = command.split_off(end + delimiter.len());
            command.truncate(end);
            take(&command, &mut delimiter, &mut found);
            command = rest.trim_ascii().to_vec();
            if command.starts_with(b"#") {
                command.clear();
            }
        }
        // `if (…)` and `while (…)` have no delimiter.
        let word = first_word(&command);
        if matches!(word.as_str(), "if" | "while") && trimmed.ends_with(b")") {
            command.clear();
        }
    }
    found
}

fn take(command: &[u8], delimiter: &mut Vec<u8>, found: &mut Vec<Vec<u8>>) {
    let command = command.trim_ascii();
    let word = first_word(command);
    if word == "delimiter" {
        *delimiter = command[word.len()..].trim_ascii().to_vec();
    } else if SERVER.contains(&word.as_str()) || command.starts_with(b"(") {
        found.push(command.to_vec());
    }
}

fn first_word(command: &[u8]) -> String {
    let command = command.trim_ascii_start();
    let letters = command.iter().take_while(|byte| byte.is_ascii_alphabetic());
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Where the delimiter stands outside quotes.
fn find(command: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut at = 0;
    while at < command.len() {
        let byte = command[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if command[at..].starts_with(delimiter) => return Some(at),
            None if matches!(byte, b'\'' | b'"' | b'`') => quote = Some(byte),
            None => {}
        }
        at += 1;
    }
    None
}

#[test]
fn statements_are_cut_as_mysqltest_cuts_them() {
    let file = b"# a\n--error 1064\nselect ';',\n 1;\nlet $a= 1;\ndelimiter //;\ncreate \
                 procedure p() begin select 1; end//\ndelimiter ;//\nif ($a)\n{\n  drop table t;\n}\n";
    let found = statements(file);
    let found: Vec<_> = found.iter().map(|s| String::from_utf8_lossy(s)).collect();
    let expected = ["select ';',\n 1", "create procedure p() begin select 1; end", "drop table t"];
    assert_eq!(found, expected);
}
