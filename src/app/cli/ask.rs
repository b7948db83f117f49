//! Questions to the console of a running proxy, whose configuration says where it is.

use crate::config::{self, Config};
use crate::net::tls;
use crate::pg::connect::{ConnectError, Node};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// What the console answered to one command.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// Lines for people.
    pub(super) notices: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_number: bool,
}

impl Answer {
    /// Each row as an object by its columns' names.
    pub(super) fn json(&self) -> Vec<Value> {
        let value = |(column, cell): (&Column, &Option<String>)| {
            let value = match cell {
                None => Value::Null,
                Some(text) if column.is_number => {
                    text.parse::<i64>().map_or(Value::Null, Into::into)
                }
                Some(text) => text.as_str().into(),
            };
            (column.name.clone(), value)
        };
        let object = |row: &Vec<Option<String>>| {
            Value::Object(self.columns.iter().zip(row).map(value).collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// The cell of this row and column; empty where there is none.
    pub(super) fn cell(&self, row: usize, column: &str) -> &str {
        let at = self.columns.iter().position(|c| c.name == column);
        let cell = at.and_then(|at| self.rows.get(row)?.get(at)?.as_deref());
        cell.unwrap_or_default()
    }
}

/// How long a console may take to let us in.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the console.
pub(super) struct Console {
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
    _connection: JoinHandle<()>,
}

impl Console {
    pub(super) async fn open(config: &Config) -> Result<Console, String> {
        let listen = &config.settings.listen;
        let address = listen.console.address().ok_or("listen.console is \"off\": nobody to ask")?;
        let mut login = tokio_postgres::Config::new();
        login.dbname("tidegate").user("tidegate");
        // Whoever can read the configuration is one of its administrators.
        let users = &config.settings.console.users;
        let first = users.iter().find(|(_, entry)| !entry.read_only).or(users.iter().next());
        if let Some((user, entry)) = first {
            login.user(user);
            if let Some(password) = &entry.password {
                login.password(password.expose());
            }
        }
        let unreached = |why: String| format!("the console at {address} cannot be reached: {why}");
        let connected = async {
            let (stream, _) = door(address)?.dial().await.map_err(|error| match error {
                ConnectError::Unreachable(why) => why,
                other => other.to_string(),
            })?;
            let connected = login.connect_raw(stream, NoTls).await;
            connected.map_err(|error| said(&error))
        };
        let connected = timeout(PATIENCE, connected).await;
        let (client, mut connection) = connected
            .map_err(|_| unreached(format!("no answer within {PATIENCE:?}")))?
            .map_err(unreached)?;
        let notices: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = notices.clone();
        let _connection = tokio::spawn(async move {
            let mut messages = poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    let mut lines = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.push(notice.message().to_owned());
                }
            }
        });
        Ok(Console { client, notices, _connection })
    }

    pub(super) async fn ask(&self, command: &str) -> Result<Answer, String> {
        let asked = async {
            let prepared = self.client.prepare(command).await?;
            let rows = self.client.query(&prepared, &[]).await?;
            Ok((prepared, rows))
        };
        let (prepared, rows) = asked.await.map_err(|error| said(&error))?;
        let columns = prepared.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            is_number: *column.type_() == Type::INT8,
        });
        let columns: Vec<Column> = columns.collect();
        let cell = |row: &tokio_postgres::Row, at: usize| match columns[at].is_number {
            true => row.get::<_, Option<i64>>(at).map(|number| number.to_string()),
            false => row.get::<_, Option<String>>(at),
        };
        let rows = rows.iter().map(|row| (0..columns.len()).map(|at| cell(row, at)).collect());
        let rows = rows.collect();
        let mut heard = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Answer { columns, rows, notices: std::mem::take(&mut heard) })
    }
}

/// The console's port; with TLS where it has that. Its certificate is that of this configuration's own
/// proxy, and the password is proven, not told.
fn door(address: SocketAddr) -> Result<Node, String> {
    let side = tls::ServerSide { mode: tls::ServerMode::Prefer, ..tls::ServerSide::default() };
    let connector = tls::Connector::new(&side, &mut tls::Authorities::default());
    let connector = connector.map_err(|error| error.to_string())?;
    Ok(Node { tls: Some(connector), ..Node::plain("console", &address.to_string()) })
}

/// What an error of the console says to people.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => match said.hint() {
            Some(hint) => format!("{}\nhint: {hint}", said.message()),
            None => said.message().to_owned(),
        },
        None => error.to_string(),
    }
}

/// Reads the configuration and does something with its proxy's console; errors are printed.
pub(super) fn with_console<F>(config: &Path, act: F) -> ExitCode
where
    F: AsyncFnOnce(Console) -> Result<ExitCode, String>,
{
    let config = match config::load(config) {
        Ok(config) => config,
        Err(problems) => return super::check::print_problems(&problems),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(async { act(Console::open(&config).await?).await }),
        Err(error) => Err(error.to_string()),
    };
    done.unwrap_or_else(|why| {
        eprintln!("tidegate: {why}");
        ExitCode::FAILURE
    })
}
