//! Who may use the console: SCRAM-SHA-256, or everyone where no user is configured.

use super::failure::{DATABASE, Failure, LOGIN, PASSWORD, PROTOCOL};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::Sink;
use pgwire::api::auth::mechanism::{AuthMechanism, AuthMechanismFactory, AuthState};
use pgwire::api::auth::sasl::SaslMechanisms;
use pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramAuth, ScramSecret, gen_salted_password,
};
use pgwire::api::auth::{
    AuthDriver, AuthOutcome, AuthSource, LoginInfo, Password, ServerParameterProvider,
    StartupHandler, protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{ClientInfo, METADATA_DATABASE, METADATA_USER};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The users of the console. Passwords are not kept, only SCRAM verifiers.
#[derive(Clone, Default)]
pub struct Credentials {
    users: BTreeMap<String, Verifier>,
    /// Those of them who may only look.
    lookers: BTreeSet<String>,
}

/// See RFC 5803 and `pg_authid.rolpassword`.
#[derive(Clone)]
struct Verifier {
    salt: Vec<u8>,
    iterations: usize,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum VerifierError {
    #[error("the verifier is not SCRAM-SHA-256$iterations:salt$stored key:server key")]
    Malformed,
    #[error("the system's random number generator failed")]
    Random,
}

impl Credentials {
    /// Adds a user; `secret` is a password or a verifier (`SCRAM-SHA-256$4096:…`).
    pub fn add(&mut self, user: &str, secret: &str) -> Result<(), VerifierError> {
        let verifier = match secret.strip_prefix("SCRAM-SHA-256$") {
            Some(rest) => parse(rest).ok_or(VerifierError::Malformed)?,
            None => derive(secret)?,
        };
        self.users.insert(user.to_string(), verifier);
        Ok(())
    }

    /// Lets a user only look.
    pub fn restrict(&mut self, user: &str) {
        self.lookers.insert(user.to_string());
    }

    /// True if the user may change nothing.
    pub(super) fn only_looks(&self, user: &str) -> bool {
        self.lookers.contains(user)
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

fn parse(rest: &str) -> Option<Verifier> {
    let (front, keys) = rest.split_once('$')?;
    let (iterations, salt) = front.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let key = |text| STANDARD.decode(text).ok().filter(|k| k.len() == digest::SHA256_OUTPUT_LEN);
    Some(Verifier {
        salt: STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?,
        iterations: iterations.parse().ok().filter(|n| (1..=10_000_000).contains(n))?,
        stored_key: key(stored)?,
        server_key: key(server)?,
    })
}

fn derive(password: &str) -> Result<Verifier, VerifierError> {
    let mut salt = vec![0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| VerifierError::Random)?;
    let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    Ok(Verifier {
        salt,
        iterations: SCRAM_ITERATIONS,
        stored_key: digest::digest(&digest::SHA256, client_key.as_ref()).as_ref().to_vec(),
        server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
    })
}

/// Looks users up; invents a verifier for those who do not exist, the same one each time, so that
/// nobody learns from the answers which names are real.
struct Source {
    known: Credentials,
    invent: hmac::Key,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}

impl Source {
    fn verifier(&self, user: &str) -> Verifier {
        if let Some(found) = self.known.users.get(user) {
            return found.clone();
        }
        let made = |what: &str| {
            hmac::sign(&self.invent, format!("{what}\0{user}").as_bytes()).as_ref().to_vec()
        };
        Verifier {
            salt: made("salt")[..16].to_vec(),
            iterations: SCRAM_ITERATIONS,
            stored_key: made("stored"),
            server_key: made("server"),
        }
    }
}

#[async_trait]
impl AuthSource for Source {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        // Only SCRAM is offered, and that asks for the verifier below.
        Err(PgWireError::InvalidPassword(login.user().unwrap_or_default().to_string()))
    }

    async fn get_scram_secret(&self, login: &LoginInfo) -> PgWireResult<(ScramSecret, Option<()>)> {
        let Verifier { salt, iterations, stored_key, server_key } =
            self.verifier(login.user().unwrap_or_default());
        Ok((ScramSecret::Verifier { salt, iterations, stored_key, server_key }, None))
    }
}

/// Lets everyone in.
struct Trust;

#[async_trait]
impl AuthMechanism for Trust {
    async fn begin(&mut self, _: &(dyn ClientInfo + Send + Sync)) -> PgWireResult<AuthState> {
        Ok(AuthState::Ok { final_message: None, identity: None })
    }
    async fn next(
        &mut self,
        _: &(dyn ClientInfo + Send + Sync),
        _: PasswordMessageFamily,
    ) -> PgWireResult<AuthState> {
        Ok(AuthState::Failed(PgWireError::NoAuthenticationInProgress))
    }
}

/// What every client is told about "the server" after its login.
struct Parameters;

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, _: &C) -> Option<HashMap<String, String>> {
        // Drivers choose features by the major version, and psql warns if it is not its own.
        let version = concat!("15.0 (Tidegate ", env!("CARGO_PKG_VERSION"), ")");
        let known = [
            ("server_version", version),
            ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("is_superuser", "off"),
        ];
        Some(known.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }
}

/// The login of console connections.
pub(super) struct Login {
    driver: AuthDriver<Parameters>,
    /// `None`: no user is configured.
    scram: Option<SaslMechanisms>,
}

impl Login {
    pub(super) fn new(known: Credentials) -> Result<Login, VerifierError> {
        let mut scram = None;
        if !known.is_empty() {
            let invent = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
            let source = Source { known, invent: invent.map_err(|_| VerifierError::Random)? };
            let mechanism = Arc::new(ScramAuth::new(Arc::new(source)));
            scram = Some(SaslMechanisms::new(vec![mechanism]));
        }
        Ok(Login { driver: AuthDriver::new(Parameters), scram })
    }

    pub(super) fn asks_for_a_password(&self) -> bool {
        self.scram.is_some()
    }

    fn mechanism(&self) -> Box<dyn AuthMechanism> {
        self.scram.as_ref().map_or_else(|| Box::new(Trust) as _, |scram| scram.create())
    }
}

#[async_trait]
impl StartupHandler for Login {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let outcome = match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                if user(client).is_empty() {
                    let text = "no user name was given in the startup packet";
                    return Err(Failure::fatal(LOGIN, text).into());
                }
                self.driver.begin_authentication(client, self.mechanism()).await
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                self.driver.advance_authentication(client, message).await
            }
            _ => return Err(Failure::fatal(PROTOCOL, "a password was expected").into()),
        };
        match outcome {
            Ok(AuthOutcome::InProgress) => Ok(()),
            Ok(AuthOutcome::Authenticated { final_message, .. }) => {
                known_database(client)?;
                self.driver.complete_authentication(client, final_message).await
            }
            // pgwire names the user of the SCRAM message, which libpq leaves empty.
            Err(PgWireError::InvalidPassword(_)) => {
                let user = user(client);
                let text = format!("password authentication failed for user {user:?}");
                Err(Failure::fatal(PASSWORD, text).into())
            }
            Err(other) => Err(other),
        }
    }
}

fn user<C: ClientInfo>(client: &C) -> String {
    client.metadata().get(METADATA_USER).cloned().unwrap_or_default()
}

/// The console's database is `tidegate`; tools made for PgBouncer ask for `pgbouncer`.
fn known_database<C: ClientInfo>(client: &C) -> Result<(), Failure> {
    let user = user(client);
    let asked = client.metadata().get(METADATA_DATABASE).unwrap_or(&user);
    if ["tidegate", "pgbouncer"].contains(&asked.as_str()) {
        return Ok(());
    }
    Err(Failure::fatal(DATABASE, format!("database {asked:?} is not served here"))
        .hint("This is the console: its database is tidegate. Applications use the other port."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_as_postgres_stores_it_is_taken() {
        let key = STANDARD.encode([7; 32]);
        let mut users = Credentials::default();
        let good = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
        assert_eq!(users.add("a", &good), Ok(()));
        for bad in ["SCRAM-SHA-256$", "SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA=="] {
            assert_eq!(users.add("b", bad), Err(VerifierError::Malformed), "{bad}");
        }
        assert_eq!(format!("{users:?}"), "{\"a\"}");
    }

    #[test]
    fn an_unknown_user_gets_the_same_salt_each_time() {
        let invent = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let source = Source { known: Credentials::default(), invent };
        assert_eq!(source.verifier("a").salt, source.verifier("a").salt);
        assert_ne!(source.verifier("a").salt, source.verifier("b").salt);
        assert_eq!(source.verifier("a").iterations, SCRAM_ITERATIONS);
    }
}
