//! Session parameters in a startup packet: by name, and as `options=-c name=value`.

use super::params::Params;
use crate::refusal::Refusal;

/// Notes one pair of the startup packet, unless it is not a session parameter.
pub(super) fn startup_parameter(
    params: &mut Params,
    name: &[u8],
    value: &[u8],
) -> Result<(), Refusal> {
    let not_text = |_| Refusal::Protocol("a startup parameter is not valid UTF-8".into());
    let name = std::str::from_utf8(name).map_err(not_text)?;
    let value = std::str::from_utf8(value).map_err(not_text)?;
    match name {
        "user" | "database" | "replication" => Ok(()),
        "options" => options(params, value),
        _ if name.starts_with("_pq_.") => Ok(()),
        _ => {
            params.set(&name.to_ascii_lowercase(), value.into());
            Ok(())
        }
    }
}

/// `-c name=value`, `-cname=value` and `--name=value`, blanks escaped by backslashes.
fn options(params: &mut Params, text: &str) -> Result<(), Refusal> {
    let words = words(text);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().map(String::as_str).unwrap_or_default(),
            Some(pair) => pair,
            None => word,
        };
        let (name, value) =
            pair.split_once('=').filter(|_| word.starts_with('-')).ok_or_else(|| {
                Refusal::Unsupported(format!("{word:?} in the startup options: use -c name=value"))
            })?;
        // PostgreSQL takes dashes in long options for underscores.
        params.set(&name.replace('-', "_").to_ascii_lowercase(), value.into());
    }
    Ok(())
}

/// Splits as PostgreSQL's `pg_split_opts` does.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Refusal> {
        let mut params = Params::default();
        startup_parameter(&mut params, b"options", text.as_bytes())?;
        Ok(params.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn options_are_read_as_the_server_reads_them() {
        let expected = vec![
            ("geqo".to_owned(), "off".to_owned()),
            ("search_path".to_owned(), "a b,c".to_owned()),
            ("statement_timeout".to_owned(), "5s".to_owned()),
        ];
        let text = "-c geqo=off -csearch_path=a\\ b,c  --statement-timeout=5s";
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn other_options_are_refused_by_name() {
        let refused = read("-x 1").expect_err("not understood");
        assert!(refused.to_string().contains("\"-x\""), "{refused}");
    }
}
