//! Who a client may be: from the cluster's table of users, or asked of the database.

use super::auth::{AuthQuery, Credential, Secret};
use super::cluster::Cluster;
use super::connect::Node;
use crate::refusal::Refusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_postgres::Client;

/// How long an answer of `auth_query` is believed, unless a login fails by it.
const BELIEVED: Duration = Duration::from_secs(10);
/// Questions of one cluster that may be under way at once: a login storm must not become one
/// of connections to the servers.
const AT_ONCE: usize = 4;
/// Answers kept.
const KEPT: usize = 10_000;

/// When it was given, and what it was; `None`: there is no such user.
type Answer = (Instant, Option<Arc<Credential>>);

/// Answers of `auth_query`, by user.
pub struct Asked {
    known: Mutex<HashMap<String, Answer>>,
    asking: Semaphore,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked { known: Mutex::default(), asking: Semaphore::new(AT_ONCE) }
    }
}

impl Asked {
    /// Asks for everyone again from now on.
    pub fn forget_all(&self) {
        self.known.lock().clear();
    }

    /// Asks for this user again.
    pub fn forget(&self, user: &str) {
        self.known.lock().remove(user);
    }

    fn believed(&self, user: &str) -> Option<Option<Arc<Credential>>> {
        let known = self.known.lock();
        let (at, answer) = known.get(user)?;
        (at.elapsed() < BELIEVED).then(|| answer.clone())
    }
}

impl Cluster {
    /// What `user` proves itself by; `None`: there is no such user.
    pub async fn credential(&self, user: &str) -> Result<Option<Arc<Credential>>, Refusal> {
        if let Some(known) = self.users.current().lookup(user) {
            return Ok(Some(known));
        }
        let auth = self.access.load().auth.clone();
        let Some(query) = &auth.auth_query else { return Ok(None) };
        if let Some(answer) = self.asked.believed(user) {
            return Ok(answer);
        }
        let turn = self.asked.asking.acquire().await;
        let _turn = turn.map_err(|e| Refusal::Internal(e.to_string()))?;
        // Somebody else may have asked meanwhile.
        if let Some(answer) = self.asked.believed(user) {
            return Ok(answer);
        }
        let answer = self.ask_for(user, query).await?;
        let mut known = self.asked.known.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(user.to_owned(), (Instant::now(), answer.clone()));
        Ok(answer)
    }

    /// Asks the nodes in turn, replicas included: the table of users is the same on all.
    async fn ask_for(
        &self,
        user: &str,
        query: &AuthQuery,
    ) -> Result<Option<Arc<Credential>>, Refusal> {
        let limit = self.pool_settings.load().connect_timeout;
        for node in &self.nodes {
            let asked = tokio::time::timeout(limit, ask(node, query, user)).await;
            match asked.unwrap_or_else(|_| Err(format!("no answer within {limit:?}"))) {
                Ok(answer) => return Ok(answer),
                Err(cause) => tracing::warn!(node = &*node.name, cause, "auth_query failed"),
            }
        }
        Err(Refusal::Lookup(user.to_owned()))
    }
}

async fn ask(node: &Node, by: &AuthQuery, user: &str) -> Result<Option<Arc<Credential>>, String> {
    let mut config = tokio_postgres::Config::new();
    config.user(&by.user).dbname(&by.database).application_name("tidegate auth_query");
    if let Some(password) = &by.password {
        config.password(password.expose());
    }
    let (stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let (client, connection) =
        config.connect_raw(stream, tokio_postgres::NoTls).await.map_err(in_words)?;
    let connection = tokio::spawn(connection);
    let answer = row(&client, &by.query, user).await.map_err(in_words);
    connection.abort();
    let Some(secret) = answer? else { return Ok(None) };
    let parse = move || Credential::parse(&Secret::new(secret));
    let parsed = tokio::task::spawn_blocking(parse).await.map_err(|e| e.to_string())?;
    parsed.map(|credential| Some(Arc::new(credential))).map_err(|e| e.to_string())
}

/// The second column, where there is a row and it is not null.
async fn row(
    client: &Client,
    query: &str,
    user: &str,
) -> Result<Option<String>, tokio_postgres::Error> {
    // The search path of the startup packet must not decide which functions answer.
    client.batch_execute("SET search_path = pg_catalog, pg_temp").await?;
    match client.query_opt(query, &[&user]).await? {
        Some(row) => row.try_get(1),
        None => Ok(None),
    }
}

/// The error's own text is general: "db error".
fn in_words(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_string())
}
