//! From a login to what it is for: a client of the pools, or a replication connection.

use super::asked::Asked;
use super::{Arriving, Stopped};
use crate::dispatch::{Errand, Wanted};
use crate::pg::attendance::{Guest, Place};
use crate::pg::auth::Accepted;
use crate::pg::client::{Arrived, Client};
use crate::pg::cluster::{Cluster, UserPools};
use crate::pg::engine::Engine;
use crate::pg::params::Params;
use crate::pg::registry::{ClientEntry, NewClient, Registration};
use crate::pg::replication::{self, Kind, Relay};
use crate::pg::session::{Reported, Session};
use crate::pg::welcome::{self, Welcome};
use crate::pg::wire;
use crate::pool::Mode;
use crate::refusal::Refusal;
use crate::route::{self, Consistency, Known, Wants, Wish};
use crate::sql::{self, Pin};
use crate::topology::NodeSet;
use bytes::{BufMut, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;

/// Somebody who has proven who it is.
pub(super) struct Proven {
    pub(super) engine: Arc<Engine>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) asked: Asked,
    pub(super) accepted: Accepted,
    pub(super) address: SocketAddr,
    pub(super) place: Place,
}

/// A connection whose login is over, and its place in the cluster.
pub(super) enum Entered {
    Client(Box<Client>, Place),
    Relay(Box<Relay>, Place),
}

impl Arriving {
    pub(super) async fn enter(&mut self, mut known: Proven) -> Result<Entered, Stopped> {
        let Proven { cluster, asked, .. } = &known;
        let guest = Guest {
            user: asked.user.as_str().into(),
            database: asked.database.as_str().into(),
            replicates: asked.replication.is_some(),
        };
        let limits = cluster.guest_limits(&guest, cluster.users.current().max_clients(&guest.user));
        known.place.seat(guest.clone(), &limits)?;
        match known.asked.replication {
            Some(kind) => self.enter_relay(known, guest, kind).await,
            None => self.enter_client(known).await,
        }
    }

    async fn enter_client(&mut self, known: Proven) -> Result<Entered, Stopped> {
        let Proven { engine, cluster, asked, accepted, .. } = &known;
        let weak = asked.params.get("synchronous_commit").is_some_and(|v| sql::is_weak_commit(v));
        if cluster.strict && weak {
            return Err(Refusal::WeakCommit.into());
        }
        let pools = cluster.pools(&asked.user, &asked.database, &accepted.secret);
        let (params, greeting) = greet(cluster, &pools, asked.params.clone()).await?;
        // One copy of each name, however many clients have it.
        let guest =
            Guest { user: pools.user.clone(), database: pools.database.clone(), replicates: false };
        let application = params.get("application_name").cloned();
        let entry = self.registered(&known, guest, application.unwrap_or_else(|| "".into()))?;
        self.say_hello(accepted, &greeting, &entry).await?;
        let pin = (cluster.pool_settings.load().mode == Mode::Session).then_some(Pin::Mode);
        let session = Session::new(params, pin).greeted(&greeting);
        let (stream, input) = (self.stream.take(), std::mem::take(&mut self.input));
        let stream = stream.ok_or(Stopped::Quietly)?;
        let cluster = cluster.clone();
        let arrived = Arrived { stream, input, session, cluster, pools, entry };
        let client = Box::new(Client::new(engine.clone(), arrived));
        Ok(Entered::Client(client, known.place))
    }

    async fn enter_relay(
        &mut self,
        known: Proven,
        guest: Guest,
        kind: Kind,
    ) -> Result<Entered, Stopped> {
        let Proven { cluster, asked, accepted, .. } = &known;
        let who = (&*asked.user, &*asked.database, kind);
        let opened = replication::open(cluster, who, &asked.hello, &accepted.secret).await?;
        let entry = self.registered(&known, guest, asked.application())?;
        self.say_hello(accepted, &opened.server.reported, &entry).await?;
        let stream = self.stream.take().ok_or(Stopped::Quietly)?;
        let client = (stream, &*std::mem::take(&mut self.input));
        let relay = Relay::new(known.engine, known.cluster, client, entry, opened);
        Ok(Entered::Relay(Box::new(relay), known.place))
    }

    /// In the table of clients from now on.
    fn registered(
        &self,
        known: &Proven,
        guest: Guest,
        application: Arc<str>,
    ) -> Result<Registration<ClientEntry>, Refusal> {
        let new = NewClient {
            user: guest.user,
            database: guest.database,
            cluster: known.cluster.name.clone(),
            address: known.address,
            tls: self.channel.is_some(),
            secret: fresh_secret(known.asked.hello.minor)?,
            application,
            replication: known.asked.replication,
        };
        known.cluster.counters.logins.increment();
        Ok(known.engine.clients.enter(|id| ClientEntry::new(id, new)))
    }

    async fn say_hello(
        &mut self,
        accepted: &Accepted,
        reported: &Reported,
        entry: &ClientEntry,
    ) -> Result<(), Stopped> {
        let mut out = BytesMut::new();
        for body in &accepted.send {
            wire::put_frame(&mut out, b'R', |b| b.put_slice(body));
        }
        for (name, value) in &reported.0 {
            wire::put_parameter_status(&mut out, name, value);
        }
        wire::put_backend_key(&mut out, entry.pid(), &entry.secret);
        wire::put_ready(&mut out, b'I');
        self.write(&out).await
    }
}

/// The parameters as a server reports them for this client.
async fn greet(
    cluster: &Arc<Cluster>,
    pools: &Arc<UserPools>,
    params: Arc<Params>,
) -> Result<Welcome, Refusal> {
    if let Some(known) = cluster.welcomes.get(pools, &params) {
        return Ok(known);
    }
    let turn = cluster.turn();
    let from = |wish: Wish| Errand {
        wants: Wants::Read,
        wanted: Wanted { wish, after: None },
        known: Known::default(),
        wrote: None,
        avoid: NodeSet::default(),
        turn,
    };
    let recent = Wish { consistency: Some(Consistency::Bounded), ..Wish::default() };
    let found = match cluster.find(&pools.choice(), from(recent)).await {
        // Reads may have to fail then; a login is none, and may be about to write.
        Err(Refusal::NoFreshReplica { .. } | Refusal::ServerEnded { .. }) => {
            let primary = Wish { place: Some(route::Place::Primary), ..Wish::default() };
            cluster.find(&pools.choice(), from(primary)).await?
        }
        found => found?,
    };
    let welcome = welcome::learn(found.lease, &params).await?;
    cluster.welcomes.put(pools, &params, welcome.clone());
    Ok(welcome)
}

/// Four bytes for protocol 3.0, as ever; 32 for 3.2.
fn fresh_secret(minor: u32) -> Result<Box<[u8]>, Refusal> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut secret = vec![0; if minor >= 2 { 32 } else { 4 }];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Refusal::Internal("the system gives no random bytes".into()))?;
    Ok(secret.into())
}
