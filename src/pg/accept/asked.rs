//! What the startup packet asks for.

use crate::pg::auth::rules::REPLICATION;
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::pg::options;
use crate::pg::params::Params;
use crate::pg::replication::{Destination, Kind};
use crate::pg::wire::startup::Startup;
use crate::refusal::Refusal;
use std::sync::Arc;

pub(super) struct Asked {
    pub(super) user: String,
    /// As the packet names it.
    named: Option<String>,
    /// For physical replication, which is of no database, the word that stands for it.
    pub(super) database: String,
    pub(super) replication: Option<Kind>,
    /// None of a replication connection: there the server reads them.
    pub(super) params: Arc<Params>,
    pub(super) hello: Startup,
}

fn text(hello: &Startup, name: &str) -> Result<Option<String>, Refusal> {
    let text = hello.get(name).map(|v| String::from_utf8(v.to_vec())).transpose();
    text.map_err(|_| Refusal::Protocol(format!("{name} is not valid UTF-8")))
}

impl Asked {
    pub(super) fn read(hello: Startup) -> Result<Asked, Refusal> {
        let text = |name| text(&hello, name);
        let user = text("user")?
            .filter(|user| !user.is_empty())
            .ok_or_else(|| Refusal::Protocol("no PostgreSQL user name in startup packet".into()))?;
        let named = text("database")?.filter(|database| !database.is_empty());
        let replication = match text("replication")? {
            Some(value) => Kind::parse(&value)?,
            None => None,
        };
        let database = match replication {
            Some(Kind::Physical) => REPLICATION.to_owned(),
            _ => named.clone().unwrap_or_else(|| user.clone()),
        };
        let mut params = Params::default();
        if replication.is_none() {
            for (name, value) in &hello.parameters {
                options::startup_parameter(&mut params, name, value)?;
            }
        }
        Ok(Asked { user, named, database, replication, params: Arc::new(params), hello })
    }

    /// The cluster that is asked for, if it takes such connections.
    pub(super) fn cluster(&self, engine: &Engine) -> Result<Arc<Cluster>, Refusal> {
        let found = match self.replication {
            Some(Kind::Physical) => engine.cluster_to_replicate(self.named.as_deref())?,
            Some(Kind::Logical) | None => {
                let unknown = || Refusal::UnknownDatabase(self.database.clone());
                engine.cluster_of(&self.database).ok_or_else(unknown)?
            }
        };
        if self.replication.is_some() && found.access.load().replication == Destination::Off {
            return Err(Refusal::ReplicationOff { cluster: found.name.clone() });
        }
        found.is_open()?;
        Ok(found.clone())
    }

    /// `None`: of no database.
    pub(super) fn of_database(&self) -> Option<&str> {
        (self.replication != Some(Kind::Physical)).then_some(&*self.database)
    }

    pub(super) fn application(&self) -> Arc<str> {
        let name = self.hello.get("application_name").unwrap_or_default();
        String::from_utf8_lossy(name).into()
    }
}
