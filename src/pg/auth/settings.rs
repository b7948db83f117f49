//! How the clients of a cluster log in.

use std::collections::HashMap;

use crate::door::Method;
use crate::door::rules::{self, Caller, Rule, Verdict};
use crate::door::throttle;
use crate::secret::Secret;

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
