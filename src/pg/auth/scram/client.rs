//! The side that proves itself: we log in to a database server.

use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::keys::{ClientKeys, DerivedKeys, KeyCache, hmac_sha256, sha256, xor};
use super::syntax::{self, Attributes};
use super::{END_POINT, Mechanism, ScramError};
use crate::secret::Secret;

/// More than this from a server is refused: it would keep a thread busy for a second or more.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;

/// What we prove ourselves with.
#[derive(Debug, Clone)]
pub enum ScramSecret {
    Password(Secret),
    /// What a client's proof revealed: pass-through.
    Keys(ClientKeys),
}

/// An exchange before its first message.
#[derive(Debug)]
pub struct ScramClient {
    secret: ScramSecret,
    /// tls-server-end-point of the server's certificate.
    binding: Option<Vec<u8>>,
    mechanism: Mechanism,
    nonce: String,
}

/// Waits for the server-first-message.
#[derive(Debug)]
pub struct AwaitServerFirst {
    secret: ScramSecret,
    nonce: String,
    /// client-first-message-bare.
    bare: String,
    /// The value of `c=`.
    channel: String,
}

/// Waits for the server-final-message.
#[derive(Debug)]
pub struct AwaitServerFinal {
    keys: Arc<DerivedKeys>,
    transcript: String,
}

impl ScramClient {
    /// Chooses from the mechanisms the server offers; `None` if there is none for us.
    /// `binding`: the hash of the server's certificate, when the connection is TLS.
    pub fn choose(
        offered: &[Mechanism],
        secret: ScramSecret,
        binding: Option<Vec<u8>>,
        nonce: String,
    ) -> Option<Self> {
        let plus = binding.is_some() && offered.contains(&Mechanism::ScramPlus);
        let mechanism = if plus { Mechanism::ScramPlus } else { Mechanism::Scram };
        offered.contains(&mechanism).then_some(Self { secret, binding, mechanism, nonce })
    }

    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Gives the client-first-message.
    pub fn start(self) -> (AwaitServerFirst, Vec<u8>) {
        let (header, data) = match (self.mechanism, self.binding) {
            (Mechanism::ScramPlus, data) => (format!("p={END_POINT},,"), data.unwrap_or_default()),
            // We could, the server does not offer: it notices if somebody took the offer away.
            (Mechanism::Scram, Some(_)) => ("y,,".to_owned(), Vec::new()),
            (Mechanism::Scram, None) => ("n,,".to_owned(), Vec::new()),
        };
        // PostgreSQL takes the name from the startup packet and ignores this one.
        let bare = format!("n=,r={}", self.nonce);
        let message = format!("{header}{bare}").into_bytes();
        let channel = syntax::encode(&[header.as_bytes(), &data].concat());
        (AwaitServerFirst { secret: self.secret, nonce: self.nonce, bare, channel }, message)
    }
}

impl AwaitServerFirst {
    /// Takes the server-first-message, gives the client-final-message.
    pub fn first(
        self,
        message: &[u8],
        cache: &KeyCache,
    ) -> Result<(AwaitServerFinal, Vec<u8>), ScramError> {
        let message = syntax::text(message)?;
        let mut attributes = Attributes::new(message);
        let nonce = syntax::nonce(attributes.expect(b'r')?)?;
        let salt = syntax::decode(attributes.expect(b's')?)?;
        let iterations = syntax::iterations(attributes.expect(b'i')?)?;
        attributes.extensions()?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        if salt.is_empty() {
            return Err(ScramError::Malformed("empty salt"));
        }
        if iterations.get() > MAX_ITERATIONS {
            return Err(ScramError::Iterations(iterations.get()));
        }
        let keys = match self.secret {
            ScramSecret::Password(password) => cache.derive(password.expose(), &salt, iterations),
            ScramSecret::Keys(own) if own.salt == salt && own.iterations == iterations => {
                Arc::new(own.keys)
            }
            ScramSecret::Keys(_) => return Err(ScramError::OtherVerifier),
        };
        let bare = format!("c={},r={nonce}", self.channel);
        let transcript = format!("{},{message},{bare}", self.bare);
        let stored = sha256(&[keys.client.as_slice()]);
        let proof = xor(&keys.client, &hmac_sha256(&stored, &[transcript.as_bytes()]));
        let answer = format!("{bare},p={}", syntax::encode(proof.as_slice()));
        Ok((AwaitServerFinal { keys, transcript }, answer.into_bytes()))
    }
}

impl AwaitServerFinal {
    /// Takes the server-final-message and checks that the server knows the verifier.
    pub fn last(self, message: &[u8]) -> Result<(), ScramError> {
        let mut attributes = Attributes::new(syntax::text(message)?);
        let signature = match attributes.next()? {
            Some((b'v', value)) => syntax::decode(value)?,
            Some((b'e', reason)) => return Err(ScramError::Refused(reason.to_owned())),
            _ => return Err(ScramError::Malformed("neither signature nor error")),
        };
        attributes.end()?;
        let own = hmac_sha256(self.keys.server.as_slice(), &[self.transcript.as_bytes()]);
        match bool::from(own.ct_eq(signature.as_slice())) {
            true => Ok(()),
            false => Err(ScramError::ServerSignature),
        }
    }
}
