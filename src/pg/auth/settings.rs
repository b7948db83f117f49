//! How the clients of a cluster log in.

use std::collections::HashMap;

use super::rules::{self, Caller, Rule, Verdict};
use super::secret::Secret;
use super::throttle;

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// It does not: whoever reaches the listener is believed.
    Trust,
    /// It sends its password as it is; only sensible over TLS.
    Password,
    /// SCRAM-SHA-256, and SCRAM-SHA-256-PLUS over TLS.
    #[default]
    Scram,
    /// By a client certificate whose common name is the user's (or is mapped to it).
    Cert,
}

impl Method {
    pub const ALL: [Method; 4] = [Method::Trust, Method::Password, Method::Scram, Method::Cert];

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Method::Trust => "trust",
            Method::Password => "password",
            Method::Scram => "scram",
            Method::Cert => "cert",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// Which users a certificate's common name may log in as, beside the one of the same name.
pub type CertificateMap = HashMap<String, Vec<String>>;

/// `[clusters.<name>.auth]`, without its users.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where there are no rules.
    pub method: Method,
    pub rules: Vec<Rule>,
    pub throttle: throttle::Settings,
    /// Asked for a user in no table.
    pub auth_query: Option<AuthQuery>,
    pub certificate_map: CertificateMap,
}

impl Settings {
    /// How this client has to prove who it is.
    pub fn verdict(&self, caller: &Caller<'_>) -> Verdict {
        match self.rules.is_empty() {
            true => Verdict::Prove(self.method),
            false => rules::judge(&self.rules, caller),
        }
    }
}

/// How a server is asked for a user.
#[derive(Debug, Clone)]
pub struct AuthQuery {
    /// Who asks.
    pub user: String,
    pub password: Option<Secret>,
    /// Where it is asked.
    pub database: String,
    /// One parameter, the name; two columns, name and `rolpassword`.
    pub query: String,
}
