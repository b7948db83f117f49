//! SWITCHOVER, FAILOVER, REJOIN, FENCE, UNFENCE and UNLATCH.

use super::act::ACTIONS;
use super::command::{Command, Word, usage};
use super::failure::{Failure, SYNTAX};
use crate::failover::Wanted;
use std::fmt;

/// `keywords`: the same words, those without quotes in capitals.
pub(super) fn parse(words: &[Word], keywords: &[&str]) -> Result<Command, Failure> {
    let wrong = || match ACTIONS.iter().find(|action| action.name == keywords[0]) {
        Some(action) => usage(action),
        None => Failure::error(SYNTAX, "unknown command"),
    };
    let mut cluster = words[1].text.clone();
    let (mut to, mut force, mut dry) = (None, false, false);
    let mut at = 2;
    while at < words.len() {
        at += match keywords[at..] {
            ["TO", _, ..] if to.is_none() => {
                to = Some(words[at + 1].text.as_str().into());
                2
            }
            ["FORCE", ..] if !force => {
                force = true;
                1
            }
            ["DRY", "RUN", ..] if !dry => {
                dry = true;
                2
            }
            _ => return Err(wrong()),
        };
    }
    let wanted = match keywords[0] {
        "REJOIN" | "FENCE" | "UNFENCE" if to.is_none() && (!force || keywords[0] == "FENCE") => {
            let (of, node) = words[1].text.rsplit_once('.').ok_or_else(wrong)?;
            cluster = of.to_owned();
            let node = node.into();
            match keywords[0] {
                "REJOIN" => Wanted::Rejoin { node },
                "FENCE" => Wanted::Fence { node, forced: force },
                _ => Wanted::Unfence { node },
            }
        }
        "SWITCHOVER" if !force => Wanted::Switchover { to },
        "FAILOVER" => {
            Wanted::Failover { to, vouched: force.then(|| "an operator, by FORCE".into()) }
        }
        "UNLATCH" if words.len() == 2 => Wanted::Unlatch,
        _ => return Err(wrong()),
    };
    Ok(Command::Reign(cluster, wanted, dry))
}

/// As an operator would write it.
pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    cluster: &str,
    wanted: &Wanted,
    dry: bool,
) -> fmt::Result {
    let (node, to, force) = match wanted {
        Wanted::Switchover { to } => (None, to.as_ref(), false),
        Wanted::Failover { to, vouched } => (None, to.as_ref(), vouched.is_some()),
        Wanted::Fence { node, forced } => (Some(node), None, *forced),
        Wanted::Rejoin { node } | Wanted::Unfence { node } => (Some(node), None, false),
        Wanted::Unlatch => (None, None, false),
    };
    write!(f, "{} {cluster}", super::act::tag(wanted))?;
    node.map_or(Ok(()), |node| write!(f, ".{node}"))?;
    to.map_or(Ok(()), |to| write!(f, " TO {to}"))?;
    f.write_str(if force { " FORCE" } else { "" })?;
    f.write_str(if dry { " DRY RUN" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::super::command;

    fn read(text: &str) -> String {
        match command::parse(text) {
            Ok(commands) => format!("{commands:?}"),
            Err(failure) => failure.parts().2.to_owned(),
        }
    }

    #[test]
    fn who_is_to_reign_and_how_is_said_in_any_order() {
        let b = r#"Some("b")"#;
        let switch =
            |to: &str, dry| format!(r#"[Reign("orders", Switchover {{ to: {to} }}, {dry})]"#);
        assert_eq!(read("switchover orders"), switch("None", false));
        assert_eq!(read("SWITCHOVER orders TO b DRY RUN"), switch(b, true));
        assert_eq!(read("SWITCHOVER orders dry run to b"), switch(b, true));
        assert!(read("FAILOVER orders FORCE").contains("vouched: Some("));
        assert!(read("FAILOVER orders").contains("vouched: None"));
        assert_eq!(read("UNLATCH orders"), r#"[Reign("orders", Unlatch, false)]"#);
        let rejoin = |dry| format!(r#"[Reign("orders", Rejoin {{ node: "a" }}, {dry})]"#);
        assert_eq!(read("REJOIN orders.a"), rejoin(false));
        assert_eq!(read("REJOIN \"orders.a\" DRY RUN"), rejoin(true));
        let fence = |forced| {
            format!(r#"[Reign("orders", Fence {{ node: "b", forced: {forced} }}, false)]"#)
        };
        assert_eq!(read("fence orders.b"), fence(false));
        assert_eq!(read("FENCE orders.b FORCE"), fence(true));
        assert!(read("UNFENCE orders.b DRY RUN").contains(r#"Unfence { node: "b" }, true"#));
        for wrong in [
            "FENCE orders",
            "UNFENCE orders.b FORCE",
            "REJOIN orders",
            "REJOIN orders.a FORCE",
            "SWITCHOVER",
            "SWITCHOVER orders FORCE",
            "FAILOVER orders TO",
            "UNLATCH a b",
        ] {
            assert!(read(wrong).starts_with("Usage: "), "{wrong}: {}", read(wrong));
        }
    }
}
