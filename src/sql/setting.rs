//! SET, RESET, SHOW and `set_config`: what they leave behind in the session.

use std::sync::Arc;

use super::analysis::{Pin, SetValue, Step, Why};
use super::grammar::{ConstValue, Node, NodeList, nodes};
use super::part::Part;
use super::standby::{local_parameter, of_the_transaction};

use nodes::VariableSetKind as Kind;

/// The parameters marked `GUC_LIST_QUOTE` in PostgreSQL's `guc_tables.c`: their items are quoted
/// as identifiers when a list becomes one string.
const QUOTED_LISTS: [&str; 4] =
    ["local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces"];

/// Parameters that decide which values literals are, and how a text is read at all: a prepared
/// statement keeps what they were when it was prepared.
const READ_ONCE: [&str; 10] = [
    "array_nulls",
    "backslash_quote",
    "client_encoding",
    "datestyle",
    "intervalstyle",
    "lc_monetary",
    "standard_conforming_strings",
    "timezone",
    "transform_null_equals",
    "xmloption",
];

/// Whether a parameter decides what a text means once and for all when it is prepared.
pub fn is_read_once(name: &str) -> bool {
    READ_ONCE.contains(&name)
}

/// SET LOCAL: the server takes it back by itself.
fn set_local(name: &str) -> Step {
    if is_read_once(name) { Step::ReadsOtherwise } else { Step::Plain }
}

pub(super) fn set(stmt: &nodes::VariableSetStmt) -> Part {
    let name = stmt.name().unwrap_or_default().to_ascii_lowercase();
    if stmt.kind == Kind::VAR_SET_MULTI {
        return multiple(&name, stmt.args());
    }
    if of_the_transaction(&name) {
        return Part::primary(Why::Transaction).never_by_shape();
    }
    let step = match stmt.kind {
        _ if stmt.is_local => set_local(&name),
        Kind::VAR_SET_VALUE => match flatten(&name, stmt.args()) {
            Some(value) => assignment(name, value),
            None => Step::Pin(Pin::Setting),
        },
        Kind::VAR_SET_DEFAULT => Step::Set { name: name.into(), value: SetValue::Default },
        Kind::VAR_RESET => Step::Reset(name.into()),
        Kind::VAR_RESET_ALL => Step::ResetAll,
        // SET … FROM CURRENT changes nothing outside a function.
        _ => Step::Plain,
    };
    Part::primary(Why::Session).step(step).never_by_shape()
}

/// SET TRANSACTION …, SET SESSION CHARACTERISTICS AS TRANSACTION …
fn multiple(name: &str, modes: &NodeList) -> Part {
    if name != "session characteristics" {
        return Part::primary(Why::Transaction);
    }
    let mut modes = modes.iter().filter_map(|mode| match mode {
        Node::DefElem(mode) => Some(mode),
        _ => None,
    });
    let step = match (modes.next(), modes.next()) {
        (Some(only), None) => match mode_value(only) {
            Some(value) => {
                let name = format!("default_{}", only.defname().unwrap_or_default());
                assignment(name, value)
            }
            None => Step::Pin(Pin::Setting),
        },
        // One statement, one step: several at once cannot be told by it.
        _ => Step::Pin(Pin::Setting),
    };
    Part::primary(Why::Session).step(step)
}

/// The value of a transaction mode as SET would take it.
pub(super) fn mode_value(mode: &nodes::DefElem) -> Option<String> {
    match constant(mode.arg())? {
        ConstValue::Integer(flag) => Some(if flag == 0 { "off" } else { "on" }.to_owned()),
        ConstValue::String(text) => Some(text.to_owned()),
        _ => None,
    }
}

fn assignment(name: String, value: String) -> Step {
    // A search path that begins with pg_temp makes every CREATE TABLE a temporary one; the seed
    // of random() moves with each call and cannot be put back.
    let unmovable = name == "seed" || (name == "search_path" && value.contains("pg_temp"));
    if unmovable {
        return Step::Pin(Pin::Setting);
    }
    Step::Set { name: name.into(), value: SetValue::Text(Arc::from(value)) }
}

/// As `flatten_set_variable_args` of PostgreSQL's `guc_funcs.c`; `None` for SET TIME ZONE INTERVAL.
pub(super) fn flatten(name: &str, args: &NodeList) -> Option<String> {
    let mut flat = String::new();
    for arg in args {
        if !flat.is_empty() {
            flat.push_str(", ");
        }
        match constant(arg)? {
            ConstValue::String(text) if QUOTED_LISTS.contains(&name) => quote(text, &mut flat),
            ConstValue::String(text) | ConstValue::Float(text) => flat.push_str(text),
            ConstValue::Integer(number) => flat.push_str(&number.to_string()),
            _ => return None,
        }
    }
    Some(flat)
}

/// As `quote_identifier` of PostgreSQL's `ruleutils.c`.
fn quote(name: &str, out: &mut String) {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let keyword = || include_str!("keywords.txt").lines().any(|word| word == name);
    if first && name.bytes().all(plain) && !keyword() {
        out.push_str(name);
    } else {
        out.push('"');
        out.push_str(&name.replace('"', "\"\""));
        out.push('"');
    }
}

pub(super) fn constant(node: Node<'_>) -> Option<ConstValue<'_>> {
    match node {
        Node::A_Const(constant) => constant.val(),
        _ => None,
    }
}

/// SHOW: session parameters are the same on every server, since they are replayed there.
pub(super) fn show(stmt: &nodes::VariableShowStmt) -> Part {
    let name = stmt.name().unwrap_or_default().to_ascii_lowercase();
    if name.starts_with("tidegate.") {
        return Part::read().step(Step::ShowTidegate(name.into()));
    }
    if local_parameter(&name) { Part::primary(Why::Session) } else { Part::read() }
}

/// Whether a `current_setting(…)` answers the same on every server.
pub(super) fn same_everywhere(call: &nodes::FuncCall) -> bool {
    match call.args().first().and_then(constant) {
        Some(ConstValue::String(name)) => !local_parameter(name),
        _ => false,
    }
}

/// What one call of `set_config` leaves behind.
pub(super) enum Config {
    /// Nothing beyond its transaction, whatever the value is.
    Local(Step),
    /// This.
    Session(Step),
    /// It cannot be told from the text.
    Unknown,
}

pub(super) fn set_config(call: &nodes::FuncCall) -> Config {
    let args: Vec<Node<'_>> = call.args().iter().collect();
    let [name, value, local] = args[..] else { return Config::Unknown };
    let name = match constant(name) {
        Some(ConstValue::String(name)) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    match (constant(local), &name) {
        (Some(ConstValue::Boolean(true)), Some(name)) => {
            return Config::Local(set_local(name));
        }
        (Some(ConstValue::Boolean(true)), None) => return Config::Local(Step::Plain),
        (Some(ConstValue::Boolean(false)), _) => {}
        _ => return Config::Unknown,
    }
    let Some(name) = name else { return Config::Unknown };
    if of_the_transaction(&name) {
        return Config::Session(Step::Plain);
    }
    match value {
        Node::A_Const(value) if value.isnull => {
            Config::Session(Step::Set { name: name.into(), value: SetValue::Default })
        }
        _ => match constant(value) {
            Some(ConstValue::String(text)) => Config::Session(assignment(name, text.to_owned())),
            _ => Config::Unknown,
        },
    }
}
