//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677, 5929) as PostgreSQL speaks them.
//!
//! ```text
//! ScramServer  ── first ──▶ AwaitClientFinal ── last ──▶ Proven { ClientKeys }
//! ScramClient  ── start ──▶ AwaitServerFirst ── first ──▶ AwaitServerFinal ── last ──▶ ()
//! ```
//!
//! Each state consumes itself, so no message can be taken twice or out of turn.

mod client;
pub mod keys;
mod server;
mod syntax;
mod verifier;

pub use client::{AwaitServerFinal, AwaitServerFirst, ScramClient, ScramSecret};
pub use keys::{ClientKeys, KeyCache};
pub use server::{AwaitClientFinal, Proven, ScramServer};
pub use verifier::{DEFAULT_ITERATIONS, Mock, Verifier};

use ring::rand::{SecureRandom, SystemRandom};

/// The one kind of channel binding PostgreSQL knows.
const END_POINT: &str = "tls-server-end-point";

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Scram,
    /// Bound to the TLS channel by the server's certificate.
    ScramPlus,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Scram => "SCRAM-SHA-256",
            Mechanism::ScramPlus => "SCRAM-SHA-256-PLUS",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Mechanism::Scram, Mechanism::ScramPlus].into_iter().find(|m| m.name() == name)
    }
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    #[error("SCRAM message demands an extension we do not know")]
    MandatoryExtension,
    #[error("SCRAM nonce does not belong to this exchange")]
    Nonce,
    #[error("SCRAM channel binding: {0}")]
    ChannelBinding(&'static str),
    #[error("wrong password")]
    WrongProof,
    #[error("the server could not prove that it knows the password's verifier")]
    ServerSignature,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("the server asks for {0} iterations, at most {max} are done", max = client::MAX_ITERATIONS)]
    Iterations(u32),
    #[error(
        "the server's verifier differs from ours (hint: same salt and iterations are needed where only a verifier is known; copy rolpassword from pg_authid)"
    )]
    OtherVerifier,
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandom;

/// Random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A fresh nonce: 18 random bytes as 24 characters, as PostgreSQL's.
pub fn fresh_nonce() -> Result<String, NoRandom> {
    random::<18>().map(|bytes| syntax::encode(&bytes))
}

#[cfg(test)]
mod tests;
