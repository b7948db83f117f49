//! What a server's answer means. No I/O.

use crate::monitor::{Lineage, Observation, ProbeError, Source};
use crate::mysql::link::{Row, Table};
use crate::topology::{GtidList, GtidSet, GtidState, History, Position, ServerId, Timeline};
use std::sync::Arc;

/// The answers of a MariaDB server.
pub(super) fn mariadb(server: &Table, replication: &Table) -> Result<Observation, ProbeError> {
    let channels = Channels::of(replication);
    let told = Told::of(server)?;
    let written: GtidList = read(told.text("written")?)?;
    let replayed: GtidList = read(told.text("replayed")?)?;
    let source = channels.source("Master_Server_Id")?;
    let position = match source {
        // A server made from a backup has in its log only what came since.
        Source::Nobody => written.merged(&replayed),
        _ => replayed.clone(),
    };
    let state = GtidState::read(told.text("state")?, &written, replayed).map_err(nonsense)?;
    let logs = source != Source::Nobody || told.text("logs")? != "0";
    let no_log = "its binary log is off (log_bin), so that nobody can tell how far it got";
    let lineage = Lineage {
        server: read(told.text("id")?)?,
        source,
        read_only: told.is_read_only()?,
        history: History::MariaDb(Arc::new(state)),
    };
    Ok(Observation {
        position: logs.then(|| Position::MariaDb(Arc::new(position))),
        feed: None,
        trouble: channels.trouble().or_else(|| (!logs).then(|| no_log.into())),
        claimed_lag_us: channels.lag("Seconds_Behind_Master"),
        ..told.observation(lineage)?
    })
}

/// The answers of a MySQL server.
pub(super) fn mysql(server: &Table, replication: &Table) -> Result<Observation, ProbeError> {
    let channels = Channels::of(replication);
    let told = Told::of(server)?;
    let executed: Arc<GtidSet> = Arc::new(read(told.text("executed")?)?);
    // Any other mode lets transactions pass that have no GTID.
    let mode = told.text("gtid_mode")?;
    let counted = mode == "ON";
    let uncounted =
        || format!("gtid_mode is {mode}, so that nobody can tell how far it got").into();
    let old_words = replication.columns.iter().any(|column| column == "Master_UUID");
    let (id, lag) = match old_words {
        true => ("Master_UUID", "Seconds_Behind_Master"),
        false => ("Source_UUID", "Seconds_Behind_Source"),
    };
    let lineage = Lineage {
        server: read(told.text("id")?)?,
        source: channels.source(id)?,
        read_only: told.is_read_only()?,
        history: History::MySql(executed.clone()),
    };
    Ok(Observation {
        position: counted.then_some(Position::MySql(executed)),
        feed: None,
        trouble: channels.trouble().or_else(|| (!counted).then(uncounted)),
        claimed_lag_us: channels.lag(lag),
        ..told.observation(lineage)?
    })
}

fn nonsense(error: impl ToString) -> ProbeError {
    ProbeError::Nonsense(error.to_string())
}

fn read<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<T, ProbeError> {
    text.parse().map_err(nonsense)
}

/// A value by its column's name.
fn value<'a>(table: &'a Table, row: &'a Row, column: &str) -> Option<&'a str> {
    let at = table.columns.iter().position(|name| name == column)?;
    row.get(at)?.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// The one row that a server says of itself.
struct Told<'a> {
    table: &'a Table,
    row: &'a Row,
}

impl Told<'_> {
    fn of(table: &Table) -> Result<Told<'_>, ProbeError> {
        let row = table.rows.first().ok_or_else(|| nonsense("an answer without a row"))?;
        Ok(Told { table, row })
    }

    fn text(&self, column: &str) -> Result<&str, ProbeError> {
        let missing = || nonsense(format!("an answer without {column}"));
        value(self.table, self.row, column).ok_or_else(missing)
    }

    fn is_read_only(&self) -> Result<bool, ProbeError> {
        Ok(!matches!(self.text("read_only")?, "0" | "OFF"))
    }

    /// What both engines have in common; the rest is filled in.
    fn observation(&self, lineage: Lineage) -> Result<Observation, ProbeError> {
        Ok(Observation {
            in_recovery: lineage.source != Source::Nobody,
            system: 0,
            timeline: Timeline(0),
            position: None,
            version: self.text("version")?.into(),
            claimed_lag_us: None,
            lineage: Some(lineage),
            feed: None,
            trouble: None,
        })
    }
}

/// Whom a server replicates from: a row for each channel.
struct Channels<'a> {
    table: &'a Table,
}

impl Channels<'_> {
    fn of(table: &Table) -> Channels<'_> {
        Channels { table }
    }

    /// The first channel's source, by the column that names it.
    fn source(&self, column: &str) -> Result<Source, ProbeError> {
        let Some(row) = self.table.rows.first() else { return Ok(Source::Nobody) };
        match value(self.table, row, column) {
            // Not connected since the server's own start.
            None | Some("" | "0") => Ok(Source::Unmet),
            Some(id) => read::<ServerId>(id).map(Source::Server),
        }
    }

    /// The largest lag that is claimed, in microseconds.
    fn lag(&self, column: &str) -> Option<u64> {
        let seconds = self
            .table
            .rows
            .iter()
            .filter_map(|row| value(self.table, row, column)?.parse::<u64>().ok());
        seconds.max().map(|seconds| seconds * 1_000_000)
    }

    /// The first thread that does not run, and why.
    fn trouble(&self) -> Option<Arc<str>> {
        let threads = [
            ("IO", ["Slave_IO_Running", "Replica_IO_Running"], "Last_IO_Error"),
            ("SQL", ["Slave_SQL_Running", "Replica_SQL_Running"], "Last_SQL_Error"),
        ];
        self.table.rows.iter().find_map(|row| {
            threads.iter().find_map(|(thread, columns, error)| {
                let state = columns.iter().find_map(|column| value(self.table, row, column))?;
                let error = value(self.table, row, error).unwrap_or_default();
                let state = match state {
                    "Yes" => return None,
                    "No" => "stopped",
                    _ => "not connected",
                };
                let colon = if error.is_empty() { "" } else { ": " };
                Some(format!("the {thread} thread is {state}{colon}{error}").into())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let value = |text: &&str| (*text != "NULL").then(|| text.as_bytes().to_vec());
        Table {
            columns: columns.iter().map(|column| (*column).to_string()).collect(),
            rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
        }
    }

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn server(read_only: &str, mode: &str) -> Table {
        let columns = ["id", "read_only", "executed", "gtid_mode", "version"];
        table(&columns, &[&[UUID, read_only, &format!("{UUID}:1-7"), mode, "8.4.0"]])
    }

    #[test]
    fn a_mysql_replica_speaks_in_new_words_or_old_ones() {
        let new = [
            "Source_UUID",
            "Replica_IO_Running",
            "Replica_SQL_Running",
            "Seconds_Behind_Source",
            "Last_IO_Error",
            "Last_SQL_Error",
        ];
        let old = [
            "Master_UUID",
            "Slave_IO_Running",
            "Slave_SQL_Running",
            "Seconds_Behind_Master",
            "Last_IO_Error",
            "Last_SQL_Error",
        ];
        for columns in [new, old] {
            let row = [UUID, "Yes", "No", "3", "", "Duplicate entry"];
            let says = mysql(&server("1", "ON"), &table(&columns, &[&row])).unwrap();
            assert!(says.in_recovery && says.position.is_some());
            assert_eq!(says.claimed_lag_us, Some(3_000_000));
            let trouble = "the SQL thread is stopped: Duplicate entry";
            assert_eq!(says.trouble.as_deref(), Some(trouble));
            let lineage = says.lineage.unwrap();
            assert_eq!(lineage.source, Source::Server(UUID.parse().unwrap()));
        }
    }

    #[test]
    fn without_gtids_nobody_can_tell_how_far_a_server_got() {
        let says = mysql(&server("0", "OFF_PERMISSIVE"), &Table::default()).unwrap();
        assert_eq!(says.position, None);
        assert!(says.trouble.unwrap().contains("OFF_PERMISSIVE"));
    }

    #[test]
    fn an_answer_without_its_columns_is_nonsense() {
        let error = mariadb(&server("0", "ON"), &Table::default()).unwrap_err();
        assert_eq!(error, ProbeError::Nonsense("an answer without written".into()));
    }
}
