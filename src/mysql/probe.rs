//! The monitor's question to a MariaDB or MySQL server, over a connection of its own.

mod answer;

use super::connect::{ConnectError, Login, Node};
use super::link::{Link, LinkError};
use crate::monitor::{Line, Observation, Probe, ProbeError};
use std::sync::Arc;

/// The way to one server: where it is, and who asks.
#[derive(Clone)]
pub struct MyProbe {
    node: Arc<Node>,
    login: Login,
}

impl MyProbe {
    /// `login` needs REPLICA MONITOR (MariaDB) or REPLICATION CLIENT (MySQL).
    pub fn new(node: Arc<Node>, login: Login) -> MyProbe {
        MyProbe { node, login }
    }
}

impl Probe for MyProbe {
    type Line = MyLine;

    async fn connect(&self) -> Result<MyLine, ProbeError> {
        match self.login.connect(&self.node).await {
            Ok(link) => Ok(MyLine { questions: questions(&link), link }),
            Err(ConnectError::Refused { message, .. }) => Err(ProbeError::Refused(message)),
            Err(error) => Err(ProbeError::Unreachable(error.to_string())),
        }
    }
}

/// An open connection.
pub struct MyLine {
    link: Link,
    questions: [&'static str; 2],
}

/// The position comes first: what was committed before the question was sent is in it, whatever
/// the server becomes before it says whom it follows.
const MARIADB: &str = "SELECT @@global.server_id AS id, @@global.read_only AS read_only, \
    @@global.gtid_binlog_pos AS written, @@global.gtid_slave_pos AS replayed, \
    @@global.gtid_binlog_state AS state, @@global.log_bin AS logs, @@global.version AS version";

const MYSQL: &str = "SELECT @@global.server_uuid AS id, @@global.read_only AS read_only, \
    @@global.gtid_executed AS executed, @@global.gtid_mode AS gtid_mode, \
    @@global.version AS version";

/// 8.0.22 brought the new word, 8.4 took away the old one.
fn questions(link: &Link) -> [&'static str; 2] {
    match link.is_mariadb {
        true => [MARIADB, "SHOW ALL SLAVES STATUS"],
        false if numbers(&link.version) < [8, 0, 22] => [MYSQL, "SHOW SLAVE STATUS"],
        false => [MYSQL, "SHOW REPLICA STATUS"],
    }
}

fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse());
    [(); 3].map(|()| parts.next().and_then(Result::ok).unwrap_or(0))
}

impl Line for MyLine {
    async fn ask(&mut self) -> Result<Observation, ProbeError> {
        let tables = self.link.tables(&self.questions).await.map_err(|error| match error {
            LinkError::Fault(fault) => ProbeError::Refused(fault.message),
            error => ProbeError::Lost(error.to_string()),
        })?;
        match &tables[..] {
            [server, replication] if self.link.is_mariadb => answer::mariadb(server, replication),
            [server, replication] => answer::mysql(server, replication),
            _ => Err(ProbeError::Nonsense("an answer is missing".into())),
        }
    }

    async fn lost(&mut self) {
        self.link.lost().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_numbers() {
        assert_eq!(numbers("8.0.22-debug"), [8, 0, 22]);
        assert_eq!(numbers("9.7.0"), [9, 7, 0]);
        assert_eq!(numbers("8.4"), [8, 4, 0]);
    }
}
