//! `primary_conninfo`, changed in the one respect that matters: whom to connect to.
//!
//! The rest (user, password, TLS) is the operator's and stays as it is. Whom a standby must not
//! follow any more it is sent to a socket that does not exist, in a folder that tells the term: so
//! its promise survives a restart, and no secret has to be kept anywhere else.

use crate::failover::Term;

/// The folder of a socket that nobody has.
const NOWHERE: &str = "/tidegate-follows-nobody/term-";

/// Why a connection string cannot be changed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadConninfo {
    #[error("primary_conninfo is a URI: write it as keyword = value pairs")]
    Uri,
    #[error("primary_conninfo is no list of keyword = value pairs")]
    Syntax,
}

/// The same, towards nobody, by a promise to this term.
pub(super) fn hold(conninfo: &str, term: Term) -> Result<String, BadConninfo> {
    let kept = without(conninfo, &["host", "hostaddr", "port"])?;
    Ok(render(&kept, &[("host", &format!("{NOWHERE}{term}"))]))
}

/// The same, towards a server, under this name.
pub fn aim(conninfo: &str, address: &str, name: &str) -> Result<String, BadConninfo> {
    let kept = without(conninfo, &["host", "hostaddr", "port", "application_name"])?;
    let (host, port) = address.rsplit_once(':').ok_or(BadConninfo::Syntax)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(render(&kept, &[("host", host), ("port", port), ("application_name", name)]))
}

/// The term that a standby which follows nobody has promised itself to.
pub(super) fn promised(conninfo: &str) -> Option<Term> {
    let pairs = parse(conninfo).ok()?;
    let (_, host) = pairs.iter().rev().find(|(key, _)| key == "host")?;
    host.strip_prefix(NOWHERE)?.parse().ok().map(Term)
}

type Pairs = Vec<(String, String)>;

fn without(conninfo: &str, keys: &[&str]) -> Result<Pairs, BadConninfo> {
    let mut pairs = parse(conninfo)?;
    pairs.retain(|(key, _)| !keys.contains(&key.as_str()));
    Ok(pairs)
}

fn render(kept: &Pairs, more: &[(&str, &str)]) -> String {
    let kept = kept.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let pair = |(key, value): (&str, &str)| {
        format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
    };
    kept.chain(more.iter().copied()).map(pair).collect::<Vec<_>>().join(" ")
}

/// The pairs of a connection string, by libpq's rules (`conninfo_parse` in fe-connect.c).
fn parse(conninfo: &str) -> Result<Pairs, BadConninfo> {
    if conninfo.starts_with("postgres://") || conninfo.starts_with("postgresql://") {
        return Err(BadConninfo::Uri);
    }
    let mut pairs = Vec::new();
    let mut rest = conninfo.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(BadConninfo::Syntax)?;
        let key = key.trim();
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '\'') {
            return Err(BadConninfo::Syntax);
        }
        let (value, after) = value(after.trim_start())?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn value(text: &str) -> Result<(String, &str), BadConninfo> {
    let quoted = text.starts_with('\'');
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(usize::from(quoted)) {
        match c {
            _ if escaped => {
                escaped = false;
                value.push(c);
            }
            '\\' => escaped = true,
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err(BadConninfo::Syntax) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = r"host = 10.0.0.1 port=5432 user=repl password='it''s' sslmode=require";

    #[test]
    fn a_standby_keeps_its_secrets_and_forgets_whom_it_followed() {
        let given = r"host=10.0.0.1 port=5432 user=repl password='it\'s a \\' sslmode=require";
        let held = hold(given, Term(7)).unwrap();
        assert_eq!(
            held,
            r"user='repl' password='it\'s a \\' sslmode='require' host='/tidegate-follows-nobody/term-7'"
        );
        assert_eq!((promised(&held), promised(given)), (Some(Term(7)), None));
        let aimed = aim(&held, "[::1]:5433", "b").unwrap();
        let end = r"sslmode='require' host='::1' port='5433' application_name='b'";
        assert_eq!(aimed, format!(r"user='repl' password='it\'s a \\' {end}"));
        assert_eq!(promised(&aimed), None);
    }

    #[test]
    fn what_is_no_list_of_pairs_is_left_alone() {
        assert_eq!(hold("postgres://h/db", Term(1)), Err(BadConninfo::Uri));
        assert_eq!(hold("host", Term(1)), Err(BadConninfo::Syntax));
        assert_eq!(hold("password='x", Term(1)), Err(BadConninfo::Syntax));
        // libpq ends a value at its quote and reads on.
        assert!(hold(GIVEN, Term(1)).is_err());
        assert_eq!(hold("", Term(1)).unwrap(), "host='/tidegate-follows-nobody/term-1'");
    }
}
