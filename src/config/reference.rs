//! The reference configuration, written from the declarations.
//!
//! `# text` is documentation, `#key = value` an option that has no default.

use super::agent::Agent;
use super::schema::{Key, Section, Shape};
use super::server::Settings;
use std::fmt::Write;

/// Every key with its documentation, default and allowed values, as a file that parses.
pub fn reference() -> String {
    let mut out = String::from(
        "# Every option of Tidegate, as `tidegate reference` prints it. A line that starts with #\n\
         # and no space is an option without a default; its value is an example.\n\
         # Durations: \"50ms\", \"1s\", \"10m\", \"1h\", \"1d\". Relative paths start at this file's folder.\n\
         # An option takes effect on reload unless it says that it needs a restart.\n",
    );
    table(&mut out, "", Settings::KEYS, false);
    out
}

/// The same for the file of an agent.
pub fn agent_reference() -> String {
    let mut out = String::from(
        "# Every option of `tidegate agent`, as `tidegate reference --agent` prints it. A line that\n\
         # starts with # and no space is an option without a default; its value is an example.\n\n",
    );
    lines(&mut out, Agent::ABOUT);
    table(&mut out, "", Agent::KEYS, false);
    out
}

/// Writes the values of a table, then the tables in it. `off`: the table has no default.
fn table(out: &mut String, path: &str, keys: &[Key], off: bool) {
    let is_value = |shape: &Shape| match shape {
        Shape::Value { .. } => true,
        Shape::Optional(inner) => matches!(**inner, Shape::Value { .. }),
        _ => false,
    };
    for key in keys.iter().filter(|key| is_value(&(key.shape)())) {
        value(out, key, off);
    }
    for key in keys.iter().filter(|key| !is_value(&(key.shape)())) {
        let path = if path.is_empty() { key.name.into() } else { format!("{path}.{}", key.name) };
        nested(out, &path, key, (key.shape)(), off);
    }
}

fn nested(out: &mut String, path: &str, key: &Key, shape: Shape, off: bool) {
    let is_repeated = matches!(shape, Shape::Map(..) | Shape::List(..));
    let (header, path, about, keys) = match shape {
        Shape::Table(about, keys) => (format!("[{path}]"), path.to_string(), about, keys),
        Shape::List(about, keys) => (format!("[[{path}]]"), path.to_string(), about, keys),
        Shape::Map(about, keys) => {
            let path = format!("{path}.{}", key.example.unwrap_or("NAME"));
            (format!("[{path}]"), path, about, keys)
        }
        Shape::Optional(inner) => return nested(out, path, key, *inner, true),
        Shape::Value { .. } => return,
    };
    let off = off || (is_repeated && !key.shown);
    out.push_str("\n\n");
    lines(out, about);
    let _ = writeln!(out, "{}{header}", if off { "#" } else { "" });
    table(out, &path, keys, off);
}

fn lines(out: &mut String, doc: &[&str]) {
    for line in doc {
        let _ = writeln!(out, "# {}", line.trim());
    }
}

fn value(out: &mut String, key: &Key, off: bool) {
    out.push('\n');
    lines(out, key.doc);
    let restart = if key.restart { "; needs a restart" } else { "" };
    if key.secret {
        let example = key.example.unwrap_or("/run/secrets/NAME");
        let hide = if off || !key.shown { "#" } else { "" };
        let _ = writeln!(
            out,
            "# A file that holds nothing else, or an environment variable; default: none{restart}."
        );
        let _ = writeln!(out, "{hide}{}_file = {example:?}", key.name);
        let _ = writeln!(out, "#{}_env = \"TIDEGATE_{}\"", key.name, key.name.to_uppercase());
        return;
    }
    let mut shape = (key.shape)();
    let mut default = "required";
    if let Shape::Optional(inner) = shape {
        (shape, default) = (*inner, "default: none");
    }
    let Shape::Value { allowed, quoted } = shape else { return };
    let shown = key.default.or(key.example).unwrap_or_default();
    let shown = if quoted { format!("{shown:?}") } else { shown.to_string() };
    let default = match key.default {
        Some(_) => format!("default: {shown}"),
        None => default.to_string(),
    };
    let _ = writeln!(out, "# Allowed: {}; {default}{restart}.", allowed(key));
    let hide = if off || default == "default: none" { "#" } else { "" };
    let _ = writeln!(out, "{hide}{} = {shown}", key.name);
}
