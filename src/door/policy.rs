//! How the clients of a cluster log in, where passwords come from the configuration alone.

use super::rules::{self, Caller, Rule, Verdict};
use super::{Method, throttle};

#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Where there are no rules.
    pub method: Method,
    pub rules: Vec<Rule>,
    pub throttle: throttle::Settings,
}

impl Policy {
    /// How this client has to prove who it is.
    pub fn verdict(&self, caller: &Caller<'_>) -> Verdict {
        match self.rules.is_empty() {
            true => Verdict::Prove(self.method),
            false => rules::judge(&self.rules, caller),
        }
    }
}
