//! The login itself: by which rule, how it is proven, and what failing costs.

use super::asked::Asked;
use super::{Arriving, Stopped};
use crate::pg::auth::rules::{Caller, Verdict};
use crate::pg::auth::throttle::{Attempt, Noted, Turn};
use crate::pg::auth::{self, Accepted, Login, LoginRequest, Method, Rejection, Step};
use crate::pg::cluster::Cluster;
use crate::pg::engine::Engine;
use crate::pg::wire::{self, HEADER};
use crate::refusal::Refusal;
use bytes::{BufMut, BytesMut};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No message of a login is longer.
const LOGIN_FRAME: usize = 16 * 1024;

/// One login and the rules it began with.
pub(super) struct Proof<'a> {
    engine: &'a Engine,
    cluster: &'a Arc<Cluster>,
    asked: &'a Asked,
    address: IpAddr,
    auth: Arc<auth::Settings>,
    method: Method,
    attempt: Attempt,
}

impl<'a> Proof<'a> {
    /// How this client has to prove who it is, if it may come at all.
    pub(super) fn demanded(
        engine: &'a Engine,
        cluster: &'a Arc<Cluster>,
        asked: &'a Asked,
        (address, tls): (IpAddr, bool),
    ) -> Result<Proof<'a>, Refusal> {
        let auth = cluster.access.load().auth.clone();
        let caller = Caller { user: &asked.user, database: asked.of_database(), address, tls };
        let (name, words) = (|| cluster.name.clone(), || describe(&caller));
        let method = match auth.verdict(&caller) {
            Verdict::Prove(method) => method,
            Verdict::Rejected(rule) => {
                return Err(Refusal::RejectedByRule { cluster: name(), rule, caller: words() });
            }
            Verdict::NoMatch => return Err(Refusal::NoRule { cluster: name(), caller: words() }),
        };
        let attempt = cluster.throttle.attempt(&asked.user, address);
        Ok(Proof { engine, cluster, asked, address, auth, method, attempt })
    }

    /// Guessing is possible.
    fn is_guess(&self) -> bool {
        matches!(self.method, Method::Password | Method::Scram)
    }

    /// How long an attempt may be held back: the client has to be told within its login timeout.
    fn patience(&self) -> Duration {
        self.auth.throttle.max_delay.min(self.engine.settings.login_timeout / 2)
    }

    fn too_many(&self, wait: Duration) -> Stopped {
        self.cluster.counters.throttled_logins.increment();
        tracing::debug!(user = self.asked.user, address = %self.address, "a login was not tried");
        Stopped::Failed(Refusal::Throttled {
            user: self.asked.user.clone(),
            address: self.address.to_canonical(),
            wait,
        })
    }

    /// Before anything is done for this login: is it one too many?
    fn check(&self) -> Result<(), Stopped> {
        let (throttle, by) = (&self.cluster.throttle, &self.auth.throttle);
        let wait = throttle.refuses(self.attempt, by, self.patience(), Instant::now());
        match wait.filter(|_| self.is_guess()) {
            Some(wait) => Err(self.too_many(wait)),
            None => Ok(()),
        }
    }

    /// Waits for the moment at which the proof may be judged.
    async fn turn(&self) -> Result<(), Stopped> {
        let (throttle, by) = (&self.cluster.throttle, &self.auth.throttle);
        match throttle.turn(self.attempt, by, self.patience(), Instant::now()) {
            Turn::Now => {}
            Turn::After(delay) => {
                self.cluster.counters.throttled_logins.increment();
                tokio::time::sleep(delay).await;
            }
            Turn::Refused(wait) => return Err(self.too_many(wait)),
        }
        Ok(())
    }

    fn failed(&self, reason: &Rejection) -> Stopped {
        let (user, address) = (&*self.asked.user, self.address);
        let noted = match self.is_guess() {
            true => {
                let (throttle, by) = (&self.cluster.throttle, &self.auth.throttle);
                throttle.failed(self.attempt, by, Instant::now())
            }
            false => Noted::Free,
        };
        match noted {
            Noted::Free => tracing::info!(user, %address, %reason, "a login failed"),
            Noted::First => tracing::warn!(
                user, %address, %reason,
                "a login failed, like others before it: more of them are delayed and not logged"
            ),
            Noted::Again => tracing::debug!(user, %address, %reason, "a login failed"),
        }
        self.cluster.counters.failed_logins.increment();
        // It may have changed in the database since.
        self.cluster.asked.forget(user);
        Stopped::Failed(match self.method {
            Method::Cert => Refusal::Certificate(user.to_owned()),
            _ => Refusal::Authentication(user.to_owned()),
        })
    }

    fn succeeded(&self) {
        if self.is_guess() {
            let (throttle, by) = (&self.cluster.throttle, &self.auth.throttle);
            throttle.succeeded(self.attempt, by, Instant::now());
        }
    }
}

/// PostgreSQL's words for it (`ClientAuthentication` in `auth.c`).
fn describe(caller: &Caller<'_>) -> String {
    let address = caller.address.to_canonical();
    let encryption = if caller.tls { "TLS encryption" } else { "no encryption" };
    match caller.database {
        Some(database) => {
            format!(
                "host \"{address}\", user \"{}\", database \"{database}\", {encryption}",
                caller.user
            )
        }
        None => format!(
            "replication connection from host \"{address}\", user \"{}\", {encryption}",
            caller.user
        ),
    }
}

impl Arriving {
    pub(super) async fn authenticate(&mut self, proof: &Proof<'_>) -> Result<Accepted, Stopped> {
        proof.check()?;
        let Proof { engine, cluster, asked, auth, method, .. } = proof;
        let credential = cluster.credential(&asked.user).await?;
        if *method == Method::Trust && credential.is_none() && !cluster.users.current().is_empty() {
            tracing::debug!(user = asked.user, "a user without an entry comes in by trust");
        }
        let mut step = Login::start(LoginRequest {
            user: &asked.user,
            method: *method,
            credential: credential.as_deref(),
            channel: self.channel.as_ref(),
            certificate_map: &auth.certificate_map,
            mock: &engine.mock,
            cache: &engine.keys,
        });
        loop {
            match step {
                Step::Accepted(accepted) => {
                    proof.succeeded();
                    return Ok(accepted);
                }
                Step::Rejected(reason) => return Err(proof.failed(&reason)),
                Step::Continue { login, send } => {
                    let mut out = BytesMut::new();
                    wire::put_frame(&mut out, b'R', |b| b.put_slice(&send));
                    self.write(&out).await?;
                    let said = self.password_message().await?;
                    if login.is_last() {
                        proof.turn().await?;
                    }
                    step = login.on(&said);
                }
            }
        }
    }

    async fn password_message(&mut self) -> Result<BytesMut, Stopped> {
        loop {
            match wire::peek(&self.input) {
                Err(error) => return Err(Refusal::Protocol(error.to_string()).into()),
                Ok(Some(header)) if header.tag != b'p' || header.len > LOGIN_FRAME => {
                    let what = format!("expected a password, got message {:?}", header.tag as char);
                    return Err(Refusal::Protocol(what).into());
                }
                Ok(Some(header)) if self.input.len() >= header.len => {
                    return Ok(self.input.split_to(header.len).split_off(HEADER));
                }
                Ok(_) => self.read().await?,
            }
        }
    }
}
