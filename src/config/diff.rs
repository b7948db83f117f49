//! What a reload changes: which keys take effect at once, which only after a restart.

use super::{Config, Effective};
use std::collections::BTreeSet;

/// One key with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its full path, `clusters.orders.pool.size`.
    pub key: String,
    /// `None`: the key was not there.
    pub old: Option<String>,
    /// `None`: the key is gone.
    pub new: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub live: Vec<Change>,
    /// These keep their old value until the process starts anew.
    pub needs_restart: Vec<Change>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

/// The cluster that a key belongs to.
fn cluster_of(key: &str) -> Option<&str> {
    key.strip_prefix("clusters.")?.split('.').next()
}

/// Compares two configurations key by key. A secret counts as changed when its content is
/// another one, even if it comes from the same file.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    let keys: BTreeSet<&String> = old.effective.keys().chain(new.effective.keys()).collect();
    for key in keys {
        let (was, is) = (old.effective.get(key), new.effective.get(key));
        let same = match (was, is) {
            (Some(was), Some(is)) => was.value == is.value && was.secret == is.secret,
            _ => false,
        };
        if same {
            continue;
        }
        let value = |e: Option<&Effective>| e.map(|e| e.value.clone());
        let change = Change { key: key.clone(), old: value(was), new: value(is) };
        // A cluster that comes or goes as a whole does so with the next process.
        let whole = cluster_of(key).is_some_and(|name| {
            let known = |config: &Config| config.settings.clusters.contains_key(name);
            known(old) != known(new)
        });
        let restart = whole || was.or(is).is_some_and(|e| e.restart);
        if restart { changes.needs_restart.push(change) } else { changes.live.push(change) }
    }
    changes
}
