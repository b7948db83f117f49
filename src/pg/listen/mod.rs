//! LISTEN without a server connection for each who listens: one connection of the primary for each
//! database listens to whatever any session listens to, and shares out what it hears.
//!
//! A session's LISTEN goes to its own server as well, so that tags, errors and transactions are
//! PostgreSQL's; that server unlistens before anybody else gets it. Before the LISTEN goes there,
//! the hub listens, and so hears whatever is committed after it.
//!
//! [`roster`] is the pure part: who hears what, and what the connection is to be told. When the
//! connection is lost, so is what is notified until there is another one, as with any connection
//! that listens; nothing in the protocol tells a client, so it is logged and counted.

mod hub;
mod mailbox;
mod roster;

pub use hub::Hub;
pub use mailbox::{Letter, Mailbox};
pub use roster::Heard;

use super::cluster::Cluster;
use crate::task::Tasks;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The hubs of a cluster by their databases.
#[derive(Default)]
pub struct Hubs {
    open: Mutex<HashMap<Arc<str>, Arc<Hub>>>,
}

impl Hubs {
    /// Has the database's hub, which is opened if need be, listen for a session. The receiver
    /// resolves when it does, and fails when it cannot.
    pub fn listen(
        &self,
        cluster: &Arc<Cluster>,
        tasks: &Tasks,
        mailbox: &Arc<Mailbox>,
        channels: &[Arc<str>],
    ) -> (Arc<Hub>, oneshot::Receiver<()>) {
        // Under the lock: a hub that nobody needs any more leaves the table under it.
        let mut open = self.open.lock();
        let database = &mailbox.pools().database;
        let hub = open.entry(database.clone()).or_insert_with(|| {
            let hub = Arc::new(Hub::new(database.clone()));
            let (running, cluster) = (hub.clone(), cluster.clone());
            tasks.spawn_brief("notifications", |stop| running.run(cluster, stop));
            hub
        });
        let done = hub.listen(mailbox, channels);
        (hub.clone(), done)
    }

    /// The hub of a database, if anybody listens there.
    pub fn get(&self, database: &str) -> Option<Arc<Hub>> {
        self.open.lock().get(database).cloned()
    }

    /// Closes the connection to a database if nobody listens there any more.
    pub fn close_idle(&self, database: &str) {
        if let Some(hub) = self.get(database) {
            hub.close_if_idle();
        }
    }

    pub fn all(&self) -> Vec<Arc<Hub>> {
        self.open.lock().values().cloned().collect()
    }

    /// Takes a hub off the table if nobody needs it; true when it may end.
    fn retire(&self, hub: &Arc<Hub>) -> bool {
        let mut open = self.open.lock();
        let over = hub.is_empty();
        if over && open.get(&hub.database).is_some_and(|known| Arc::ptr_eq(known, hub)) {
            open.remove(&hub.database);
        }
        over
    }
}
