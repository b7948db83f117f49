//! The monitor's question to a MariaDB or MySQL server, over a connection of its own.

use super::connect::{ConnectError, Login, Node};
use super::link::{Link, LinkError};
use crate::monitor::{Line, Observation, Probe, ProbeError};
use crate::topology::{GtidList, GtidSet, Position, Timeline};
use std::sync::Arc;

/// The way to one server: where it is, and who asks.
#[derive(Clone)]
pub struct MyProbe {
    node: Arc<Node>,
    login: Login,
}

impl MyProbe {
    pub fn new(node: Arc<Node>, login: Login) -> MyProbe {
        MyProbe { node, login }
    }
}

impl Probe for MyProbe {
    type Line = MyLine;

    async fn connect(&self) -> Result<MyLine, ProbeError> {
        match self.login.connect(&self.node).await {
            Ok(link) => Ok(MyLine { link }),
            Err(ConnectError::Refused { message, .. }) => Err(ProbeError::Refused(message)),
            Err(error) => Err(ProbeError::Unreachable(error.to_string())),
        }
    }
}

/// An open connection.
pub struct MyLine {
    link: Link,
}

/// A server that is `read_only` takes no writes, whatever it follows.
const MARIADB: &str = "SELECT @@global.read_only, \
    IF(@@global.read_only, @@global.gtid_slave_pos, @@global.gtid_binlog_pos), @@global.version";

const MYSQL: &str = "SELECT @@global.read_only, @@global.gtid_executed, @@global.version";

impl Line for MyLine {
    async fn ask(&mut self) -> Result<Observation, ProbeError> {
        let question = if self.link.is_mariadb { MARIADB } else { MYSQL };
        let rows = self.link.query(question).await.map_err(|error| match error {
            LinkError::Fault(fault) => ProbeError::Refused(fault.message),
            error => ProbeError::Lost(error.to_string()),
        })?;
        let nonsense = || ProbeError::Nonsense("an answer without its columns".into());
        let text = |i: usize| {
            let value = rows.first().and_then(|row| row.get(i)?.as_deref());
            value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).ok_or_else(nonsense)
        };
        let (read_only, position) = (text(0)?, text(1)?);
        let bad = |e: &dyn std::fmt::Display| ProbeError::Nonsense(e.to_string());
        let position = match self.link.is_mariadb {
            true => position.parse::<GtidList>().map(|l| Position::MariaDb(Arc::new(l))),
            false => position.parse::<GtidSet>().map(|s| Position::MySql(Arc::new(s))),
        };
        Ok(Observation {
            in_recovery: read_only != "0",
            system: 0,
            timeline: Timeline(0),
            position: Some(position.map_err(|e| bad(&e))?),
            version: text(2)?.into(),
            claimed_lag_us: None,
        })
    }

    async fn lost(&mut self) {
        self.link.lost().await;
    }
}
