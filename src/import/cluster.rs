//! What clusters need wherever they come from.

use super::{Engine, Work};
use std::fmt::Display;

/// A server, as another proxy's file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// `None`: it gets a letter.
    pub(super) name: Option<String>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) weight: Option<u64>,
    /// From 1.
    pub(super) line: usize,
}

/// Ours has no default for this many nodes.
const MAX_NODES: usize = 64;

impl Work<'_> {
    /// Writes the nodes of a cluster; the same server twice is one.
    pub(super) fn nodes(&mut self, cluster: &str, servers: &[Server]) {
        let mut seen: Vec<(&str, u16)> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for server in servers {
            if seen.contains(&(&server.host, server.port)) {
                continue;
            }
            if seen.len() == MAX_NODES {
                let why = format!("a cluster has at most {MAX_NODES} nodes.");
                self.note(server.line, &server.host, why, "Make another cluster of the rest.");
                continue;
            }
            seen.push((&server.host, server.port));
            let name = server.name.as_deref().map_or_else(|| letter(names.len()), plain);
            let name = free(&names, name);
            let address = match server.host.contains(':') {
                true => format!("[{}]:{}", server.host, server.port),
                false => format!("{}:{}", server.host, server.port),
            };
            let node = self.draft.element(&["clusters", cluster, "nodes"]);
            node.set("name", name.clone(), "").set("address", address, at(server.line));
            if let Some(weight) = server.weight.filter(|weight| *weight != 1) {
                node.set("weight", number(weight), "");
            }
            names.push(name);
        }
    }

    /// The user by which Tidegate itself logs in; where there was none, one is proposed.
    pub(super) fn monitor(&mut self, cluster: &str, engine: Engine, known: Option<Login<'_>>) {
        let path = ["clusters", cluster, "monitor"];
        if let Some(Login { user, password, why }) = known {
            let kept = password
                .map(|text| self.secrets.keep("password", &format!("monitor-{user}"), text));
            let table = self.draft.table(&path);
            table.set("user", user, why);
            if let Some((key, value)) = kept {
                table.set(&key, value, "");
            }
            return;
        }
        let table = self.draft.table(&path);
        table.say(
            "The user by which Tidegate itself looks at the servers. Create it on the primary:",
        );
        for line in grants(engine) {
            table.say(*line);
        }
        table.set("user", "tidegate", "new");
        table.propose(
            "password_file",
            "/run/secrets/monitor",
            "unless the servers trust this machine",
        );
    }

    /// A number within our limits; what is beyond is said.
    pub(super) fn within(
        &mut self,
        (line, setting): (usize, &str),
        value: u64,
        limits: (u64, u64),
    ) -> u64 {
        let fit = value.clamp(limits.0, limits.1);
        if fit != value {
            let why = format!("{value} is beyond what is allowed here: it became {fit}.");
            self.note(line, setting, why, "Look whether that will do.");
        }
        fit
    }
}

/// By what somebody logs in, and where that is from.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: Option<&'a str>,
    pub(super) why: &'a str,
}

/// Statements that make the monitor's user.
pub(super) fn grants(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Postgres => &["  CREATE ROLE tidegate LOGIN PASSWORD '…' IN ROLE pg_monitor;"],
        Engine::Mysql => &[
            "  CREATE USER tidegate IDENTIFIED BY '…';",
            "  GRANT REPLICATION CLIENT ON *.* TO tidegate;",
        ],
        Engine::Mariadb => &[
            "  CREATE USER tidegate IDENTIFIED BY '…';",
            "  GRANT BINLOG MONITOR, REPLICA MONITOR ON *.* TO tidegate;",
        ],
    }
}

/// `line 7`
pub(super) fn at(line: usize) -> String {
    format!("line {line}")
}

/// `server_lifetime, line 7`
pub(super) fn of(setting: impl Display, line: usize) -> String {
    format!("{setting}, line {line}")
}

/// TOML has signed numbers.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A duration with the largest unit that needs no fraction.
pub(super) fn duration(millis: u64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let exact = units.iter().find(|(_, scale)| millis != 0 && millis.is_multiple_of(*scale));
    let (unit, scale) = exact.unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / scale)
}

/// `a` to `z`, then `n27`.
pub fn letter(number: usize) -> String {
    match u8::try_from(number).ok().filter(|number| *number < 26) {
        Some(number) => char::from(b'a' + number).to_string(),
        None => format!("n{}", number + 1),
    }
}

/// A name that ours may have: letters, digits, - and _.
pub(super) fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(letter).take(60).collect();
    if name.is_empty() { "main".into() } else { name }
}

/// The name, with a number if it is taken.
pub(super) fn free(taken: &[String], name: String) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_durations_are_as_ours_may_be() {
        assert_eq!((letter(0), letter(25), letter(26)), ("a".into(), "z".into(), "n27".into()));
        assert_eq!(plain("db 1.example"), "db-1-example");
        assert_eq!(free(&["a".into(), "a-2".into()], "a".into()), "a-3");
        assert_eq!(
            [0, 1, 1500, 60_000, 7_200_000].map(duration),
            ["0ms", "1ms", "1500ms", "1m", "2h"]
        );
    }
}
