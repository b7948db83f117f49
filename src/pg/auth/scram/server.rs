//! The side that checks a proof: an application logs in to us.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::keys::{ClientKeys, DerivedKeys, KEY_LEN, hmac_sha256, sha256, xor};
use super::syntax::{self, Attributes};
use super::{END_POINT, Mechanism, ScramError, Verifier};

/// Waits for the client-first-message.
#[derive(Debug)]
pub struct ScramServer {
    verifier: Verifier,
    /// Hash of our certificate; `Some` means SCRAM-SHA-256-PLUS was offered.
    binding: Option<Vec<u8>>,
    nonce: String,
}

/// Waits for the client-final-message.
#[derive(Debug)]
pub struct AwaitClientFinal {
    verifier: Verifier,
    /// What `c=` must be, to the letter.
    expected_binding: String,
    /// Client's and server's nonce together.
    nonce: String,
    /// `client-first-message-bare "," server-first-message`.
    transcript: String,
}

/// The client knows the password.
#[derive(Debug)]
pub struct Proven {
    /// The server-final-message, which proves us to the client.
    pub message: Vec<u8>,
    /// Recovered from the proof; opens any server with the same verifier.
    pub keys: ClientKeys,
}

impl ScramServer {
    /// `nonce` has to be fresh (`scram::fresh_nonce`). `binding`: tls-server-end-point of our
    /// certificate, if the connection is TLS and the mechanism with channel binding is offered.
    pub fn new(verifier: Verifier, binding: Option<Vec<u8>>, nonce: String) -> Self {
        Self { verifier, binding, nonce }
    }

    pub fn offers(&self) -> &'static [Mechanism] {
        match self.binding {
            Some(_) => &[Mechanism::ScramPlus, Mechanism::Scram],
            None => &[Mechanism::Scram],
        }
    }

    /// Takes the client-first-message, gives the server-first-message.
    pub fn first(
        self,
        mechanism: Mechanism,
        message: &[u8],
    ) -> Result<(AwaitClientFinal, Vec<u8>), ScramError> {
        let message = syntax::text(message)?;
        let (header, bare) = split_gs2(message)?;
        let expected_binding = self.expected_binding(mechanism, header)?;

        let mut attributes = Attributes::new(bare);
        syntax::sasl_name(attributes.expect(b'n')?)?;
        let client_nonce = syntax::nonce(attributes.expect(b'r')?)?;
        attributes.extensions()?;

        let nonce = format!("{client_nonce}{}", self.nonce);
        let salt = syntax::encode(&self.verifier.salt);
        let answer = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        let transcript = format!("{bare},{answer}");
        let next =
            AwaitClientFinal { verifier: self.verifier, expected_binding, nonce, transcript };
        Ok((next, answer.into_bytes()))
    }

    /// RFC 5802 section 6: which flag may come with which mechanism, and what `c=` follows.
    fn expected_binding(&self, mechanism: Mechanism, header: &str) -> Result<String, ScramError> {
        let flag = header.split(',').next().unwrap_or_default();
        let refuse = |why| Err(ScramError::ChannelBinding(why));
        match (flag, mechanism, &self.binding) {
            ("n", Mechanism::Scram, _) | ("y", Mechanism::Scram, None) => {
                Ok(syntax::encode(header.as_bytes()))
            }
            // Somebody in between took PLUS out of our offer.
            ("y", Mechanism::Scram, Some(_)) => {
                refuse("the client believes we do not offer it, but we do: downgrade attack?")
            }
            ("n" | "y", Mechanism::ScramPlus, _) => refuse("mechanism chosen without binding"),
            (_, Mechanism::Scram, _) => refuse("asked for without its mechanism"),
            (_, Mechanism::ScramPlus, None) => refuse("asked for, but not offered"),
            (flag, Mechanism::ScramPlus, Some(data)) => {
                if flag.strip_prefix("p=") != Some(END_POINT) {
                    return refuse("only tls-server-end-point is supported");
                }
                Ok(syntax::encode(&[header.as_bytes(), data].concat()))
            }
        }
    }
}

/// Splits the gs2-header (with its last comma) from the rest.
fn split_gs2(message: &str) -> Result<(&str, &str), ScramError> {
    let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed("gs2 header"))?;
    if flag != "n" && flag != "y" && !flag.starts_with("p=") {
        return Err(ScramError::Malformed("gs2 channel binding flag"));
    }
    let (authorization, _) = rest.split_once(',').ok_or(ScramError::Malformed("gs2 header"))?;
    if !authorization.is_empty() {
        return Err(ScramError::Malformed("an authorization identity is not supported"));
    }
    Ok(message.split_at(flag.len() + 2))
}

impl AwaitClientFinal {
    /// Takes the client-final-message and checks its proof.
    pub fn last(self, message: &[u8]) -> Result<Proven, ScramError> {
        let message = syntax::text(message)?;
        let (bare, proof) = self.parse(message)?;
        let transcript = [self.transcript.as_bytes(), b",", bare.as_bytes()];

        let signature = hmac_sha256(self.verifier.stored_key.as_slice(), &transcript);
        let client = xor(&proof, &signature);
        let stored = sha256(&[client.as_slice()]);
        if !bool::from(stored.ct_eq(self.verifier.stored_key.as_slice())) {
            return Err(ScramError::WrongProof);
        }
        let answer = hmac_sha256(self.verifier.server_key.as_slice(), &transcript);
        let keys = DerivedKeys { client, server: self.verifier.server_key };
        Ok(Proven {
            message: format!("v={}", syntax::encode(&answer)).into_bytes(),
            keys: ClientKeys {
                keys,
                salt: self.verifier.salt,
                iterations: self.verifier.iterations,
            },
        })
    }

    /// The client-final-message-without-proof, and the proof.
    fn parse<'a>(
        &self,
        message: &'a str,
    ) -> Result<(&'a str, Zeroizing<[u8; KEY_LEN]>), ScramError> {
        let mut attributes = Attributes::new(message);
        let binding = attributes.expect(b'c')?;
        syntax::decode(binding)?;
        let nonce = syntax::nonce(attributes.expect(b'r')?)?;
        let proof = loop {
            match attributes.next()? {
                Some((b'p', proof)) => break proof,
                Some((name, value)) => syntax::extension(name, value)?,
                None => return Err(ScramError::Malformed("no proof")),
            }
        };
        attributes.end()?;
        if !bool::from(binding.as_bytes().ct_eq(self.expected_binding.as_bytes())) {
            return Err(ScramError::ChannelBinding("check failed"));
        }
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramError::Nonce);
        }
        let bytes = Zeroizing::new(syntax::decode(proof)?);
        let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice());
        let key = key.map_err(|_| ScramError::Malformed("proof of the wrong length"))?;
        let bare = &message[..message.len() - proof.len() - ",p=".len()];
        Ok((bare, Zeroizing::new(key)))
    }
}
