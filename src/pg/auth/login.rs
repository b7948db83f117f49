//! A client logs in to us, as a state machine over message bodies.

use bytes::Bytes;
use std::sync::Arc;

use super::credential::{Credential, ServerSecret};
use super::message::{self, MalformedAuth};
use super::scram::keys::derive;
use super::scram::{
    AwaitClientFinal, DEFAULT_ITERATIONS, KeyCache, Mechanism, Mock, NoRandom, ScramError,
    ScramServer, fresh_nonce,
};
use super::settings::CertificateMap;
use crate::door::Method;
use crate::net::tls::Channel;
use crate::secret::Secret;

/// Everything a login is decided by.
#[derive(Debug, Clone, Copy)]
pub struct LoginRequest<'a> {
    pub user: &'a str,
    pub method: Method,
    /// `None`: no such user, which the client is not to find out.
    pub credential: Option<&'a Credential>,
    /// `None`: the connection is not TLS.
    pub channel: Option<&'a Channel>,
    pub certificate_map: &'a CertificateMap,
    pub mock: &'a Mock,
    pub cache: &'a Arc<KeyCache>,
}

/// A login that waits for a `p` message.
#[derive(Debug)]
pub enum Login {
    Password(ExpectPassword),
    SaslInitial(ExpectSaslInitial),
    SaslFinal(ExpectSaslFinal),
}

#[derive(Debug)]
pub struct ExpectPassword {
    user: String,
    credential: Option<Credential>,
    cache: Arc<KeyCache>,
}

#[derive(Debug)]
pub struct ExpectSaslInitial {
    server: ScramServer,
    known: Known,
}

#[derive(Debug)]
pub struct ExpectSaslFinal {
    server: AwaitClientFinal,
    known: Known,
}

/// What stands behind the verifier of a SCRAM exchange.
#[derive(Debug)]
enum Known {
    Password(Secret),
    Verifier,
    /// A mock: this login fails for the reason given, whatever the client sends.
    Doomed(Rejection),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this body of an `R` message, then give the next `p` body to `login`.
    Continue {
        login: Login,
        send: Bytes,
    },
    Accepted(Accepted),
    /// Tell the client 28P01 and no more; the reason is for the log.
    Rejected(Rejection),
}

/// The client is who it says.
#[derive(Debug)]
pub struct Accepted {
    /// Bodies of `R` messages to send, the last one AuthenticationOk.
    pub send: Vec<Bytes>,
    /// What may open a server for this user; empty where nothing is known.
    pub secret: ServerSecret,
}

/// Why a login failed. For our log only: every client is told the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("no such user")]
    UnknownUser,
    #[error("only an md5 hash of the password is known, which cannot serve a SCRAM login")]
    OnlyMd5,
    #[error("wrong password")]
    WrongPassword,
    #[error("empty password")]
    EmptyPassword,
    #[error("a client certificate is needed")]
    NoCertificate,
    #[error("the client certificate is for {common_name:?}")]
    OtherCertificate { common_name: String },
    #[error("the client certificate has no common name, or more than one")]
    NamelessCertificate,
    #[error(transparent)]
    Malformed(#[from] MalformedAuth),
    #[error(transparent)]
    Scram(ScramError),
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl From<ScramError> for Rejection {
    fn from(error: ScramError) -> Self {
        match error {
            ScramError::WrongProof => Rejection::WrongPassword,
            other => Rejection::Scram(other),
        }
    }
}

fn accepted(mut send: Vec<Bytes>, secret: ServerSecret) -> Step {
    send.push(message::ok());
    Step::Accepted(Accepted { send, secret })
}

impl Login {
    /// The first step, before the client has said anything but its name.
    pub fn start(request: LoginRequest<'_>) -> Step {
        let known = || request.credential.map(ServerSecret::of).unwrap_or_default();
        match request.method {
            Method::Trust => accepted(Vec::new(), known()),
            Method::Cert => match check_certificate(&request) {
                Ok(()) => accepted(Vec::new(), known()),
                Err(rejection) => Step::Rejected(rejection),
            },
            Method::Password => Step::Continue {
                send: message::cleartext(),
                login: Login::Password(ExpectPassword {
                    user: request.user.to_owned(),
                    credential: request.credential.cloned(),
                    cache: request.cache.clone(),
                }),
            },
            Method::Scram => start_scram(&request).unwrap_or_else(Step::Rejected),
        }
    }

    /// The next message decides.
    pub fn is_last(&self) -> bool {
        matches!(self, Login::Password(_) | Login::SaslFinal(_))
    }

    /// Takes the body of the client's next `p` message.
    pub fn on(self, body: &[u8]) -> Step {
        let step = match self {
            Login::Password(state) => state.on(body),
            Login::SaslInitial(state) => state.on(body),
            Login::SaslFinal(state) => state.on(body),
        };
        step.unwrap_or_else(Step::Rejected)
    }
}

fn check_certificate(request: &LoginRequest<'_>) -> Result<(), Rejection> {
    let identity = request.channel.and_then(|c| c.peer.as_ref()).ok_or(Rejection::NoCertificate)?;
    let name = identity.common_name.as_deref().ok_or(Rejection::NamelessCertificate)?;
    let mapped = request.certificate_map.get(name);
    if name == request.user || mapped.is_some_and(|users| users.iter().any(|u| u == request.user)) {
        return Ok(());
    }
    Err(Rejection::OtherCertificate { common_name: name.to_owned() })
}

fn start_scram(request: &LoginRequest<'_>) -> Result<Step, Rejection> {
    let mock = || request.mock.verifier(request.user);
    let (verifier, known) = match request.credential {
        Some(Credential::Password { password, verifier }) => {
            (verifier.clone(), Known::Password(password.clone()))
        }
        Some(Credential::Verifier(verifier)) => (verifier.clone(), Known::Verifier),
        Some(Credential::Md5(_)) => (mock(), Known::Doomed(Rejection::OnlyMd5)),
        None => (mock(), Known::Doomed(Rejection::UnknownUser)),
    };
    let binding = request.channel.and_then(|channel| channel.end_point.clone());
    let server = ScramServer::new(verifier, binding, fresh_nonce()?);
    let send = message::sasl(server.offers());
    Ok(Step::Continue { login: Login::SaslInitial(ExpectSaslInitial { server, known }), send })
}

impl ExpectPassword {
    fn on(self, body: &[u8]) -> Result<Step, Rejection> {
        let password = message::parse_password(body)?;
        if password.is_empty() {
            return Err(Rejection::EmptyPassword);
        }
        match &self.credential {
            Some(credential) if self.matches(credential, &password) => {
                Ok(accepted(Vec::new(), ServerSecret::password(password)))
            }
            // That took its time already.
            Some(Credential::Verifier(_)) => Err(Rejection::WrongPassword),
            other => {
                // Whoever measures is not to find out which users there are.
                derive(password.expose(), &[0; 16], DEFAULT_ITERATIONS);
                Err(other.as_ref().map_or(Rejection::UnknownUser, |_| Rejection::WrongPassword))
            }
        }
    }

    fn matches(&self, credential: &Credential, password: &Secret) -> bool {
        let given = password.expose();
        match credential {
            Credential::Password { password: known, .. } => known.same_as(given),
            Credential::Md5(hash) => hash.matches(&self.user, given),
            Credential::Verifier(verifier) => {
                let (salt, cost) = (verifier.salt(), verifier.iterations());
                if let Some(keys) = self.cache.get(given, salt, cost) {
                    return verifier.matches(&keys);
                }
                let keys = derive(given, salt, cost);
                let right = verifier.matches(&keys);
                // Only right ones are kept: guesses must not push out what others need.
                if right {
                    self.cache.put(given, salt, cost, Arc::new(keys));
                }
                right
            }
        }
    }
}

impl ExpectSaslInitial {
    fn on(self, body: &[u8]) -> Result<Step, Rejection> {
        let (mechanism, data): (Mechanism, _) = message::parse_sasl_initial(body)?;
        let (server, answer) = self.server.first(mechanism, data)?;
        let login = Login::SaslFinal(ExpectSaslFinal { server, known: self.known });
        Ok(Step::Continue { login, send: message::sasl_continue(&answer) })
    }
}

impl ExpectSaslFinal {
    fn on(self, body: &[u8]) -> Result<Step, Rejection> {
        let proven = match (self.server.last(body), &self.known) {
            (Ok(_) | Err(ScramError::WrongProof), Known::Doomed(why)) => return Err(why.clone()),
            (Err(error), _) => return Err(error.into()),
            (Ok(proven), _) => proven,
        };
        let password = match self.known {
            Known::Password(password) => Some(password),
            Known::Verifier | Known::Doomed(_) => None,
        };
        let secret = ServerSecret { password, keys: Some(proven.keys), md5: None };
        Ok(accepted(vec![message::sasl_final(&proven.message)], secret))
    }
}

#[cfg(test)]
mod tests;
