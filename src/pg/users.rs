//! Who a client may be: from the cluster's table of users, or asked of the database.

use super::auth::{Credential, Secret};
use super::cluster::Cluster;
use super::connect::Node;
use crate::refusal::Refusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer of `auth_query` is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// Answers kept.
const KEPT: usize = 10_000;

/// When it was given, and what it was; `None`: there is no such user.
type Answer = (Instant, Option<Arc<Credential>>);

/// Answers of `auth_query`, by user.
#[derive(Default)]
pub struct Asked {
    known: Mutex<HashMap<String, Answer>>,
}

impl Asked {
    /// Asks again from now on.
    pub fn forget(&self) {
        self.known.lock().clear();
    }
}

impl Cluster {
    /// What `user` proves itself by; `None`: there is no such user.
    pub async fn credential(
        &self,
        user: &str,
        database: &str,
    ) -> Result<Option<Arc<Credential>>, Refusal> {
        if let Some(known) = self.users.current().lookup(user) {
            return Ok(Some(known));
        }
        let auth = self.live.load().auth.clone();
        let (Some(query), Some(by)) = (&auth.auth_query, &auth.auth_user) else { return Ok(None) };
        if let Some((at, answer)) = self.asked.known.lock().get(user)
            && at.elapsed() < BELIEVED
        {
            return Ok(answer.clone());
        }
        let answer = self.ask_for(user, database, query, by).await?;
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
        database: &str,
        query: &str,
        by: &str,
    ) -> Result<Option<Arc<Credential>>, Refusal> {
        let secret = self.users.current().lookup(by);
        let password = secret.as_ref().and_then(|c| c.password().cloned());
        let mut last = None;
        for node in &self.nodes {
            match ask(node, (by, password.as_ref()), database, query, user).await {
                Ok(answer) => return Ok(answer),
                Err(cause) => {
                    tracing::warn!(node = &*node.name, cause, "auth_query failed");
                    last = Some(Refusal::ServerUnreachable { node: node.name.clone(), cause });
                }
            }
        }
        Err(last.unwrap_or_else(|| Refusal::Internal("a cluster without nodes".into())))
    }
}

async fn ask(
    node: &Node,
    (by, password): (&str, Option<&Secret>),
    database: &str,
    query: &str,
    user: &str,
) -> Result<Option<Arc<Credential>>, String> {
    let text = |e: tokio_postgres::Error| e.to_string();
    let mut config = tokio_postgres::Config::new();
    config.user(by).dbname(database).application_name("tidegate auth_query");
    if let Some(password) = password {
        config.password(password.expose());
    }
    let (stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let (client, connection) =
        config.connect_raw(stream, tokio_postgres::NoTls).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    // The search path of the startup packet must not decide which functions answer.
    client.batch_execute("SET search_path = pg_catalog, pg_temp").await.map_err(text)?;
    let row = client.query_opt(query, &[&user]).await.map_err(text)?;
    connection.abort();
    let secret = row.and_then(|row| row.try_get::<_, Option<String>>(1).ok().flatten());
    let Some(secret) = secret else { return Ok(None) };
    let parse = move || Credential::parse(&Secret::new(secret));
    let parsed = tokio::task::spawn_blocking(parse).await.map_err(|e| e.to_string())?;
    parsed.map(|credential| Some(Arc::new(credential))).map_err(|e| e.to_string())
}
