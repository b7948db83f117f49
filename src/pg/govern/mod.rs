//! Orders to PostgreSQL servers: the hands of [`crate::failover`].
//!
//! All is done by SQL as the monitor's user, who must be a superuser for it: it changes
//! `primary_conninfo`, `synchronous_standby_names` and `pg_hba.conf`, and ends sessions.

mod conninfo;
mod fence;
mod link;
mod outcome;
mod rows;
mod standby;

pub use conninfo::{BadConninfo, aim};
pub use outcome::{Committing, Outcome, Outcomes};

use super::connect::Node;
use crate::failover::{
    Actuator, Candidate, Evidence, Name, Place, Promoted, Quorum, Record, Row, Term, Trouble,
};
use crate::orders::Agent;
use link::Link;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Config;

/// One server, and how candidates are ranked.
#[derive(Clone)]
pub struct Subject {
    pub node: Arc<Node>,
    pub priority: u32,
    pub agent: Option<Agent>,
}

/// Gives orders to the servers of one cluster.
pub struct Governor {
    subjects: Vec<Subject>,
    login: Config,
    /// How long a connection may take to open.
    patience: Duration,
    /// The connection that heartbeats go by.
    heart: Mutex<Option<Heart>>,
}

/// Leads to one node since then.
struct Heart {
    node: Name,
    since: Instant,
    link: Link,
}

/// So often the heartbeat comes by a new login.
const FRESH: Duration = Duration::from_secs(3);

/// How long such a login may take. A heartbeat has a second.
const LOGIN: Duration = Duration::from_millis(600);

impl Governor {
    pub fn new(subjects: Vec<Subject>, login: Config, patience: Duration) -> Governor {
        Governor { subjects, login, patience, heart: Mutex::default() }
    }

    fn subject(&self, name: &Name) -> Result<&Subject, Trouble> {
        let found = self.subjects.iter().find(|subject| subject.node.name == *name);
        found.ok_or_else(|| Trouble::Unreachable {
            node: name.clone(),
            cause: "it is not in the configuration".into(),
        })
    }

    async fn link(&self, name: &Name) -> Result<Link, Trouble> {
        Link::open(&self.subject(name)?.node, &self.login, self.patience).await
    }
}

impl Governor {
    async fn fresh_heart(&self, node: &Name) -> Result<Heart, Trouble> {
        let subject = self.subject(node)?;
        let login = Link::open(&subject.node, &self.login, self.patience);
        let link = match timeout(LOGIN, login).await {
            Ok(opened) => opened?,
            Err(_) => return Err(link::silent(&subject.node).await),
        };
        Ok(Heart { node: node.clone(), since: Instant::now(), link })
    }
}

impl Actuator for Governor {
    async fn revoke(&self, node: &Name, term: Term) -> Result<Place, Trouble> {
        standby::revoke(&self.link(node).await?, term).await
    }

    async fn reconnect(&self, node: &Name) -> Result<(), Trouble> {
        standby::reconnect(&self.link(node).await?).await
    }

    async fn look(&self, node: &Name) -> Result<Candidate, Trouble> {
        let priority = self.subject(node)?.priority;
        standby::look(&self.link(node).await?, priority).await
    }

    fn agent(&self, node: &Name) -> Option<&Agent> {
        self.subject(node).ok()?.agent.as_ref()
    }

    fn address(&self, node: &Name) -> Result<String, Trouble> {
        Ok(self.subject(node)?.node.address.to_string())
    }

    async fn fence(&self, node: &Name) -> Result<Evidence, Trouble> {
        match self.link(node).await {
            Ok(link) => {
                fence::close(&link).await?;
                fence::observe(&self.subject(node)?.node, &self.login, self.patience).await
            }
            Err(Trouble::NobodyListens { .. }) => {
                // Once more: a server that is restarted listens again at some time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                match self.link(node).await {
                    Err(Trouble::NobodyListens { .. }) => Ok(Evidence::NobodyListens),
                    Err(trouble) => Err(trouble),
                    Ok(_) => Err(link::not_observed(node, "stay away")),
                }
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn unfence(&self, node: &Name) -> Result<(), Trouble> {
        fence::open(&self.link(node).await?).await
    }

    async fn end_of_log(&self, node: &Name) -> Result<Place, Trouble> {
        standby::end_of_log(&self.link(node).await?).await
    }

    async fn promote(&self, node: &Name) -> Result<Promoted, Trouble> {
        standby::promote(&self.link(node).await?).await
    }

    async fn install(
        &self,
        record: &Record,
        node: &Name,
        quorum: Option<&Quorum>,
    ) -> Result<(), Trouble> {
        let link = self.link(node).await?;
        rows::claim(&link, record, node).await?;
        match quorum {
            Some(quorum) => rows::wait_for(&link, quorum).await,
            None => Ok(()),
        }
    }

    async fn repoint(&self, node: &Name, primary: &Name, term: Term) -> Result<(), Trouble> {
        let address = self.subject(primary)?.node.address.clone();
        let link = self.link(node).await?;
        if let Some(slot) = standby::slot(&link).await? {
            standby::make_slot(&self.link(primary).await?, &slot).await?;
        }
        standby::repoint(&link, &address, term).await
    }

    async fn is_able(&self, node: &Name) -> Result<(), Trouble> {
        let link = self.link(node).await?;
        const RIGHTS: &str = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
        match link.one::<bool>(RIGHTS).await? {
            true => Ok(()),
            false => Err(link.refused("failover needs the monitor's user to be a superuser there")),
        }
    }

    async fn checkpoint(&self, node: &Name) -> Result<(), Trouble> {
        self.link(node).await?.run("CHECKPOINT").await
    }

    async fn arm(&self, record: &Record, quorum: &Quorum) -> Result<(), Trouble> {
        let link = self.link(&record.primary).await?;
        rows::wait_for(&link, quorum).await?;
        rows::reached(&link, quorum).await
    }

    async fn beat(&self, record: &Record) -> Result<Row, Trouble> {
        let mut kept = self.heart.lock().await;
        // Taken out: a beat that is not waited for any more takes its connection with it.
        let old = kept.take().filter(|h| h.node == record.primary && h.since.elapsed() < FRESH);
        let heart = match old {
            Some(heart) => heart,
            None => self.fresh_heart(&record.primary).await?,
        };
        let row = rows::beat(&heart.link, record).await?;
        *kept = Some(heart);
        Ok(row)
    }

    async fn row(&self, node: &Name, cluster: &Name) -> Result<Option<Row>, Trouble> {
        rows::read(&self.link(node).await?, cluster).await
    }
}
