//! Values that are one of a few words, and the words that later releases will know.

use super::values::{Complaint, Value};
use crate::pg::auth::Method;
use crate::pg::auth::rules::Encryption;
use crate::{backup, failover, pool, route};
use toml::de::DeValue;

/// `"word" => variant` for each word; `later` ones are refused as not built yet.
macro_rules! choices {
    ($($ty:ty { $($word:literal => $variant:path),+ $(,)? } later [$($later:literal),*])+) => {$(
        impl Value for $ty {
            const QUOTED: bool = true;
            fn allowed() -> String {
                one_of(&[$($word),+])
            }
            fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
                match value.as_str() {
                    $(Some($word) => Ok($variant),)+
                    Some(word) => Err(refuse(word, &[$($word),+], &[$($later),*])),
                    None => Err(Complaint::new(format!("must be {}", Self::allowed()))),
                }
            }
            fn show(&self) -> String {
                match self {
                    $($variant => format!("{:?}", $word),)+
                }
            }
            fn unset() -> Self {
                [$($variant),+][0]
            }
        }
    )+};
}

/// `"a", "b" or "c"`
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("{w:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

pub(super) fn refuse(word: &str, words: &[&str], later: &[&str]) -> Complaint {
    if later.contains(&word) {
        let says = format!("is not built yet; this release has {}", one_of(words));
        return Complaint::new(says).hint("CHANGELOG.md tells what each release can do");
    }
    let complaint = Complaint::new(format!("must be {}", one_of(words)));
    let likeness = |w: &&&str| strsim::jaro_winkler(&word.to_lowercase(), w);
    let best = words.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best {
        Some(best) if likeness(&best) >= 0.8 => complaint.hint(format!("did you mean {best:?}?")),
        _ => complaint,
    }
}

/// The least severe events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What clients may or must do about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTlsMode {
    /// TLS is declined.
    Off,
    /// A client may use TLS.
    Allow,
    /// A client must use TLS.
    Require,
    /// A client must use TLS and show a certificate that `ca` signed.
    Verify,
}

/// How servers are reached, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTlsMode {
    Disable,
    /// TLS where the server has it; nothing is verified.
    Prefer,
    /// TLS; nothing is verified.
    Require,
    /// TLS with a certificate that `ca` signed.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must name the host.
    VerifyFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Mysql,
    Mariadb,
}

impl Engine {
    pub fn is_postgres(self) -> bool {
        self == Engine::Postgres
    }
}

choices! {
    Level {
        "error" => Level::Error, "warn" => Level::Warn, "info" => Level::Info,
        "debug" => Level::Debug, "trace" => Level::Trace,
    } later []
    Format { "text" => Format::Text, "json" => Format::Json } later []
    ClientTlsMode {
        "off" => ClientTlsMode::Off, "allow" => ClientTlsMode::Allow,
        "require" => ClientTlsMode::Require, "verify" => ClientTlsMode::Verify,
    } later []
    ServerTlsMode {
        "disable" => ServerTlsMode::Disable, "prefer" => ServerTlsMode::Prefer,
        "require" => ServerTlsMode::Require, "verify-ca" => ServerTlsMode::VerifyCa,
        "verify-full" => ServerTlsMode::VerifyFull,
    } later []
    Engine {
        "postgres" => Engine::Postgres, "mysql" => Engine::Mysql, "mariadb" => Engine::Mariadb,
    } later []
    Method {
        "trust" => Method::Trust, "password" => Method::Password,
        "scram" => Method::Scram, "cert" => Method::Cert,
    } later []
    Encryption {
        "any" => Encryption::Any, "required" => Encryption::Required,
        "refused" => Encryption::Refused,
    } later []
    failover::Mode {
        "off" => failover::Mode::Off, "manual" => failover::Mode::Manual,
        "automatic" => failover::Mode::Automatic,
    } later []
    failover::Guarantee {
        "strict" => failover::Guarantee::Strict, "available" => failover::Guarantee::Available,
    } later []
    failover::CommitOutcome {
        "unknown" => failover::CommitOutcome::Unknown,
        "resolve" => failover::CommitOutcome::Resolve,
    } later []
    failover::Rejoin {
        "manual" => failover::Rejoin::Manual, "automatic" => failover::Rejoin::Automatic,
    } later []
    backup::From { "replica" => backup::From::Replica, "any" => backup::From::Any } later []
    route::Consistency {
        "eventual" => route::Consistency::Eventual, "bounded" => route::Consistency::Bounded,
        "session" => route::Consistency::Session, "strong" => route::Consistency::Strong,
        "primary" => route::Consistency::Primary,
    } later []
    route::Fallback {
        "primary" => route::Fallback::Primary, "wait" => route::Fallback::Wait,
        "error" => route::Fallback::Error,
    } later []
    pool::Mode { "transaction" => pool::Mode::Transaction, "session" => pool::Mode::Session }
        later []
}
