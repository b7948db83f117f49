//! What a PostgreSQL server says of itself and its neighbours.

use super::{Follower, Server, nobody};
use crate::app::wire;
use crate::config::Config;
use crate::pg::auth::scram::KeyCache;
use std::sync::Arc;
use tokio_postgres::{Client, Error, NoTls};

const SELF: &str = "
    SELECT NOT pg_is_in_recovery(), current_setting('server_version'),
           pg_postmaster_start_time()::text || ' ' || coalesce(inet_server_port(), 0)::text,
           has_table_privilege('pg_catalog.pg_shadow', 'SELECT'),
           pg_has_role(current_user, 'pg_monitor', 'USAGE'),
           has_function_privilege('pg_control_system()', 'EXECUTE')";

const FAMILY: &str = "SELECT system_identifier::text FROM pg_control_system()";

/// What streams for a while, such as a base backup, is no standby.
const FOLLOWERS: &str = "
    SELECT application_name, host(client_addr) FROM pg_stat_replication
     WHERE state IN ('streaming', 'catchup')
       AND application_name NOT IN ('pg_basebackup', 'pg_receivewal', 'pg_recvlogical')
       AND application_name NOT LIKE 'tidegate%'
       AND pid NOT IN (SELECT active_pid FROM pg_replication_slots
                        WHERE slot_type = 'logical' AND active_pid IS NOT NULL)
     ORDER BY 1, 2";

const LEADER: &str = "SELECT sender_host, sender_port FROM pg_stat_wal_receiver";

/// `config` has this one node.
pub(super) async fn look(config: &Config, address: &str) -> Result<Server, String> {
    let cluster = config.settings.clusters.values().next().ok_or("no cluster")?;
    let keys = Arc::new(KeyCache::new(1));
    let nodes = wire::nodes("init", cluster, (&keys, &Arc::default()), &mut nobody());
    let node = nodes.map_err(|e| e.to_string())?.pop().ok_or("no node")?;
    let (stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let mut login = wire::monitor_login(&cluster.monitor);
    login.application_name("tidegate init");
    let connected = login.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(|e| crate::app::connect::in_words(&e))?;
    let asked = async {
        let server = ask(&client, address, &cluster.monitor.user).await;
        drop(client);
        server.map_err(|e| crate::app::connect::in_words(&e))
    };
    tokio::join!(asked, connection).0
}

async fn ask(client: &Client, address: &str, user: &str) -> Result<Server, Error> {
    let row = client.query_one(SELF, &[]).await?;
    let (primary, version, identity) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut server = Server {
        address: address.to_owned(),
        primary,
        version,
        identity,
        family: String::new(),
        leader: None,
        followers: Vec::new(),
        may_look_up: row.try_get(3)?,
        lacks: Vec::new(),
    };
    let quoted = format!("\"{}\"", user.replace('"', "\"\""));
    if !row.try_get::<_, bool>(4)? {
        server.lacks.push(format!("GRANT pg_monitor TO {quoted};"));
    }
    match row.try_get(5)? {
        true => server.family = client.query_one(FAMILY, &[]).await?.try_get(0)?,
        false => server.lacks.push(format!(
            "GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO {quoted};"
        )),
    }
    let port = address.rsplit_once(':').map_or("5432", |(_, port)| port);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    if let Some(row) = client.query_opt(LEADER, &[]).await? {
        let (at, its): (Option<String>, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
        // A socket's folder stands there, too.
        let at = at.map(|at| if at.starts_with('/') { host.to_owned() } else { bracketed(&at) });
        server.leader = at.zip(its).map(|(at, its)| format!("{at}:{its}"));
    }
    for row in client.query(FOLLOWERS, &[]).await? {
        let (name, from): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        let from = from.map_or_else(|| host.to_owned(), |from| bracketed(&from));
        let candidates = vec![format!("{from}:{port}"), format!("{from}:5432")];
        let name = format!("{name} from {from}");
        server.followers.push(Follower { name, candidates });
    }
    Ok(server)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
