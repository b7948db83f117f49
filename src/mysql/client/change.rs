//! COM_CHANGE_USER: another user, or the same, begins anew on the same connection.

use super::{Client, Leaving};
use crate::door::attendance::{Guest, Place};
use crate::door::gate::Stopped;
use crate::mysql::accept::{Claim, Dialogue, prove, welcome};
use crate::mysql::cluster::{Cluster, PoolKey, UserPools};
use crate::mysql::registry::Identity;
use crate::mysql::session::Session;
use crate::mysql::session::command::Head;
use crate::mysql::wire::handshake::NATIVE;
use crate::mysql::wire::{HEADER, Reader, WireError, capability, status};
use crate::refusal::Refusal;
use std::sync::Arc;

/// What the command says.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    user: String,
    database: Option<String>,
    collation: Option<u8>,
    plugin: String,
}

fn parse(payload: &[u8]) -> Result<Change, WireError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut reader = Reader::new(payload, "a change of the user");
    reader.u8()?;
    let user = text(reader.until_zero()?);
    let length = usize::from(reader.u8()?);
    // A proof for the challenge of the login: it is asked for anew.
    reader.bytes(length)?;
    let database = text(reader.until_zero_or_end());
    let collation = if reader.is_empty() { None } else { Some(reader.u16()? as u8) };
    let plugin = match reader.is_empty() {
        true => NATIVE.to_owned(),
        false => text(reader.until_zero_or_end()),
    };
    let database = Some(database).filter(|name| !name.is_empty());
    Ok(Change { user, database, collation, plugin })
}

/// Who the client is from now on.
struct Newcomer {
    cluster: Arc<Cluster>,
    pools: Arc<UserPools>,
    key: PoolKey,
}

impl Client {
    pub(super) async fn change_user(
        &mut self,
        head: Head,
        place: &mut Place,
    ) -> Result<(), Leaving> {
        let packet = self.input.split_to(head.len);
        self.relay.begin(None, head.sequence);
        if !self.input.is_empty() {
            // A proof that comes before its challenge is none.
            let what = "a change of the user before its challenge".into();
            return Err(Leaving::Refused(Refusal::Protocol(what)));
        }
        match self.judge(&packet[HEADER..], head.sequence, place).await {
            Ok(newcomer) => {
                self.become_another(newcomer);
                Ok(())
            }
            Err(Stopped::Quietly) => Err(Leaving::Gone),
            Err(Stopped::Refused(_) | Stopped::Failed(_)) => Err(Leaving::Told),
        }
    }

    /// The login anew, and what it leads to. Whoever fails is told so.
    async fn judge(
        &mut self,
        payload: &[u8],
        sequence: u8,
        place: &mut Place,
    ) -> Result<Newcomer, Stopped> {
        let (address, tls) = (self.entry.address.ip(), self.entry.tls);
        let mut dialogue = Dialogue::new(&mut self.stream, sequence);
        let asked = async {
            let change = parse(payload)?;
            let cluster = self.engine.cluster_of(change.database.as_deref())?.clone();
            let database = change.database.as_deref().unwrap_or_default();
            let claim = Claim {
                user: &change.user,
                database,
                address,
                tls,
                plugin: &change.plugin,
                scramble: b"",
                proof: b"",
                patience: self.engine.login_timeout,
            };
            let secret = prove(&mut dialogue, &cluster, &claim).await?;
            let mut seat = cluster.admit(address)?;
            let user: Arc<str> = change.user.as_str().into();
            let guest = Guest { user: user.clone(), database: database.into(), replicates: false };
            let own = cluster.users.current().max_clients(&user);
            seat.seat(guest.clone(), &cluster.guest_limits(&guest, own))?;
            let key = PoolKey {
                user,
                database: change.database.as_deref().map(Arc::from),
                capabilities: self.session.capabilities & capability::OF_THE_CLIENT,
                collation: change.collation.unwrap_or(self.session.collation),
            };
            let ok = welcome(status::AUTOCOMMIT);
            let capabilities = self.session.capabilities;
            dialogue.say(|out, sequence| ok.put(out, sequence, 0, capabilities)).await?;
            let pools = cluster.pools(key.clone(), &secret);
            *place = seat;
            Ok(Newcomer { cluster, pools, key })
        };
        let judged = asked.await;
        if let Err(Stopped::Refused(refusal) | Stopped::Failed(refusal)) = &judged {
            dialogue.refuse(refusal).await;
        }
        judged
    }

    fn become_another(&mut self, newcomer: Newcomer) {
        self.leave_server();
        let Newcomer { cluster, pools, key } = newcomer;
        let (capabilities, mode) = (self.session.capabilities, cluster.pool_settings.load().mode);
        self.session = Session::new(capabilities, key.collation, status::AUTOCOMMIT, mode);
        (self.cluster, self.pools, self.key) = (cluster, pools, key);
        *self.entry.identity.lock() = Identity {
            user: self.pools.user.clone(),
            database: self.pools.database.clone(),
            cluster: self.cluster.name.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_command_is_read() {
        let full = parse(b"\x11ann\0\x02xydb\0\x2d\0caching_sha2_password\0").expect("a change");
        assert_eq!((&*full.user, full.database.as_deref()), ("ann", Some("db")));
        assert_eq!((full.collation, &*full.plugin), (Some(45), "caching_sha2_password"));
        let short = parse(b"\x11ann\0\0\0").expect("a change");
        assert_eq!((short.database, short.collation, &*short.plugin), (None, None, NATIVE));
        assert!(parse(b"\x11ann").is_err());
    }
}
