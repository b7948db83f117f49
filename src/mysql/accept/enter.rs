//! From a client's answer to a client of the pools.

use super::{Arriving, Claim, Stopped, prove};
use crate::door::attendance::{Guest, Place};
use crate::mysql::client::{Arrived, Client};
use crate::mysql::cluster::PoolKey;
use crate::mysql::engine::Engine;
use crate::mysql::registry::{ClientEntry, Identity, NewClient};
use crate::mysql::session::Session;
use crate::mysql::wire::capability;
use crate::mysql::wire::handshake::{Greeting, Response};
use crate::mysql::wire::ok::Ok as OkPacket;
use std::sync::Arc;

impl Arriving {
    pub(super) async fn enter(
        &mut self,
        engine: &Arc<Engine>,
        id: u64,
        greeting: &Greeting,
        response: Response,
    ) -> Result<(Box<Client>, Place), Stopped> {
        let cluster = engine.cluster_of(response.database.as_deref())?.clone();
        let mut place = cluster.admit(self.address.ip())?;
        let Some(dialogue) = &mut self.dialogue else { return Err(Stopped::Quietly) };
        let database = response.database.as_deref().unwrap_or_default();
        let tls = dialogue.stream.is_tls();
        let claim = Claim {
            user: &response.user,
            database,
            address: self.address.ip(),
            tls,
            plugin: &response.plugin,
            scramble: &greeting.scramble,
            proof: &response.proof,
            patience: engine.login_timeout,
        };
        let secret = prove(dialogue, &cluster, &claim).await?;
        let user: Arc<str> = response.user.as_str().into();
        let guest = Guest { user: user.clone(), database: database.into(), replicates: false };
        let own = cluster.users.current().max_clients(&user);
        place.seat(guest.clone(), &cluster.guest_limits(&guest, own))?;
        let key = PoolKey {
            user,
            database: response.database.as_deref().map(Arc::from),
            capabilities: response.capabilities & capability::OF_THE_CLIENT,
            collation: response.collation,
        };
        let pools = cluster.pools(key.clone(), &secret);
        let mode = cluster.pool_settings.load().mode;
        cluster.counters.logins.increment();
        let ok = welcome(greeting.status);
        dialogue.say(|out, sequence| ok.put(out, sequence, 0, response.capabilities)).await?;
        let Some(dialogue) = self.dialogue.take() else { return Err(Stopped::Quietly) };
        let program = response.attributes.iter().find(|(name, _)| name == "program_name");
        let entry = engine.clients.enter_as(id, |id| {
            let identity = Identity {
                user: pools.user.clone(),
                database: pools.database.clone(),
                cluster: cluster.name.clone(),
            };
            let application = program.map_or("", |(_, value)| value.as_str()).into();
            let new = NewClient { identity, address: self.address, tls, application };
            ClientEntry::new(id, new)
        });
        let capabilities = response.capabilities & greeting.capabilities;
        let session = Session::new(capabilities, response.collation, greeting.status, mode);
        let stream = dialogue.stream;
        let arrived = Arrived { stream, session, cluster, pools, key, entry };
        Ok((Box::new(Client::new(engine.clone(), arrived)), place))
    }
}

/// The end of a login.
pub(in crate::mysql) fn welcome(status: u16) -> OkPacket<'static> {
    let (info, track) = (&b""[..], &b""[..]);
    OkPacket { affected_rows: 0, last_insert_id: 0, status, warnings: 0, info, track }
}
