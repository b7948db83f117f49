//! A standby: whom it follows, what it has, and its promotion.

use super::conninfo;
use super::link::{Link, literal};
use crate::failover::{Candidate, Place, Promoted, Term, Trouble};
use crate::topology::Lsn;
use std::time::Duration;
use tokio::time::sleep;
use tokio_postgres::types::PgLsn;

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(10);

/// How long a standby without a receiver is looked at before it counts as one: a receiver that was
/// starting when the settings changed would show itself meanwhile.
const CERTAIN: Duration = Duration::from_millis(100);

/// How long something that takes milliseconds may take.
const SOON: Duration = Duration::from_secs(2);

/// What it has received; how much of that it has applied. The receiver's word is missing until it
/// ran once since the start: then replay must have come to the end of what is there.
///
/// A standby's timeline is that of the newest log it has: the control file may be behind.
const LOOK: &str = "
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN
           greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
       (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int8) FROM pg_ls_waldir()
         WHERE name ~ '^[0-9A-F]{24}$'),
       (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)::int8
          FROM pg_control_checkpoint() c, pg_control_recovery() r),
       pg_last_wal_receive_lsn() IS NOT NULL OR EXISTS (
           SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN
               ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval'))";

/// The standby as a candidate.
pub(super) async fn look(link: &Link, priority: u32) -> Result<Candidate, Trouble> {
    let row = link.row(LOOK).await?;
    if !link.get::<bool>(&row, 0)? {
        return Err(link.refused("it is not a standby"));
    }
    let received: Option<PgLsn> = link.get(&row, 1)?;
    let replayed: Option<PgLsn> = link.get(&row, 2)?;
    let newest: Option<i64> = link.get(&row, 3)?;
    let recovered: i64 = link.get(&row, 4)?;
    if !link.get::<bool>(&row, 5)? {
        return Err(link.not_observed("know yet what it has: it replays what it finds"));
    }
    let received = received.map(u64::from).ok_or_else(|| link.refused("it has no log"))?;
    let timeline = newest.unwrap_or(0).max(recovered);
    let timeline = u32::try_from(timeline).map_err(|e| link.refused(&e.to_string()))?;
    Ok(Candidate {
        name: link.node.clone(),
        received: Place { timeline, lsn: Lsn(received) },
        unreplayed: received.saturating_sub(replayed.map_or(0, u64::from)),
        priority,
    })
}

async fn conninfo(link: &Link) -> Result<String, Trouble> {
    if !link.one::<bool>("SELECT pg_is_in_recovery()").await? {
        return Err(link.refused("it is not a standby"));
    }
    link.one("SELECT current_setting('primary_conninfo')").await
}

/// Puts a `primary_conninfo` in force, and waits until this server's processes have it.
async fn put(link: &Link, conninfo: &str) -> Result<(), Trouble> {
    link.run(&format!("ALTER SYSTEM SET primary_conninfo = {}", literal(conninfo))).await?;
    link.run("SELECT pg_reload_conf()").await?;
    let is = format!("SELECT current_setting('primary_conninfo') = {}", literal(conninfo));
    until(link, &is, "take its new settings").await
}

/// Waits for a query that answers true.
async fn until(link: &Link, query: &str, what: &str) -> Result<(), Trouble> {
    let mut left = SOON;
    while !link.one::<bool>(query).await? {
        left = left.checked_sub(GLANCE).ok_or_else(|| link.not_observed(what))?;
        sleep(GLANCE).await;
    }
    Ok(())
}

const IS_DEAF: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver
    WHERE status IN ('streaming', 'waiting', 'restarting', 'stopping'))";

/// It follows nobody from now on, and says so in its settings; what it has received till then.
pub(super) async fn revoke(link: &Link, term: Term) -> Result<Place, Trouble> {
    let now = conninfo(link).await?;
    match conninfo::promised(&now) {
        Some(promised) if promised > term => {
            return Err(Trouble::Promised { node: link.node.clone(), promised });
        }
        Some(promised) if promised == term => {}
        _ => {
            let held = conninfo::hold(&now, term).map_err(|e| link.refused(&e.to_string()))?;
            put(link, &held).await?;
        }
    }
    loop {
        until(link, IS_DEAF, "let go of the primary").await?;
        sleep(CERTAIN).await;
        if link.one::<bool>(IS_DEAF).await? {
            return look(link, 0).await.map(|candidate| candidate.received);
        }
    }
}

/// It drops its connection and makes another: a space at the end is a change that means nothing.
pub(super) async fn reconnect(link: &Link) -> Result<(), Trouble> {
    let now = conninfo(link).await?;
    let pid = "SELECT coalesce((SELECT pid FROM pg_stat_wal_receiver), 0)";
    let before: i32 = link.one(pid).await?;
    let other = match now.strip_suffix(' ') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{now} "),
    };
    put(link, &other).await?;
    if before == 0 {
        return Ok(());
    }
    let another = format!("SELECT ({pid}) <> {before}");
    until(link, &another, "drop its connection").await
}

/// The name of the slot that it wants on its primary.
pub(super) async fn slot(link: &Link) -> Result<Option<String>, Trouble> {
    let slot: String = link.one("SELECT current_setting('primary_slot_name')").await?;
    Ok((!slot.is_empty()).then_some(slot))
}

pub(super) async fn make_slot(link: &Link, slot: &str) -> Result<(), Trouble> {
    let slot = literal(slot);
    link.run(&format!(
        "SELECT pg_create_physical_replication_slot({slot}) WHERE NOT EXISTS (
            SELECT FROM pg_replication_slots WHERE slot_name = {slot})"
    ))
    .await
}

/// It follows the server at this address, unless it has promised itself to a later term.
pub(super) async fn repoint(link: &Link, address: &str, term: Term) -> Result<(), Trouble> {
    let now = conninfo(link).await?;
    if let Some(promised) = conninfo::promised(&now).filter(|promised| *promised > term) {
        return Err(Trouble::Promised { node: link.node.clone(), promised });
    }
    let aimed = conninfo::aim(&now, address, &link.node);
    let aimed = aimed.map_err(|error| link.refused(&error.to_string()))?;
    if aimed == now { Ok(()) } else { put(link, &aimed).await }
}

/// Where a primary's log ends. Nobody writes any more, so what is inserted is flushed soon; a
/// position behind a page's header is one that no standby reaches, and there is nothing in it.
pub(super) async fn end_of_log(link: &Link) -> Result<Place, Trouble> {
    // A record of our own takes the end past such a header, and flushes all before it.
    link.run("SELECT pg_logical_emit_message(true, 'tidegate', '')").await?;
    let row = link
        .row("SELECT pg_current_wal_flush_lsn(), pg_walfile_name(pg_current_wal_lsn())")
        .await?;
    let lsn: PgLsn = link.get(&row, 0)?;
    let file: String = link.get(&row, 1)?;
    Ok(Place { timeline: timeline_of(link, &file)?, lsn: Lsn(u64::from(lsn)) })
}

fn timeline_of(link: &Link, file: &str) -> Result<u32, Trouble> {
    let digits = file.get(..8).unwrap_or_default();
    u32::from_str_radix(digits, 16).map_err(|_| link.refused("a WAL file's name without timeline"))
}

/// Promotes it, if that has not happened yet, and reads where its timeline began.
pub(super) async fn promote(link: &Link) -> Result<Promoted, Trouble> {
    if link.one::<bool>("SELECT pg_is_in_recovery()").await? {
        link.run("SELECT pg_promote(false)").await?;
        while link.one::<bool>("SELECT pg_is_in_recovery()").await? {
            sleep(GLANCE).await;
        }
    }
    let file: String = link.one("SELECT pg_walfile_name(pg_current_wal_lsn())").await?;
    let timeline = timeline_of(link, &file)?;
    let history: String =
        link.one(&format!("SELECT pg_read_file('pg_wal/{timeline:08X}.history')")).await?;
    let fork = fork(&history).ok_or_else(|| link.refused("its timeline's history has no fork"))?;
    Ok(Promoted { timeline, fork })
}

/// The last line of a timeline's history: the timeline before, and where it was left.
fn fork(history: &str) -> Option<Lsn> {
    let mut lines = history.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.next_back()?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_begins_where_the_last_line_of_its_history_says() {
        let history = "1\t0/3000158\tno recovery target specified\n\n2\t1/A0\tno recovery target\n";
        assert_eq!(fork(history), Some(Lsn(0x1_0000_00A0)));
        assert_eq!(fork("# nothing\n"), None);
    }
}
