//! Whether a transaction committed whose server was lost at its COMMIT: asked of the primary that
//! reigns then.

use super::link::{Link, literal};
use crate::failover::Trouble;
use crate::pg::connect::Node;
use crate::topology::{Lsn, Published};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Config;

/// A transaction that is about to commit, by the words of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committing {
    /// With its epoch, so that it never comes again in one history.
    number: u64,
    /// A record of it ends here. Its commit lies behind that.
    lsn: Lsn,
    timeline: u32,
}

impl Committing {
    /// `xid8`, `pg_lsn` and the name of a file of the log, as PostgreSQL writes them.
    pub fn read(number: &str, lsn: &str, file: &str) -> Option<Committing> {
        let timeline = u32::from_str_radix(file.get(..8)?, 16).ok()?;
        Some(Committing { number: number.parse().ok()?, lsn: lsn.parse().ok()?, timeline })
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    RolledBack,
    /// It cannot be proven, or could not be asked in time.
    Unknown,
}

impl Outcome {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Committed => "committed",
            Outcome::RolledBack => "rolled_back",
            Outcome::Unknown => "unknown",
        }
    }
}

/// What a server says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Testimony {
    timeline: u32,
    /// The file of that timeline's history; empty where it is the transaction's own.
    history: String,
    /// By `pg_xact_status`; `None`: so old that nobody knows.
    status: Option<String>,
}

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(50);

/// Asks in the place of all clients of a cluster, one after the other, by one connection.
pub struct Outcomes {
    login: Config,
    /// How long a connection may take to open.
    patience: Duration,
    link: Mutex<Option<Link>>,
}

impl Outcomes {
    pub fn new(login: Config, patience: Duration) -> Outcomes {
        Outcomes { login, patience, link: Mutex::default() }
    }

    /// Resolves when it is known, or when `within` is over.
    pub async fn find_out(
        &self,
        transaction: Committing,
        nodes: &[Arc<Node>],
        published: &Published,
        within: Duration,
    ) -> Outcome {
        let end = Instant::now() + within;
        loop {
            let primary = published.load().primary;
            if let Some(node) = primary.and_then(|id| nodes.get(usize::from(id.0))) {
                match timeout_at(end, self.ask(node, transaction)).await {
                    Ok(Ok(Some(outcome))) => return outcome,
                    Ok(Ok(None)) | Err(_) => {}
                    Ok(Err(trouble)) => {
                        tracing::debug!(%trouble, "whether a transaction committed: not yet");
                    }
                }
            }
            if Instant::now() >= end {
                return Outcome::Unknown;
            }
            sleep(AGAIN).await;
        }
    }

    /// `None`: this server cannot know it yet.
    async fn ask(&self, node: &Node, of: Committing) -> Result<Option<Outcome>, Trouble> {
        let mut kept = self.link.lock().await;
        // Taken out: a question that is not waited for any more takes its connection with it.
        let link = match kept.take().filter(|link| link.node == node.name) {
            Some(link) => link,
            None => Link::open(node, &self.login, self.patience).await?,
        };
        let said = testimony(&link, of).await?;
        *kept = Some(link);
        Ok(said.and_then(|said| judge(of, &said)))
    }
}

/// `None`: it is a standby.
async fn testimony(link: &Link, of: Committing) -> Result<Option<Testimony>, Trouble> {
    const TIMELINE: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN
        ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8 END";
    let Some(timeline) = link.one::<Option<i64>>(TIMELINE).await? else { return Ok(None) };
    let timeline = u32::try_from(timeline).map_err(|error| link.refused(&error.to_string()))?;
    let history = match timeline == of.timeline {
        true => String::new(),
        false => {
            let file = literal(&format!("pg_wal/{timeline:08X}.history"));
            link.one(&format!("SELECT pg_read_file({file})")).await?
        }
    };
    // It refuses to speak of numbers that are still to come.
    let number = of.number;
    let status = format!(
        "SELECT CASE WHEN '{number}'::xid8 < pg_snapshot_xmax(pg_current_snapshot())
                     THEN pg_xact_status('{number}'::xid8) ELSE 'in progress' END"
    );
    Ok(Some(Testimony { timeline, history, status: link.one(&status).await? }))
}

/// What follows from a server's word; `None`: nothing yet. Pure.
///
/// On the transaction's own timeline a server may have crashed before any record of it was on its
/// disk: then the number is given to another one, and only that it did **not** commit is certain.
/// A timeline that left that one behind a record of it knows the number, so nobody else has it; one
/// that left before has nothing of it.
fn judge(of: Committing, said: &Testimony) -> Option<Outcome> {
    let status = said.status.as_deref();
    if said.timeline == of.timeline {
        return (status == Some("aborted")).then_some(Outcome::RolledBack);
    }
    let Some(fork) = left(&said.history, of.timeline) else { return Some(Outcome::Unknown) };
    if of.lsn > fork {
        return Some(Outcome::RolledBack);
    }
    match status {
        Some("committed") => Some(Outcome::Committed),
        Some("aborted") => Some(Outcome::RolledBack),
        Some("in progress") => None,
        _ => Some(Outcome::Unknown),
    }
}

/// Where a history left the timeline.
fn left(history: &str, timeline: u32) -> Option<Lsn> {
    history.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let number: u32 = words.next()?.parse().ok()?;
        (number == timeline).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: Committing = Committing { number: 700, lsn: Lsn(0x100), timeline: 2 };

    fn said(timeline: u32, history: &str, status: &str) -> Option<Outcome> {
        let status = Some(status.to_owned()).filter(|status| !status.is_empty());
        judge(TRANSACTION, &Testimony { timeline, history: history.into(), status })
    }

    const BEHIND: &str = "1\t0/20\tx\n\n2\t0/100\tx\n";
    const BEFORE: &str = "1\t0/20\tx\n2\t0/FF\tx\n3\t0/200\tx\n";

    #[test]
    fn a_timeline_that_left_behind_its_record_knows_what_became_of_it() {
        assert_eq!(said(3, BEHIND, "committed"), Some(Outcome::Committed));
        assert_eq!(said(3, BEHIND, "aborted"), Some(Outcome::RolledBack));
        assert_eq!(said(3, BEHIND, "in progress"), None);
        assert_eq!(said(3, BEHIND, ""), Some(Outcome::Unknown));
    }

    #[test]
    fn a_timeline_that_left_before_has_nothing_of_it_whoever_has_its_number() {
        for status in ["committed", "aborted", "in progress", ""] {
            assert_eq!(said(4, BEFORE, status), Some(Outcome::RolledBack), "{status}");
        }
    }

    #[test]
    fn on_its_own_timeline_only_that_it_failed_is_certain() {
        assert_eq!(said(2, "", "aborted"), Some(Outcome::RolledBack));
        assert_eq!(said(2, "", "committed"), None);
        assert_eq!(said(2, "", "in progress"), None);
    }

    #[test]
    fn another_history_knows_nothing() {
        assert_eq!(said(3, "1\t0/20\tx\n", "committed"), Some(Outcome::Unknown));
    }

    #[test]
    fn what_the_server_said_is_read() {
        let read = Committing::read("700", "0/100", "00000002000000000000000A");
        assert_eq!(read, Some(TRANSACTION));
        assert_eq!(Committing::read("x", "0/100", "00000002000000000000000A"), None);
        assert_eq!(Committing::read("700", "0/100", ""), None);
    }
}
