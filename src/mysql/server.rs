//! A server connection of a pool: how it is opened, proven clean and given back.

use super::auth::ServerSecret;
use super::connect::{ConnectError, Login, Node};
use super::link::{Link, LinkError, Row};
use super::registry::ServerEntry;
use super::session::tracked::{self, Variables};
use super::statement::Statement;
use super::wire::command::{Command, put_command};
use super::wire::reply::Kind;
use crate::pool::{self, Connector, Settings};
use crate::registry::{Recent, Registration};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub type Lease = pool::Lease<MyConnector>;

/// A server connection of a pool.
pub struct Server {
    pub link: Link,
    pub entry: Registration<ServerEntry>,
    /// The schema it was opened with.
    database: Option<Arc<str>>,
    /// Brings back the character sets of its login, where a reset does not.
    charsets: Option<String>,
    /// Its session tells what changes.
    tracks: bool,
    /// It is a replica's, and its transactions are READ ONLY.
    reads_only: bool,
    /// What its last session left: variables that differ from a fresh connection's.
    pub(super) variables: Arc<Variables>,
    /// What it says to LAST_INSERT_ID().
    pub(super) last_insert_id: u64,
    /// It is in another schema than it was opened with.
    pub(super) strayed: bool,
    /// Its numbers of statements, by ours.
    pub(super) prepared: Recent<u32>,
    /// How many of them it may have.
    max_prepared: usize,
}

/// Opens connections to one node as one user, the way one kind of client needs them.
pub struct MyConnector {
    pub node: Arc<Node>,
    pub user: Arc<str>,
    pub database: Option<Arc<str>>,
    /// Those of the client that its server connection must have too.
    pub capabilities: u32,
    pub collation: u8,
    /// What opens the server; a client's login may bring it.
    pub secret: Arc<ArcSwap<ServerSecret>>,
    pub settings: Arc<ArcSwap<Settings>>,
}

impl MyConnector {
    /// How this connector logs in.
    pub fn login(&self) -> Login {
        Login {
            user: self.user.clone(),
            secret: (**self.secret.load()).clone(),
            database: self.database.clone(),
            capabilities: self.capabilities,
            collation: self.collation,
        }
    }

    async fn open(&self) -> Result<Server, ConnectError> {
        let mut link = self.login().connect(&self.node).await?;
        let charsets = if link.is_mariadb { None } else { Some(charsets(&mut link).await?) };
        let (thread, tls) = (link.thread, link.stream.is_tls());
        let entry = self.node.servers.enter(|id| ServerEntry {
            id,
            cluster: self.node.cluster.clone(),
            node: self.node.name.clone(),
            user: self.user.clone(),
            database: self.database.clone().unwrap_or_else(|| "".into()),
            thread,
            since: Instant::now(),
            tls,
            prepared: AtomicU64::new(0),
            client: AtomicU64::new(0),
        });
        Ok(Server {
            link,
            entry,
            database: self.database.clone(),
            charsets,
            tracks: false,
            reads_only: false,
            variables: Arc::default(),
            last_insert_id: 0,
            strayed: false,
            prepared: Recent::default(),
            max_prepared: self.settings.load().max_prepared,
        })
    }
}

/// MySQL forgets the character sets of the login when a session is reset; MariaDB does not.
async fn charsets(link: &mut Link) -> Result<String, ConnectError> {
    const ASK: &str =
        "SELECT @@character_set_client, @@collation_connection, @@character_set_results";
    let rows = link.query(ASK).await.map_err(|e| ConnectError::Login(e.to_string()))?;
    let value = |i: usize| {
        let value = rows.first().and_then(|row: &Row| row.get(i)?.clone());
        value.map_or_else(|| "NULL".into(), |text| String::from_utf8_lossy(&text).into_owned())
    };
    Ok(format!(
        "SET character_set_client = {}, collation_connection = {}, character_set_results = {}",
        value(0),
        value(1),
        value(2)
    ))
}

impl Connector for MyConnector {
    /// Boxed: it is handed from pool to lease and back.
    type Conn = Box<Server>;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Box<Server>, ConnectError> {
        let limit = self.settings.load().connect_timeout;
        match tokio::time::timeout(limit, self.open()).await {
            Ok(opened) => opened.map(Box::new),
            Err(_) => Err(ConnectError::Timeout(limit)),
        }
    }

    async fn check(&self, server: &mut Box<Server>) -> bool {
        let limit = self.settings.load().connect_timeout;
        let ping = server.link.command(Command::Ping, b"");
        matches!(tokio::time::timeout(limit, ping).await, Ok(Ok(())))
    }

    fn is_quiet(server: &mut Box<Server>) -> bool {
        server.link.is_quiet()
    }

    fn move_here(server: &mut Box<Server>) -> std::io::Result<()> {
        server.link.stream.move_here()
    }
}

impl Server {
    /// Takes away all that a session left behind. False: something is left; close it.
    async fn clean(&mut self) -> Result<bool, LinkError> {
        self.was_reset();
        self.strayed = false;
        let out = &mut self.link.out;
        put_command(out, Command::ResetConnection, b"");
        let mut owed = vec![Kind::Ok];
        if let Some(charsets) = &self.charsets {
            put_command(out, Command::Query, charsets.as_bytes());
            owed.push(Kind::Results);
        }
        match &self.database {
            Some(database) => {
                put_command(out, Command::InitDb, database.as_bytes());
                owed.push(Kind::Ok);
                self.link.converse(&owed).await.map(|_| true)
            }
            // Nobody can leave a schema without entering another one.
            None => {
                put_command(out, Command::Query, b"SELECT DATABASE()");
                owed.push(Kind::Results);
                let rows = self.link.converse(&owed).await?;
                Ok(rows == [[None]])
            }
        }
    }
}

/// What a session of a transaction pool needs of a connection before its next statement.
pub(super) struct Needs<'a> {
    pub(super) variables: &'a Arc<Variables>,
    /// It asks for LAST_INSERT_ID(), which is this.
    pub(super) last_insert_id: Option<u64>,
    pub(super) replica: bool,
    /// It asks for warnings, and there are none.
    pub(super) clears: bool,
}

impl Server {
    /// Makes the connection like the session's, if it is not; a question to the server at most.
    pub(super) async fn make_ready(&mut self, needs: &Needs<'_>) -> Result<(), LinkError> {
        let mut owed = Vec::new();
        let strange = |(name, value)| needs.variables.get(name) != Some(value);
        if !Arc::ptr_eq(&self.variables, needs.variables) && self.variables.iter().any(strange) {
            put_command(&mut self.link.out, Command::ResetConnection, b"");
            owed.push(Kind::Ok);
            self.was_reset();
            if let Some(charsets) = self.charsets.clone() {
                self.say(&charsets, &mut owed);
            }
        }
        if let (true, Some(database)) = (self.strayed, self.database.clone()) {
            put_command(&mut self.link.out, Command::InitDb, database.as_bytes());
            owed.push(Kind::Ok);
        }
        if !self.tracks {
            self.say(tracked::SETUP, &mut owed);
        }
        if self.reads_only != needs.replica {
            let mode = if needs.replica { "ONLY" } else { "WRITE" };
            self.say(&format!("SET SESSION TRANSACTION READ {mode}"), &mut owed);
        }
        if let Some(assignments) = tracked::assign(needs.variables, &self.variables) {
            self.say(&assignments, &mut owed);
        }
        if let Some(id) = needs.last_insert_id {
            self.say(&format!("SET last_insert_id = {id}"), &mut owed);
            self.last_insert_id = id;
        }
        if needs.clears {
            self.say("DO 0", &mut owed);
        }
        if !owed.is_empty() {
            self.link.converse(&owed).await?;
        }
        (self.tracks, self.reads_only, self.strayed) = (true, needs.replica, false);
        self.variables = needs.variables.clone();
        Ok(())
    }

    fn say(&mut self, statement: &str, owed: &mut Vec<Kind>) {
        put_command(&mut self.link.out, Command::Query, statement.as_bytes());
        owed.push(Kind::Results);
    }

    /// It is like a fresh one, but for its schema.
    pub(super) fn was_reset(&mut self) {
        (self.tracks, self.reads_only, self.last_insert_id) = (false, false, 0);
        self.variables = Arc::default();
        self.prepared.clear();
    }

    /// Nobody can leave a schema without entering another one.
    pub(super) fn is_lost_to_its_pool(&self) -> bool {
        self.strayed && self.database.is_none()
    }
}

impl Server {
    /// Prepares a statement here, in the schema that it was prepared in first; the session is in
    /// `schema`. Answers with the number that it has here.
    pub(super) async fn prepare(
        &mut self,
        statement: &Statement,
        schema: &str,
    ) -> Result<u32, LinkError> {
        let there = &*statement.content.surroundings.schema;
        // Without a schema every name that needs one has one.
        let moves = !there.is_empty() && !schema.is_empty() && there != schema;
        let out = &mut self.link.out;
        let mut owed = vec![Kind::Prepared];
        if moves {
            put_command(out, Command::InitDb, there.as_bytes());
            owed = vec![Kind::Ok, Kind::Prepared, Kind::Ok];
        }
        put_command(out, Command::StmtPrepare, &statement.content.text);
        if moves {
            put_command(out, Command::InitDb, schema.as_bytes());
        }
        self.link.converse(&owed).await?;
        let number = self.link.prepared.take().ok_or(LinkError::Closed)?.statement;
        self.has_prepared(statement.id, number);
        Ok(number)
    }

    /// It has a statement by this number of its own; one that it has twice is closed.
    pub(super) fn has_prepared(&mut self, id: u64, number: u32) {
        let spare = match self.prepared.get(id) {
            Some(_) => Some(number),
            None => self.prepared.add(id, number, self.max_prepared).map(|(_, number)| number),
        };
        if let Some(number) = spare {
            put_command(&mut self.link.out, Command::StmtClose, &number.to_le_bytes());
        }
    }
}

/// Gives a connection back that is clean but for its session; any other is closed.
pub fn reset_and_give_back(mut lease: Lease) {
    lease.entry.client.store(0, Ordering::Relaxed);
    tokio::spawn(async move {
        let limit = lease.pool().settings().connect_timeout;
        match tokio::time::timeout(limit, lease.clean()).await {
            Ok(Ok(true)) => lease.give_back(),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a session could not be reset"),
            Err(_) => tracing::debug!("a session was not reset in time"),
        }
    });
}
