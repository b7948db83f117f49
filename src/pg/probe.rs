//! The monitor's question to a PostgreSQL server, over a connection of its own.

use super::connect::{ConnectError, Node};
use crate::monitor::{Line, Observation, Probe, ProbeError};
use crate::topology::{Feed, Lsn, Position, Timeline};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_postgres::types::PgLsn;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

/// What pg_stat_activity shows.
const APPLICATION: &str = "tidegate monitor";

/// What never changes while a connection lives.
const GREETING: &str = "
SELECT system_identifier,
       current_setting('server_version'),
       pg_size_bytes(current_setting('wal_segment_size')),
       current_setting('wal_block_size')::int8
  FROM pg_control_system()";

/// One question for both roles. OFFSET 0 keeps the role from being asked more than once, so that
/// a promotion between two columns cannot mix them up.
///
/// A standby's timeline is the one it streams; without a stream the one it last recovered on, as
/// far as the control file knows.
const QUESTION: &str = "
SELECT standby,
       CASE WHEN standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
       CASE WHEN NOT standby THEN pg_walfile_name(pg_current_wal_lsn()) END,
       CASE WHEN standby THEN (SELECT received_tli FROM pg_stat_wal_receiver) END,
       CASE WHEN standby THEN (
           SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
             FROM pg_control_checkpoint() c, pg_control_recovery() r) END,
       CASE WHEN standby THEN
           (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1e6)::int8
       END,
       CASE WHEN NOT standby THEN pg_current_wal_flush_lsn() END,
       CASE WHEN standby THEN pg_last_wal_receive_lsn() END,
       CASE WHEN standby THEN
           EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') END,
       CASE WHEN standby AND pg_has_role('pg_read_all_settings', 'USAGE') THEN
           current_setting('primary_conninfo', true) LIKE '%/tidegate-follows-nobody/%' END
  FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) AS role";

/// A record whose end every later commit flushes, this statement's own first, which waits for
/// nothing. With it goes to the disk, and so to the replicas, what was written before it.
const NUDGE: &str = "SELECT pg_catalog.pg_logical_emit_message(false, 'tidegate', '')";

/// The way to one server: where it is, and who asks.
#[derive(Clone)]
pub struct PgProbe {
    node: Arc<Node>,
    config: Config,
}

impl PgProbe {
    /// `config` names user, password and database; the node says where and with which TLS.
    pub fn new(node: Arc<Node>, mut config: Config) -> PgProbe {
        config.application_name(APPLICATION);
        PgProbe { node, config }
    }
}

impl Probe for PgProbe {
    type Line = PgLine;

    async fn connect(&self) -> Result<PgLine, ProbeError> {
        let unreachable = |e: ConnectError| ProbeError::Unreachable(e.to_string());
        let (stream, _) = self.node.dial().await.map_err(unreachable)?;
        let (client, connection) = self.config.connect_raw(stream, NoTls).await.map_err(failure)?;
        let driver = Driver(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "monitor connection ended");
            }
        }));
        let greeting = client.query_one(GREETING, &[]).await.map_err(failure)?;
        let question = client.prepare(QUESTION).await.map_err(failure)?;
        let server = Server::read(&greeting)?;
        Ok(PgLine { client, driver, question, server, timeline: None, unflushed: None })
    }
}

/// An open connection and its prepared question.
pub struct PgLine {
    client: Client,
    driver: Driver,
    question: Statement,
    server: Server,
    /// The last timeline this standby was known to be on.
    timeline: Option<Timeline>,
    unflushed: Option<Unflushed>,
}

/// WAL of a primary that is not on its disk, and therefore on no replica.
///
/// Every commit sees to it that it gets there, but a transaction that only read and failed may
/// leave a record behind (of pruning a page, say) that nobody flushes before the next commit: on
/// a primary without writes all replicas would stay behind its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unflushed {
    /// WAL ends here, beyond what is flushed.
    Until(Lsn),
    /// It ended there when it was asked before as well.
    Forgotten,
}

impl Unflushed {
    /// What to think of the WAL from `flushed` to `inserted`.
    fn next(before: Option<Unflushed>, inserted: Lsn, flushed: Lsn) -> Option<Unflushed> {
        match before {
            _ if flushed >= inserted => None,
            Some(Unflushed::Until(lsn)) if lsn == inserted => Some(Unflushed::Forgotten),
            _ => Some(Unflushed::Until(inserted)),
        }
    }
}

/// The task that moves the bytes. It goes with the line: a peer that does not answer would keep
/// it, and the socket, for ever.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Line for PgLine {
    async fn ask(&mut self) -> Result<Observation, ProbeError> {
        if self.unflushed == Some(Unflushed::Forgotten)
            && let Err(error) = self.client.batch_execute(NUDGE).await
        {
            tracing::debug!(%error, "the monitor cannot have WAL flushed");
        }
        let row = self.client.query_one(&self.question, &[]).await.map_err(failure)?;
        self.understand(&row)
    }

    async fn lost(&mut self) {
        // Cancel-safe: a handle that was polled may be polled again. It is not polled after its
        // end, because the line is dropped then.
        let _ = (&mut self.driver.0).await;
    }
}

impl PgLine {
    fn understand(&mut self, row: &Row) -> Result<Observation, ProbeError> {
        let in_recovery: bool = get(row, 0)?;
        let lsn: Option<PgLsn> = get(row, 1)?;
        let timeline =
            if in_recovery { self.standby_timeline(row)? } else { primary_timeline(row)? };
        self.timeline = Some(timeline);
        let lsn = lsn.map(|lsn| Lsn(u64::from(lsn)));
        let lsn = if in_recovery { lsn } else { lsn.map(|lsn| self.server.replayable(lsn)) };
        let flushed: Option<PgLsn> = get(row, 6)?;
        self.unflushed = lsn.zip(flushed).and_then(|(inserted, flushed)| {
            Unflushed::next(self.unflushed, inserted, Lsn(u64::from(flushed)))
        });
        let system = self.server.system;
        let feed = if in_recovery { Some(feed(row)?) } else { None };
        let claimed_lag: Option<i64> = get(row, 5)?;
        Ok(Observation {
            in_recovery,
            system,
            timeline,
            position: lsn.map(|lsn| Position::Postgres { system, timeline, lsn }),
            version: self.server.version.clone(),
            claimed_lag_us: claimed_lag.map(|lag| u64::try_from(lag).unwrap_or(0)),
            lineage: None,
            feed,
            trouble: None,
        })
    }

    /// The timeline that streams now, else the last one known, else the control file's.
    fn standby_timeline(&self, row: &Row) -> Result<Timeline, ProbeError> {
        let number = |value: i32| u32::try_from(value).map(Timeline).map_err(nonsense);
        let streamed: Option<i32> = get(row, 3)?;
        if let Some(streamed) = streamed {
            return number(streamed);
        }
        let recovered: i32 = get(row, 4)?;
        // A timeline never shrinks; the control file is only as new as the last restart point.
        Ok(number(recovered)?.max(self.timeline.unwrap_or(Timeline(0))))
    }
}

/// How a standby gets its log. A user who may not see the settings does not know of its orders.
fn feed(row: &Row) -> Result<Feed, ProbeError> {
    let received: Option<PgLsn> = get(row, 7)?;
    let (streams, held): (Option<bool>, Option<bool>) = (get(row, 8)?, get(row, 9)?);
    Ok(Feed {
        streams: streams.unwrap_or(false),
        received: received.map(|lsn| Lsn(u64::from(lsn))),
        held: held.unwrap_or(false),
    })
}

/// A WAL file's name starts with its timeline, in eight hexadecimal digits.
fn primary_timeline(row: &Row) -> Result<Timeline, ProbeError> {
    let file: String = get(row, 2)?;
    let digits = file.get(..8).ok_or_else(|| nonsense("a WAL file name that is too short"))?;
    u32::from_str_radix(digits, 16).map(Timeline).map_err(nonsense)
}

/// What a server said of itself when the connection was opened.
#[derive(Debug)]
struct Server {
    system: u64,
    version: Arc<str>,
    segment: u64,
    page: u64,
}

/// Bytes of a WAL page's header, and of the first page's of a segment: `SizeOfXLogShortPHD` and
/// `SizeOfXLogLongPHD` in xlog_internal.h, with 8-byte alignment.
const SHORT_HEADER: u64 = 24;
const LONG_HEADER: u64 = 40;

impl Server {
    fn read(row: &Row) -> Result<Server, ProbeError> {
        // The identifier is unsigned; SQL shows its bits as a signed number.
        let system: i64 = get(row, 0)?;
        let version: String = get(row, 1)?;
        let (segment, page): (i64, i64) = (get(row, 2)?, get(row, 3)?);
        let size = |size: i64| u64::try_from(size).ok().filter(|size| *size > 0);
        let sizes = size(segment).zip(size(page));
        let (segment, page) = sizes.ok_or_else(|| nonsense("WAL pages without a size"))?;
        Ok(Server { system: system.cast_unsigned(), version: version.into(), segment, page })
    }

    /// The position that replay can reach when nothing more is written.
    ///
    /// `pg_current_wal_insert_lsn()` is where the next record will start, so at the end of a page
    /// it points past the next page's header; replay stops before the header.
    fn replayable(&self, lsn: Lsn) -> Lsn {
        if lsn.0 % self.segment == LONG_HEADER {
            Lsn(lsn.0 - LONG_HEADER)
        } else if lsn.0 % self.page == SHORT_HEADER {
            Lsn(lsn.0 - SHORT_HEADER)
        } else {
            lsn
        }
    }
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
) -> Result<T, ProbeError> {
    row.try_get(column).map_err(nonsense)
}

fn nonsense(error: impl ToString) -> ProbeError {
    ProbeError::Nonsense(error.to_string())
}

/// Sorts an error by what it says about the server.
fn failure(error: tokio_postgres::Error) -> ProbeError {
    use std::error::Error as _;
    // The error's own text is general; its source has the server's or the system's words.
    let words = match error.source() {
        Some(source) if error.as_db_error().is_none() => format!("{error}: {source}"),
        _ => error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_string()),
    };
    match error.as_db_error() {
        Some(_) => ProbeError::Refused(words),
        None if error.is_closed() => ProbeError::Lost(words),
        None => ProbeError::Unreachable(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 16 << 20;

    fn replayable(lsn: u64) -> u64 {
        let server = Server { system: 7, version: "15".into(), segment: SEGMENT, page: 8192 };
        server.replayable(Lsn(lsn)).0
    }

    #[test]
    fn a_position_behind_a_page_header_is_the_end_of_the_page_before() {
        assert_eq!(replayable(3 * 8192 + 24), 3 * 8192);
        assert_eq!(replayable(SEGMENT + 40), SEGMENT);
    }

    #[test]
    fn any_other_position_is_what_it_is() {
        for lsn in [3 * 8192, 3 * 8192 + 40, 3 * 8192 + 48, SEGMENT, SEGMENT + 8192 + 40, 24 + 8] {
            assert_eq!(replayable(lsn), lsn);
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable_and_says_why() {
        let mut config = Config::new();
        config.user("monitor");
        // Port 1 is reserved, and nothing listens there.
        let node = Arc::new(Node::plain("a", "127.0.0.1:1"));
        let error = PgProbe::new(node, config).connect().await.err().expect("no server");
        assert!(
            matches!(&error, ProbeError::Unreachable(why) if why.contains("refused")),
            "{error}"
        );
    }
}
