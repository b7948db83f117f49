//! What a client is told after its login: the server's parameters, as they are for this client.
//!
//! A server is asked once for each user, database and set of startup parameters; who comes later
//! with the same is answered from memory.

use super::cluster::{Lease, UserPools};
use super::params::Params;
use super::server::ExchangeError;
use super::session::Reported;
use super::session::proof::Residue;
use super::statement::OnServer;
use crate::refusal::Refusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

type Key = (Arc<str>, Arc<str>, Arc<Params>);

/// ParameterStatus for a client, in the server's order.
pub(super) type Greeting = Arc<Vec<(Box<[u8]>, Box<[u8]>)>>;

/// The parameters as the server spells them, for whoever asks for the same, and the greeting.
pub(super) type Welcome = (Arc<Params>, Greeting);

/// Greetings by user, database and startup parameters.
#[derive(Default)]
pub struct Welcomes {
    known: Mutex<HashMap<Key, Welcome>>,
}

/// More are not kept: applications have few kinds of connections.
const KEPT: usize = 1000;

impl Welcomes {
    /// The greeting, and the parameters as the first who asked brought them: sessions that share
    /// them are known to agree at a glance.
    pub fn get(&self, pools: &UserPools, params: &Arc<Params>) -> Option<Welcome> {
        let key = (pools.user.clone(), pools.database.clone(), params.clone());
        self.known.lock().get(&key).cloned()
    }

    pub fn put(&self, pools: &UserPools, params: &Arc<Params>, welcome: Welcome) {
        let mut known = self.known.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert((pools.user.clone(), pools.database.clone(), params.clone()), welcome);
    }

    pub fn clear(&self) {
        self.known.lock().clear();
    }
}

/// Applies the startup parameters on a server and learns what it reports then.
/// The server itself says which of them are wrong.
pub(super) async fn learn(mut lease: Lease, params: &Arc<Params>) -> Result<Welcome, Refusal> {
    let node = lease.entry.node.clone();
    let replay = lease.backend.params.replay(params);
    if !replay.sql.is_empty() {
        match lease.run(&replay.sql).await {
            Ok(()) => {}
            Err(ExchangeError::Fault(fault)) => {
                let code = fault.sqlstate().to_string();
                return Err(Refusal::ServerEnded { node, code, message: fault.message });
            }
            Err(error) => return Err(Refusal::ServerLost { node, cause: error.to_string() }),
        }
    }
    let Reported(mut greeting) = lease.backend.reported.clone();
    let params =
        Arc::new(params.spelt_as(greeting.iter().map(|(name, value)| (&**name, &**value))));
    lease.backend.params = params.clone();
    lease.give_back();
    // A standby says so; a client of the proxy is not to notice.
    greeting.iter_mut().filter(|(n, _)| **n == *b"in_hot_standby").for_each(|(_, v)| {
        *v = b"off"[..].into();
    });
    Ok((params, Arc::new(greeting)))
}

/// Resets a server that a session leaves, and lends it again if that succeeds.
pub(super) fn reset_and_give_back(mut lease: Lease, residue: Residue) {
    tokio::spawn(async move {
        let limit = lease.pool().settings().connect_timeout;
        let reset = tokio::time::timeout(limit, lease.run(residue.remedy())).await;
        if let Ok(Ok(())) = reset {
            if residue == Residue::Statements {
                lease.backend.prepared = OnServer::default();
            }
            lease.backend.params = Arc::default();
            lease.give_back();
        }
    });
}
