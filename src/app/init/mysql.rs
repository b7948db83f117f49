//! What a MariaDB or MySQL server says of itself and its neighbours.

use super::{Follower, Server, nobody};
use crate::app::wire;
use crate::config::Config;
use crate::mysql::link::{Link, LinkError, Table};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Its own numbers.
const SELF: &str = "SELECT @@server_id, @@port, @@hostname, @@global.read_only";

/// Where the threads that send the log send it.
const DUMPS: &str =
    "SELECT HOST FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'";

/// `config` has this one node.
pub(super) async fn look(config: &Config, address: &str) -> Result<Server, String> {
    let cluster = config.settings.clusters.values().next().ok_or("no cluster")?;
    let nodes = wire::mysql::nodes("init", cluster, &Arc::default(), &mut nobody());
    let node = nodes.map_err(|e| e.to_string())?.pop().ok_or("no node")?;
    let login = wire::mysql::monitor_login(&cluster.monitor);
    let mut link = login.connect(&node).await.map_err(|e| e.to_string())?;
    ask(&mut link, address).await.map_err(|e| e.to_string())
}

async fn ask(link: &mut Link, address: &str) -> Result<Server, LinkError> {
    let own = one(link, SELF).await?;
    let text = |row: usize, column: usize| cell(&own, row, column);
    let (id, port, host) = (text(0, 0), text(0, 1), text(0, 2));
    let mut lacks = Vec::new();
    let (replica, followers) = match link.is_mariadb {
        true => ("SHOW ALL REPLICAS STATUS", "SHOW REPLICA HOSTS"),
        false => ("SHOW REPLICA STATUS", "SHOW REPLICAS"),
    };
    let leaders = maybe(link, replica, &mut lacks).await?;
    let followers = maybe(link, followers, &mut lacks).await?;
    let dumps = maybe(link, DUMPS, &mut lacks).await?;
    let (at, its) = match named(&leaders, 0, "Master_Host") {
        Some(host) => (Some(host), named(&leaders, 0, "Master_Port")),
        None => (named(&leaders, 0, "Source_Host"), named(&leaders, 0, "Source_Port")),
    };
    let leader = at.zip(its).map(|(at, its)| format!("{at}:{its}"));
    let here = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let mut hosts: BTreeSet<String> = (0..dumps.rows.len())
        .map(|row| cell(&dumps, row, 0))
        // host:port of the connection, or localhost.
        .map(|from| from.rsplit_once(':').map_or(from.clone(), |(host, _)| host.to_owned()))
        .filter(|host| !host.is_empty())
        .map(|host| if host == "localhost" { here.to_owned() } else { host })
        .collect();
    if hosts.is_empty() {
        hosts.insert(here.to_owned());
    }
    let followers = (0..followers.rows.len()).map(|row| {
        let said = named(&followers, row, "Host").filter(|host| !host.is_empty());
        let port = named(&followers, row, "Port").filter(|p| p != "0").unwrap_or("3306".into());
        let id = named(&followers, row, "Server_id").or(named(&followers, row, "Server_Id"));
        let from = said.into_iter().chain(hosts.iter().cloned());
        Follower {
            name: format!("server_id {}", id.unwrap_or_default()),
            candidates: from.map(|host| format!("{host}:{port}")).collect(),
        }
    });
    let followers = followers.collect();
    Ok(Server {
        address: address.to_owned(),
        // read_only alone says nothing: a primary follows nobody.
        primary: leader.is_none(),
        version: link.version.trim_start_matches("5.5.5-").to_owned(),
        identity: format!("{id} {host}:{port}"),
        // Servers have no name of their family; that one leads to the other is all there is.
        family: String::new(),
        leader,
        followers,
        may_look_up: false,
        lacks,
    })
}

async fn one(link: &mut Link, sql: &str) -> Result<Table, LinkError> {
    Ok(link.tables(&[sql]).await?.pop().unwrap_or_default())
}

/// What the user may not ask is named, and counts as nothing.
async fn maybe(link: &mut Link, sql: &str, lacks: &mut Vec<String>) -> Result<Table, LinkError> {
    match one(link, sql).await {
        Ok(table) => Ok(table),
        Err(LinkError::Fault(fault)) => {
            lacks.push(format!("{sql}: {}", fault.message));
            Ok(Table::default())
        }
        Err(error) => Err(error),
    }
}

fn cell(table: &Table, row: usize, column: usize) -> String {
    let bytes = table.rows.get(row).and_then(|row| row.get(column)?.as_deref());
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn named(table: &Table, row: usize, column: &str) -> Option<String> {
    let at = table.columns.iter().position(|name| name == column)?;
    (row < table.rows.len()).then(|| cell(table, row, at))
}
