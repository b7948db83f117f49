//! The login itself: by which rule, how it is proven, and what failing costs.

use super::{Dialogue, Stopped};
use crate::door::Method;
use crate::door::rules::{Caller, Verdict};
use crate::door::throttle::{Noted, Turn};
use crate::mysql::auth::{self, Credential, Plugin, ServerSecret};
use crate::mysql::cluster::{Cluster, Flavour};
use crate::mysql::refuse::access_denied;
use crate::mysql::wire::handshake::{self, Greeting, SCRAMBLE};
use crate::refusal::Refusal;
use crate::secret::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// What a client says who it is, and its first proof of it.
pub(in crate::mysql) struct Claim<'a> {
    pub user: &'a str,
    /// Empty: none.
    pub database: &'a str,
    pub address: IpAddr,
    pub tls: bool,
    /// The method that the proof was made by, and the challenge; empty: none yet.
    pub plugin: &'a str,
    pub scramble: &'a [u8],
    pub proof: &'a [u8],
    /// The client has to be told within this.
    pub patience: Duration,
}

/// The method that clients of such a server expect.
pub(super) fn preferred(greeting: &Greeting) -> Plugin {
    if greeting.is_mariadb() { Plugin::Native } else { Plugin::CachingSha2 }
}

/// A fresh challenge, of letters that no client takes for an end.
pub(super) fn scramble() -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; SCRAMBLE];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::Internal("the system gives no random bytes".into()))?;
    bytes.iter_mut().for_each(|byte| *byte = b'%' + *byte % 90);
    Ok(bytes)
}

/// Whoever is who it says it is leaves behind what opens servers.
pub(in crate::mysql) async fn prove(
    dialogue: &mut Dialogue<impl AsyncRead + AsyncWrite + Unpin>,
    cluster: &Arc<Cluster>,
    claim: &Claim<'_>,
) -> Result<ServerSecret, Stopped> {
    let policy = cluster.policy.load_full();
    let users = cluster.users.current();
    let known = users.lookup(claim.user);
    let caller = Caller {
        user: claim.user,
        database: Some(claim.database),
        address: claim.address,
        tls: claim.tls,
    };
    match policy.verdict(&caller) {
        Verdict::Prove(Method::Trust) => {
            return Ok(match known {
                Some(Credential::Password(password)) => ServerSecret::password(password.clone()),
                _ => ServerSecret::default(),
            });
        }
        Verdict::Prove(_) => {}
        Verdict::Rejected(rule) => {
            let (cluster, caller) = (cluster.name.clone(), describe(&caller));
            return Err(Refusal::RejectedByRule { cluster, rule, caller }.into());
        }
        Verdict::NoMatch => {
            let (cluster, caller) = (cluster.name.clone(), describe(&caller));
            return Err(Refusal::NoRule { cluster, caller }.into());
        }
    }
    let by = &policy.throttle;
    let attempt = cluster.throttle.attempt(claim.user, claim.address);
    let patience = by.max_delay.min(claim.patience / 2);
    if let Some(wait) = cluster.throttle.refuses(attempt, by, patience, Instant::now()) {
        return Err(too_many(cluster, claim, wait));
    }
    // A user that does not exist is asked the same.
    let nobody = Credential::Password(Secret::new(scramble()?));
    let credential = known.unwrap_or(&nobody);
    let (plugin, challenge, proof) = proof(dialogue, cluster, credential, claim).await?;
    match cluster.throttle.turn(attempt, by, patience, Instant::now()) {
        Turn::Now => {}
        Turn::After(delay) => {
            cluster.counters.throttled_logins.increment();
            tokio::time::sleep(delay).await;
        }
        Turn::Refused(wait) => return Err(too_many(cluster, claim, wait)),
    }
    match auth::check(plugin, credential, &challenge, &proof).filter(|_| known.is_some()) {
        Some(secret) => {
            cluster.throttle.succeeded(attempt, by, Instant::now());
            if plugin == Plugin::CachingSha2 && !proof.is_empty() {
                // It worked without the password itself.
                dialogue.send(&[1, 3]).await?;
            }
            Ok(secret)
        }
        None => {
            let noted = cluster.throttle.failed(attempt, by, Instant::now());
            Err(failed(cluster, claim, noted, !proof.is_empty()))
        }
    }
}

/// The proof, by a method that what is known of the user can be checked with.
async fn proof(
    dialogue: &mut Dialogue<impl AsyncRead + AsyncWrite + Unpin>,
    cluster: &Cluster,
    credential: &Credential,
    claim: &Claim<'_>,
) -> Result<(Plugin, Vec<u8>, Vec<u8>), Stopped> {
    let given = Plugin::of(claim.plugin).filter(|_| !claim.scramble.is_empty());
    let wanted = match (credential, given) {
        (Credential::Native(_), _) => Plugin::Native,
        (_, Some(known @ (Plugin::Native | Plugin::CachingSha2))) => known,
        _ if cluster.flavour == Flavour::Mysql => Plugin::CachingSha2,
        _ => Plugin::Native,
    };
    let (scramble, mut proof) = match given == Some(wanted) {
        true => (claim.scramble.to_vec(), claim.proof.to_vec()),
        false => {
            let fresh = scramble()?;
            let name = wanted.name();
            dialogue
                .say(|out, sequence| handshake::put_switch(out, sequence, name, &fresh))
                .await?;
            (fresh, dialogue.read().await?)
        }
    };
    if proof == [0] {
        // That is how an empty password is said.
        proof.clear();
    }
    Ok((wanted, scramble, proof))
}

fn too_many(cluster: &Cluster, claim: &Claim<'_>, wait: Duration) -> Stopped {
    cluster.counters.throttled_logins.increment();
    tracing::debug!(user = claim.user, address = %claim.address, "a login was not tried");
    Stopped::Failed(Refusal::Throttled {
        user: claim.user.to_owned(),
        address: claim.address.to_canonical(),
        wait,
    })
}

fn failed(cluster: &Cluster, claim: &Claim<'_>, noted: Noted, with_password: bool) -> Stopped {
    let (user, address) = (claim.user, claim.address);
    match noted {
        Noted::Free => tracing::info!(user, %address, "a login failed"),
        Noted::First => tracing::warn!(
            user, %address,
            "a login failed, like others before it: more of them are delayed and not logged"
        ),
        Noted::Again => tracing::debug!(user, %address, "a login failed"),
    }
    cluster.counters.failed_logins.increment();
    Stopped::Failed(access_denied(user, address, with_password))
}

fn describe(caller: &Caller<'_>) -> String {
    let encryption = if caller.tls { "with TLS" } else { "without TLS" };
    let (user, address) = (caller.user, caller.address.to_canonical());
    match caller.database {
        Some("") | None => format!("'{user}'@'{address}' {encryption}"),
        Some(database) => format!("'{user}'@'{address}' {encryption} to database '{database}'"),
    }
}
