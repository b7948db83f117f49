//! One client: does something, looks whether all it sees is its own, and so on.

use crate::state::State;
use crate::support::ask::words;
use crate::support::dice::Dice;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::{Error, NoTls, SimpleQueryMessage};

/// What all clients did together.
#[derive(Default)]
pub struct Tally {
    pub checks: AtomicUsize,
    pub vanished: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub lost: AtomicUsize,
}

/// A connection, and the session behind it.
pub struct Session {
    pub client: tokio_postgres::Client,
    /// Ends, without a goodbye, when it is aborted.
    pub connection: JoinHandle<()>,
    pub state: State,
}

pub struct Client {
    pub number: usize,
    pub round: usize,
    pub dice: Dice,
    pub tally: Arc<Tally>,
    url: String,
}

/// The session is over, by the client's own will or not.
pub enum Over {
    Vanished,
    /// Its server connection was ended, and what it had there is lost.
    Lost,
}

/// What may be heard of a server connection that somebody ended.
fn is_loss(error: &Error) -> bool {
    match error.code() {
        // admin_shutdown and its kin, connection_failure, transaction_resolution_unknown, and
        // serialization_failure, which is told when an answer was cut short.
        Some(code) => ["57P01", "57P02", "57P03", "08006", "08007", "40001"].contains(&code.code()),
        None => true,
    }
}

impl Client {
    pub fn new(number: usize, url: String, tally: Arc<Tally>) -> Client {
        Client { number, round: 0, dice: Dice::new(number as u64), tally, url }
    }

    pub async fn run(mut self, end: Instant) {
        let mut session = self.connect().await;
        while Instant::now() < end {
            self.round += 1;
            let done = match self.act(&mut session).await {
                Ok(()) => self.look(&session).await,
                Err(over) => Err(over),
            };
            if let Err(over) = done {
                let count = match over {
                    Over::Vanished => &self.tally.vanished,
                    Over::Lost => &self.tally.lost,
                };
                count.fetch_add(1, Relaxed);
                session.connection.abort();
                session = self.connect().await;
            }
        }
    }

    async fn connect(&self) -> Session {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match tokio_postgres::connect(&self.url, NoTls).await {
                Ok((client, connection)) => {
                    let connection = tokio::spawn(async move { drop(connection.await) });
                    return Session { client, connection, state: State::default() };
                }
                // The server connection that a login wanted was ended.
                Err(error) if Instant::now() < end => drop(error),
                Err(error) => panic!("client {}: {}", self.number, words(&error)),
            }
        }
    }

    /// Compares all that it sees with what is its own.
    pub async fn look(&mut self, session: &Session) -> Result<(), Over> {
        let seen = self.ask(session, &State::question()).await?;
        let own = session.state.answer();
        assert_eq!(seen, own, "client {} sees (left) what is not its own", self.number);
        self.tally.checks.fetch_add(1, Relaxed);
        Ok(())
    }

    /// The first column of the first row.
    pub async fn ask(&self, session: &Session, sql: &str) -> Result<String, Over> {
        let answer = session.client.simple_query(sql).await;
        let answer = answer.map_err(|error| self.over(sql, &error))?;
        let value = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(value.unwrap_or_default())
    }

    /// An error that may be, which ends the session; any other ends the test.
    pub fn over(&self, what: &str, error: &Error) -> Over {
        assert!(is_loss(error), "client {}, {what}: {}", self.number, words(error));
        Over::Lost
    }
}
