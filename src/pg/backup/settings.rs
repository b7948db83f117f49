//! How servers are reached for backups.

use crate::pg::auth::{Secret, ServerSecret};
use crate::pg::connect::Node;
use std::sync::Arc;
use std::time::Duration;

/// The nodes of a cluster, and who logs in: a user with the attribute REPLICATION.
#[derive(Clone)]
pub struct Reach {
    pub nodes: Vec<Arc<Node>>,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    /// How long a login may take.
    pub patience: Duration,
}

impl Reach {
    pub(super) fn secret(&self) -> ServerSecret {
        self.password.clone().map_or_else(ServerSecret::default, ServerSecret::password)
    }

    /// For questions in SQL.
    pub(super) fn login(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.database).application_name("tidegate backup");
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        config
    }
}
