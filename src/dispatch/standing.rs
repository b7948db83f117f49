//! What a session wants of its reads, by its settings and by the configuration's rules; kept until
//! one of them changes, so that a statement costs nothing for it.

use super::{Live, Wanted};
use crate::refusal::Refusal;
use crate::route::OwnRules;
use std::sync::Arc;

/// What stands for a session with the settings `S`.
#[derive(Debug)]
pub struct Standing<S> {
    settings: Arc<S>,
    live: Arc<Live>,
    /// `None`: nothing, as usual.
    own: Option<Box<Own>>,
}

#[derive(Debug)]
struct Own {
    wanted: Result<Wanted, Refusal>,
    rules: OwnRules,
}

impl<S> Standing<S> {
    /// `wanted`: what the settings say; `rules`: those that are for this session.
    pub fn new(
        settings: Arc<S>,
        live: Arc<Live>,
        wanted: Result<Wanted, Refusal>,
        rules: OwnRules,
    ) -> Standing<S> {
        let nothing = rules == OwnRules::default() && wanted == Ok(Wanted::default());
        let own = (!nothing).then(|| Box::new(Own { wanted, rules }));
        Standing { settings, live, own }
    }

    pub fn is_for(&self, settings: &Arc<S>, live: &Arc<Live>) -> bool {
        Arc::ptr_eq(&self.settings, settings) && Arc::ptr_eq(&self.live, live)
    }

    /// What is wanted of a read with this hint: the hint goes before the session's settings, and
    /// these before the rules. `marks`: see [`OwnRules::wish`].
    pub fn wants(&self, hint: Option<&Wanted>, marks: u64) -> Result<Wanted, Refusal> {
        let mut wanted = hint.cloned().unwrap_or_default();
        if let Some(Own { wanted: set, rules }) = self.own.as_deref() {
            let set = set.as_ref().map_err(Refusal::clone)?;
            wanted.wish = wanted.wish.or(set.wish).or(rules.wish(marks));
            wanted.after = wanted.after.or_else(|| set.after.clone());
        }
        Ok(wanted)
    }
}
