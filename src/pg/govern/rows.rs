//! The row of the term on the primary: whose reign it is, and the beat of its heart.

use super::link::{Link, literal};
use crate::failover::{Name, Quorum, Record, Row, Term, Trouble};
use std::time::Duration;
use tokio::time::sleep;

/// It fills to a half, so that every beat finds room on the page of the last one.
const MAKE: &str = "
CREATE SCHEMA IF NOT EXISTS tidegate;
CREATE TABLE IF NOT EXISTS tidegate.term (
    cluster text PRIMARY KEY,
    term int8 NOT NULL,
    node text NOT NULL,
    holder text NOT NULL,
    counter int8 NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50)";

const EXISTS: &str = "SELECT to_regclass('tidegate.term') IS NOT NULL";

/// The row, where there is one.
pub(super) async fn read(link: &Link, cluster: &Name) -> Result<Option<Row>, Trouble> {
    if !link.one::<bool>(EXISTS).await? {
        return Ok(None);
    }
    let read = "SELECT term, node, holder, counter FROM tidegate.term WHERE cluster = $1";
    let rows = link.rows(read, &[&&**cluster]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let node: String = link.get(row, 1)?;
    Ok(Some(Row {
        term: Term(link.get::<i64>(row, 0)?.cast_unsigned()),
        node: node.into(),
        holder: link.get(row, 2)?,
        counter: link.get(row, 3)?,
    }))
}

/// Writes the row of this term, unless a later one is there.
pub(super) async fn claim(link: &Link, record: &Record, node: &Name) -> Result<(), Trouble> {
    if !link.one::<bool>(EXISTS).await? {
        link.run(MAKE).await?;
    }
    let claim = "
        INSERT INTO tidegate.term AS t VALUES ($1, $2, $3, $4, 0, clock_timestamp())
        ON CONFLICT (cluster) DO UPDATE
           SET (term, node, holder, counter, at) = ($2, $3, $4, t.counter + 1, clock_timestamp())
         WHERE t.term < $2 OR (t.term = $2 AND t.holder = $4)
        RETURNING term";
    let term = record.term.0.cast_signed();
    let claimed = link.rows(claim, &[&&*record.cluster, &term, &&**node, &&*record.holder]).await?;
    match claimed.is_empty() {
        false => Ok(()),
        true => Err(taken(link, record).await?),
    }
}

/// The next beat. The commit is on this server's disk when it answers.
pub(super) async fn beat(link: &Link, record: &Record) -> Result<Row, Trouble> {
    let beat = "
        UPDATE tidegate.term SET counter = counter + 1, at = clock_timestamp()
         WHERE cluster = $1 AND term = $2 AND holder = $3 RETURNING counter";
    let term = record.term.0.cast_signed();
    let rows = link.rows(beat, &[&&*record.cluster, &term, &&*record.holder]).await?;
    let Some(row) = rows.first() else { return Err(taken(link, record).await?) };
    let (node, holder) = (record.primary.clone(), record.holder.to_string());
    Ok(Row { term: record.term, node, holder, counter: link.get(row, 0)? })
}

async fn taken(link: &Link, record: &Record) -> Result<Trouble, Trouble> {
    Ok(match read(link, &record.cluster).await? {
        Some(Row { term, holder, .. }) if term != record.term || *holder != *record.holder => {
            Trouble::Taken { node: link.node.clone(), term, holder }
        }
        _ => link.not_observed("keep the row of the term"),
    })
}

/// Has commits wait for the quorum.
pub(super) async fn wait_for(link: &Link, quorum: &Quorum) -> Result<(), Trouble> {
    let names = standby_names(quorum);
    let is = format!("SELECT current_setting('synchronous_standby_names') = {}", literal(&names));
    if link.one::<bool>(&is).await? {
        return Ok(());
    }
    link.run(&format!("ALTER SYSTEM SET synchronous_standby_names = {}", literal(&names))).await?;
    link.run("SELECT pg_reload_conf()").await?;
    for _ in 0..200 {
        if link.one::<bool>(&is).await? {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(link.not_observed("take synchronous_standby_names"))
}

/// Every voter has on its disk all that the primary had written when this was asked.
pub(super) async fn reached(link: &Link, quorum: &Quorum) -> Result<(), Trouble> {
    let voters: Vec<String> = quorum.voters.iter().map(|name| literal(name)).collect();
    let (voters, many) = (voters.join(", "), voters.len());
    let now: String = link.one("SELECT pg_current_wal_insert_lsn()::text").await?;
    let there = format!(
        "SELECT count(DISTINCT application_name) >= {many} FROM pg_stat_replication
          WHERE application_name IN ({voters}) AND sync_state IN ('quorum', 'sync')
            AND flush_lsn >= '{now}'"
    );
    match link.one::<bool>(&there).await? {
        true => Ok(()),
        false => Err(link.not_observed("have all its voters at its side")),
    }
}

/// The value of `synchronous_standby_names`.
fn standby_names(quorum: &Quorum) -> String {
    let names = quorum.voters.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    format!("ANY {} ({})", quorum.write, names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_wait_for_as_many_of_the_voters_as_the_quorum_says() {
        let voters = ["b", "C-1"].map(Name::from).into();
        assert_eq!(standby_names(&Quorum { write: 1, voters }), r#"ANY 1 ("C-1", "b")"#);
    }
}
