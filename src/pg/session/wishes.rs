//! What a session wants of its reads: by its parameters, by the configuration's rules, and by
//! hints of its statements.

use super::Session;
use crate::dispatch::{Live, Standing, Wanted, Words};
use crate::pg::params::Params;
use crate::refusal::Refusal;
use crate::route::{Caller, OwnRules, Places};
use std::sync::Arc;

/// The names of the parameters that are ours, in the order of [`Wanted::NAMES`].
const PARAMETERS: [&str; 3] = ["tidegate.consistency", "tidegate.route", "tidegate.read_after"];

/// Whose session it is, and the words for places in its cluster.
pub struct Owner<'a> {
    pub user: &'a str,
    pub database: &'a str,
    pub places: &'a Places,
}

/// How settings are called here.
pub(super) fn words(places: &Places) -> Words<'_> {
    Words { prefix: "tidegate.", asks_position: "SHOW tidegate.position", places }
}

fn of_params(params: &Params, words: &Words<'_>) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    for (parameter, name) in PARAMETERS.into_iter().zip(Wanted::NAMES) {
        if let Some(value) = params.get(parameter) {
            wanted.add(name, value, words)?;
        }
    }
    Ok(wanted)
}

fn standing(params: &Arc<Params>, live: &Arc<Live>, by: &Owner<'_>) -> Standing<Params> {
    let application_name = params.get("application_name").map_or("", |name| name);
    let caller = Caller { user: by.user, database: by.database, application_name };
    let wanted = of_params(params, &words(by.places));
    let rules = OwnRules::new(&live.route.rules, &caller);
    Standing::new(params.clone(), live.clone(), wanted, rules)
}

impl Session {
    /// What is wanted of a read with this hint; see [`Standing::wants`].
    pub fn wants(
        &mut self,
        hint: Option<&Wanted>,
        marks: u64,
        live: &Arc<Live>,
        owner: &Owner<'_>,
    ) -> Result<Wanted, Refusal> {
        let params = self.variables.current();
        let kept = self.standing.take().filter(|standing| standing.is_for(params, live));
        let standing = kept.unwrap_or_else(|| standing(params, live, owner));
        self.standing.insert(standing).wants(hint, marks)
    }
}
