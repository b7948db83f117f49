//! We log in to a database server, as a state machine over message bodies.

use bytes::Bytes;
use std::sync::Arc;

use super::credential::ServerSecret;
use super::md5::Md5Hash;
use super::message::{self, AuthRequest, MalformedAuth};
use super::scram::{
    AwaitServerFinal, AwaitServerFirst, KeyCache, Mechanism, NoRandom, ScramClient, ScramError,
    ScramSecret, fresh_nonce,
};
use crate::net::tls::Channel;
use crate::secret::Secret;

/// Whether a server may have the password as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cleartext {
    #[default]
    OverTls,
    /// Asked for explicitly.
    Always,
}

#[derive(Debug)]
pub struct ServerLoginRequest<'a> {
    pub user: &'a str,
    pub secret: ServerSecret,
    /// `None`: the connection is not TLS.
    pub channel: Option<&'a Channel>,
    pub cleartext: Cleartext,
    pub cache: Arc<KeyCache>,
}

/// A login that waits for an `R` message.
#[derive(Debug)]
pub enum ServerLogin {
    Request(ExpectRequest),
    SaslContinue(ExpectSaslContinue),
    SaslFinal(ExpectSaslFinal),
    Ok(ExpectOk),
}

/// Waits for the server to say how it wants us to prove ourselves, or that it does not.
#[derive(Debug)]
pub struct ExpectRequest {
    user: String,
    secret: ServerSecret,
    binding: Option<Vec<u8>>,
    cleartext: bool,
    cache: Arc<KeyCache>,
}

#[derive(Debug)]
pub struct ExpectSaslContinue {
    scram: AwaitServerFirst,
    mechanism: Mechanism,
    cache: Arc<KeyCache>,
}

/// Until this came the server has proven nothing: AuthenticationOk is refused here.
#[derive(Debug)]
pub struct ExpectSaslFinal {
    scram: AwaitServerFinal,
    mechanism: Mechanism,
}

/// All is said; waits for AuthenticationOk.
#[derive(Debug)]
pub struct ExpectOk {
    accepted: ServerAccepted,
}

/// How the server was convinced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAccepted {
    Trust,
    Cleartext,
    Md5,
    Scram,
    ScramPlus,
}

/// What to do next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once, never stored")]
pub enum ServerStep {
    /// Send this body of a `p` message, if any, then give the next `R` body to `login`.
    Continue {
        login: ServerLogin,
        send: Option<Bytes>,
    },
    Accepted(ServerAccepted),
}

/// Why we cannot log in. An ErrorResponse of the server itself never comes here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerLoginError {
    #[error("the server asks for {0}, which is not supported")]
    Unsupported(&'static str),
    #[error("the server offers no SASL mechanism that is supported")]
    NoMechanism,
    #[error(
        "the server asks for {asked}, but no password of user {user:?} is known here \
         (hint: {hint})"
    )]
    NoSecret { user: String, asked: &'static str, hint: &'static str },
    #[error(
        "the server asks for the password in clear over a connection without TLS \
         (hint: switch TLS on towards the server, or allow it explicitly)"
    )]
    ClearWithoutTls,
    #[error("the server sent an authentication message out of turn")]
    OutOfTurn,
    #[error(transparent)]
    Malformed(#[from] MalformedAuth),
    #[error(transparent)]
    Scram(#[from] ScramError),
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

type Outcome = Result<ServerStep, ServerLoginError>;

impl ServerLogin {
    /// The state after the startup packet was sent.
    pub fn start(request: ServerLoginRequest<'_>) -> Self {
        ServerLogin::Request(ExpectRequest {
            user: request.user.to_owned(),
            secret: request.secret,
            binding: request.channel.and_then(|channel| channel.end_point.clone()),
            cleartext: request.channel.is_some() || request.cleartext == Cleartext::Always,
            cache: request.cache,
        })
    }

    /// Takes the body of the server's next `R` message.
    pub fn on(self, body: &[u8]) -> Outcome {
        let request = match AuthRequest::parse(body)? {
            AuthRequest::Unsupported(what) => return Err(ServerLoginError::Unsupported(what)),
            request => request,
        };
        match (self, request) {
            (ServerLogin::Request(state), request) => state.on(request),
            (ServerLogin::SaslContinue(state), AuthRequest::SaslContinue(data)) => state.on(data),
            (ServerLogin::SaslFinal(state), AuthRequest::SaslFinal(data)) => state.on(data),
            (ServerLogin::Ok(state), AuthRequest::Ok) => Ok(ServerStep::Accepted(state.accepted)),
            _ => Err(ServerLoginError::OutOfTurn),
        }
    }
}

fn answer(send: Bytes, accepted: ServerAccepted) -> ServerStep {
    ServerStep::Continue { login: ServerLogin::Ok(ExpectOk { accepted }), send: Some(send) }
}

impl ExpectRequest {
    fn on(self, request: AuthRequest<'_>) -> Outcome {
        match request {
            AuthRequest::Ok => Ok(ServerStep::Accepted(ServerAccepted::Trust)),
            AuthRequest::Cleartext => self.cleartext(),
            AuthRequest::Md5(salt) => self.md5(salt),
            AuthRequest::Sasl(offered) => self.sasl(&offered),
            AuthRequest::SaslContinue(_)
            | AuthRequest::SaslFinal(_)
            | AuthRequest::Unsupported(_) => Err(ServerLoginError::OutOfTurn),
        }
    }

    fn cleartext(self) -> Outcome {
        if !self.cleartext {
            return Err(ServerLoginError::ClearWithoutTls);
        }
        match &self.secret.password {
            Some(password) => {
                Ok(answer(message::password(password.expose()), ServerAccepted::Cleartext))
            }
            None => Err(self.no_secret("a password in clear", "give the user's plain password")),
        }
    }

    fn md5(self, salt: [u8; 4]) -> Outcome {
        let from_password =
            |password: &Secret| Md5Hash::from_password(&self.user, password.expose());
        let made = self.secret.password.as_ref().map(from_password);
        match made.or(self.secret.md5.clone()) {
            Some(hash) => {
                let text = hash.response(salt);
                Ok(answer(message::password(text.as_bytes()), ServerAccepted::Md5))
            }
            None => Err(self.no_secret("md5", "give the user's plain password or its md5 hash")),
        }
    }

    fn sasl(mut self, offered: &[Mechanism]) -> Outcome {
        let secret = match (self.secret.password.take(), self.secret.keys.take()) {
            (Some(password), _) => ScramSecret::Password(password),
            (None, Some(keys)) => ScramSecret::Keys(keys),
            (None, None) => {
                let hint = "give the user's plain password, or let clients log in by scram \
                            with the server's own verifier";
                return Err(self.no_secret("SCRAM", hint));
            }
        };
        let scram = ScramClient::choose(offered, secret, self.binding, fresh_nonce()?)
            .ok_or(ServerLoginError::NoMechanism)?;
        let mechanism = scram.mechanism();
        let (scram, first) = scram.start();
        Ok(ServerStep::Continue {
            login: ServerLogin::SaslContinue(ExpectSaslContinue {
                scram,
                mechanism,
                cache: self.cache,
            }),
            send: Some(message::sasl_initial(mechanism, &first)),
        })
    }

    fn no_secret(self, asked: &'static str, hint: &'static str) -> ServerLoginError {
        ServerLoginError::NoSecret { user: self.user, asked, hint }
    }
}

impl ExpectSaslContinue {
    fn on(self, data: &[u8]) -> Outcome {
        let (scram, last) = self.scram.first(data, &self.cache)?;
        Ok(ServerStep::Continue {
            login: ServerLogin::SaslFinal(ExpectSaslFinal { scram, mechanism: self.mechanism }),
            send: Some(Bytes::from(last)),
        })
    }
}

impl ExpectSaslFinal {
    fn on(self, data: &[u8]) -> Outcome {
        self.scram.last(data)?;
        let accepted = match self.mechanism {
            Mechanism::Scram => ServerAccepted::Scram,
            Mechanism::ScramPlus => ServerAccepted::ScramPlus,
        };
        Ok(ServerStep::Continue { login: ServerLogin::Ok(ExpectOk { accepted }), send: None })
    }
}
