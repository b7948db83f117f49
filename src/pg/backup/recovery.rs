//! What a restored server does first: how far it recovers, and whose orders it forgets.

use crate::topology::{Lsn, Timeline};
use jiff::Timestamp;
use std::fmt::Write;

/// How far a restored server recovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the end of the archive of the log.
    Latest,
    /// To the end of the log that is in the backup itself.
    EndOfBackup,
    Time(Timestamp),
    Position(Lsn),
    Transaction(u32),
}

/// Settings that belong to the server that was backed up, and to nobody else: a copy that follows the
/// same primary by the same slot would take it away, and one that waits for standbys would hang.
const FORGOTTEN: &[&str] = &[
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_min_apply_delay",
    "recovery_end_command",
    "archive_cleanup_command",
    "synchronous_standby_names",
    "restore_command",
    "recovery_target",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
    "recovery_target_lsn",
    "recovery_target_inclusive",
    "recovery_target_timeline",
    "recovery_target_action",
];

/// Those that may stand in postgresql.conf as well, and are empty by default.
const EMPTIED: &[&str] = &[
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "archive_cleanup_command",
    "recovery_end_command",
    "recovery_target",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
    "recovery_target_lsn",
];

/// What recovery is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) target: Target,
    /// Stop before the target instead of behind it.
    pub(super) exclusive: bool,
    pub(super) timeline: Option<Timeline>,
    pub(super) restore_command: String,
}

/// `postgresql.auto.conf` of the restored server, made from the one in the backup.
pub(super) fn auto_conf(found: &str, orders: &Orders) -> String {
    let mut text: String =
        found.lines().filter(|line| !is_forgotten(line)).map(|line| format!("{line}\n")).collect();
    let mut set = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = '{}'", value.replace('\'', "''"));
    };
    for key in EMPTIED {
        set(key, "");
    }
    set("restore_command", &orders.restore_command);
    match orders.target {
        // "immediate" would fail on a log that ends exactly there.
        Target::Latest | Target::EndOfBackup => {}
        Target::Time(time) => {
            set("recovery_target_time", &time.strftime("%Y-%m-%d %H:%M:%S%.f+00").to_string());
        }
        Target::Position(lsn) => set("recovery_target_lsn", &lsn.to_string()),
        Target::Transaction(xid) => set("recovery_target_xid", &xid.to_string()),
    }
    set("recovery_target_inclusive", if orders.exclusive { "off" } else { "on" });
    set("recovery_target_action", "promote");
    match orders.timeline {
        Some(timeline) => set("recovery_target_timeline", &timeline.0.to_string()),
        None => set("recovery_target_timeline", "latest"),
    }
    text
}

fn is_forgotten(line: &str) -> bool {
    let key: String =
        line.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    FORGOTTEN.contains(&key.to_ascii_lowercase().as_str())
}

/// A command that PostgreSQL runs for each file of the log that it wants. `words` have no `%`, but
/// for the placeholders at their end.
pub(super) fn shell(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:+,@".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            // A percent sign of ours is not a placeholder.
            false => format!("'{}'", word.replace('\'', "'\\''").replace('%', "%%")),
        }
    });
    let words: Vec<String> = quoted.collect();
    format!("{} \"%f\" \"%p\"", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(target: Target) -> Orders {
        let restore_command = "get 'x' %f".into();
        Orders { target, exclusive: false, timeline: None, restore_command }
    }

    fn value(conf: &str, key: &str) -> Option<String> {
        // As PostgreSQL reads it: the last one counts.
        let lines = conf.lines().rev();
        lines
            .filter_map(|line| line.split_once(" = "))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.into())
    }

    #[test]
    fn the_orders_of_the_server_that_was_backed_up_are_forgotten() {
        let found = "port = '5433'\nprimary_conninfo = 'host=live password=x'\n\
                     Primary_Slot_Name='s'\nsynchronous_standby_names = 'ANY 1 (b)'\n\
                     recovery_target_time = '2020-01-01'\n";
        let conf = auto_conf(found, &orders(Target::Latest));
        assert!(!conf.contains("live") && !conf.contains("'s'") && !conf.contains("2020"));
        assert_eq!(value(&conf, "port").as_deref(), Some("'5433'"));
        for emptied in ["primary_conninfo", "primary_slot_name", "synchronous_standby_names"] {
            assert_eq!(value(&conf, emptied).as_deref(), Some("''"), "{emptied}");
        }
        assert_eq!(value(&conf, "restore_command").as_deref(), Some("'get ''x'' %f'"));
        assert_eq!(value(&conf, "recovery_target_timeline").as_deref(), Some("'latest'"));
    }

    #[test]
    fn one_target_is_set_and_no_other() {
        let at: Timestamp = "2026-11-21T10:00:00.25Z".parse().unwrap();
        for (target, key, expected) in [
            (Target::Time(at), "recovery_target_time", "'2026-11-21 10:00:00.25+00'"),
            (Target::Position(Lsn(0x1_0000_0028)), "recovery_target_lsn", "'1/28'"),
            (Target::Transaction(771), "recovery_target_xid", "'771'"),
        ] {
            let conf = auto_conf("", &Orders { exclusive: true, ..orders(target) });
            assert_eq!(value(&conf, key).as_deref(), Some(expected));
            assert_eq!(value(&conf, "recovery_target_inclusive").as_deref(), Some("'off'"));
            let others = EMPTIED.iter().filter(|other| other.starts_with("recovery_target"));
            for other in others.filter(|other| **other != key) {
                assert_eq!(value(&conf, other).as_deref(), Some("''"), "{other}");
            }
        }
    }

    #[test]
    fn a_command_survives_the_shell_and_the_placeholders() {
        let words = ["/usr/bin/tidegate", "my dir/100%.toml", "it's", ""].map(str::to_owned);
        let expected = "/usr/bin/tidegate 'my dir/100%%.toml' 'it'\\''s' '' \"%f\" \"%p\"";
        assert_eq!(shell(&words), expected);
    }
}
