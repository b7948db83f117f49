//! The questions a node is asked, and what its answers mean.

use super::{Facts, Finding, advice};
use crate::config::Cluster;
use tokio_postgres::{Client, Error, Row};

/// Everyone may ask this.
const WHO: &str = "
    SELECT NOT pg_is_in_recovery() AS primary,
           current_setting('server_version') AS version,
           current_user::text AS me,
           pg_has_role(current_user, 'pg_monitor', 'USAGE') AS may_monitor,
           has_function_privilege('pg_control_system()', 'EXECUTE')
             AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE') AS may_control,
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS ssl";

/// The control file's timeline is that of the last checkpoint.
const CONTROL: &str = "
    SELECT s.system_identifier::text AS system, c.timeline_id AS timeline
      FROM pg_control_system() s, pg_control_checkpoint() c";

const FOLLOWERS: &str = "
    SELECT coalesce(state, '(state hidden)') AS state, count(*) AS n
      FROM pg_stat_replication GROUP BY 1 ORDER BY 1";

const LOST_SLOTS: &str = "
    SELECT slot_name::text AS name,
           pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS kept
      FROM pg_replication_slots
     WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY 1";

const LEADER: &str = "
    SELECT coalesce(status, '(state hidden)') AS status, sender_host AS host, sender_port AS port,
           received_tli AS timeline
      FROM pg_stat_wal_receiver";

const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)";

const PAUSED: &str = "SELECT pg_is_wal_replay_paused() AS paused";

pub(super) async fn facts(client: &Client, cluster: &Cluster) -> Result<Facts, Error> {
    let who = client.query_one(WHO, &[]).await?;
    let me: String = who.try_get("me")?;
    let mut facts = Facts {
        primary: who.try_get("primary")?,
        version: who.try_get("version")?,
        system: None,
        timeline: None,
        replication: String::new(),
        encrypted: who.try_get("ssl")?,
        problems: Vec::new(),
        advice: Vec::new(),
    };
    if !who.try_get::<_, bool>("may_monitor")? {
        facts.problems.push(Finding {
            says: format!("user {me} is not a member of pg_monitor"),
            hint: Some(format!("GRANT pg_monitor TO {};", quote(&me))),
        });
    }
    match who.try_get("may_control")? {
        true => {
            let control = client.query_one(CONTROL, &[]).await?;
            facts.system = control.try_get("system")?;
            facts.timeline = timeline(&control)?;
        }
        false => facts.problems.push(Finding {
            says: format!("user {me} may not read the system identifier and the timeline"),
            hint: Some(format!(
                "GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO {};",
                quote(&me)
            )),
        }),
    }
    match facts.primary {
        true => followers(client, &mut facts).await?,
        false => leader(client, &mut facts).await?,
    }
    let asked = client.query(SETTINGS, &[&advice::ASKED]).await?;
    let asked: Result<advice::Answers, Error> =
        asked.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
    facts.advice = advice::of_postgres(cluster, facts.primary, &asked?);
    Ok(facts)
}

async fn followers(client: &Client, facts: &mut Facts) -> Result<(), Error> {
    let rows = client.query(FOLLOWERS, &[]).await?;
    let mut parts = Vec::new();
    for row in &rows {
        let (state, n): (String, i64) = (row.try_get("state")?, row.try_get("n")?);
        parts.push(format!("{n} {state}"));
    }
    facts.replication = match parts.is_empty() {
        true => "nobody follows".into(),
        false => format!("followed by {}", parts.join(", ")),
    };
    for slot in client.query(LOST_SLOTS, &[]).await? {
        let name: String = slot.try_get("name")?;
        let kept: Option<String> = slot.try_get("kept")?;
        let kept = kept.unwrap_or_else(|| "an unknown amount".into());
        facts.problems.push(Finding {
            says: format!("nobody uses replication slot {name}; it keeps {kept} of WAL on disk"),
            hint: Some(format!("if nobody will: SELECT pg_drop_replication_slot('{name}');")),
        });
    }
    Ok(())
}

async fn leader(client: &Client, facts: &mut Facts) -> Result<(), Error> {
    facts.replication = match client.query_opt(LEADER, &[]).await? {
        None => "follows nobody".into(),
        Some(row) => {
            let status: String = row.try_get("status")?;
            let (host, port): (Option<String>, Option<i32>) =
                (row.try_get("host")?, row.try_get("port")?);
            // Between checkpoints the control file is behind what is being received.
            facts.timeline = facts.timeline.max(timeline(&row)?);
            match (host, port) {
                (Some(host), Some(port)) => format!("{status} from {host}:{port}"),
                _ => status,
            }
        }
    };
    let paused = client.query_one(PAUSED, &[]).await?;
    if paused.try_get("paused")? {
        facts.problems.push(Finding {
            says: "replay is paused".into(),
            hint: Some("on that node: SELECT pg_wal_replay_resume();".into()),
        });
    }
    if facts.replication == "follows nobody" {
        facts.problems.push(Finding {
            says: "no WAL receiver runs: this replica gets nothing from its primary".into(),
            hint: Some("look at primary_conninfo and at that server's log".into()),
        });
    }
    Ok(())
}

fn timeline(row: &Row) -> Result<Option<u32>, Error> {
    let timeline: Option<i32> = row.try_get("timeline")?;
    Ok(timeline.and_then(|t| u32::try_from(t).ok()))
}

/// An identifier as it stands in a statement.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
