//! What a session wants of its reads: by its parameters, by the configuration's rules, and by
//! hints of its statements.

use super::Session;
use crate::pg::cluster::Live;
use crate::pg::params::Params;
use crate::refusal::Refusal;
use crate::route::{Caller, Consistency, OwnRules, Place, Places, Wish};
use crate::sql::Hint;
use crate::topology::Position;
use std::sync::Arc;

/// The session's parameters that are ours. A hint has the same names without the first part.
const NAMES: [&str; 3] = ["tidegate.consistency", "tidegate.route", "tidegate.read_after"];

/// What is wanted of reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub wish: Wish,
    /// A position that they must see.
    pub after: Option<Arc<Position>>,
}

impl Wanted {
    /// Adds what `tidegate.NAME = value` says; an empty value says nothing.
    pub fn add(&mut self, name: &str, value: &str, places: &Places) -> Result<(), Refusal> {
        let invalid = |allowed: String| Refusal::Setting {
            name: format!("tidegate.{name}"),
            value: value.into(),
            allowed,
        };
        match name {
            "consistency" | "route" | "read_after" if value.is_empty() => {}
            "consistency" => {
                let level = Consistency::parse(value);
                let names = || Consistency::ALL.map(Consistency::name).join(", ");
                self.wish.consistency = Some(level.ok_or_else(|| invalid(names()))?);
            }
            "route" => {
                let place = places.find(value);
                self.wish.place = Some(place.ok_or_else(|| invalid(places.words()))?);
            }
            "read_after" => {
                let position = Position::from_token(value);
                let allowed = "what SHOW tidegate.position answered".to_string();
                self.after = Some(Arc::new(position.ok_or_else(|| invalid(allowed))?));
            }
            _ => return Err(Refusal::UnknownSetting { name: format!("tidegate.{name}") }),
        }
        Ok(())
    }

    /// What a hint says.
    pub fn of_hint(hint: &Hint, places: &Places) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted::default();
        for (name, value) in &hint.0 {
            wanted.add(name, value, places)?;
        }
        Ok(wanted)
    }

    /// Reads never go to the primary.
    pub fn shuns_primary(&self) -> bool {
        self.wish.place == Some(Place::Replica)
    }

    fn of_params(params: &Params, places: &Places) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted::default();
        for name in NAMES {
            if let Some(value) = params.get(name) {
                wanted.add(&name["tidegate.".len()..], value, places)?;
            }
        }
        Ok(wanted)
    }
}

/// Whose session it is, and the words for places in its cluster.
pub struct Owner<'a> {
    pub user: &'a str,
    pub database: &'a str,
    pub places: &'a Places,
}

/// What stands for a session until its parameters or the configuration change.
#[derive(Debug)]
pub struct Standing {
    params: Arc<Params>,
    live: Arc<Live>,
    /// `None`: nothing, as usual.
    own: Option<Box<Own>>,
}

#[derive(Debug)]
struct Own {
    wanted: Result<Wanted, Refusal>,
    rules: OwnRules,
}

impl Standing {
    fn new(params: &Arc<Params>, live: &Arc<Live>, by: &Owner<'_>) -> Standing {
        let application_name = params.get("application_name").map_or("", |name| name);
        let caller = Caller { user: by.user, database: by.database, application_name };
        let wanted = Wanted::of_params(params, by.places);
        let rules = OwnRules::new(&live.route.rules, &caller);
        let nothing = rules == OwnRules::default() && wanted == Ok(Wanted::default());
        let own = (!nothing).then(|| Box::new(Own { wanted, rules }));
        Standing { params: params.clone(), live: live.clone(), own }
    }

    fn is_for(&self, params: &Arc<Params>, live: &Arc<Live>) -> bool {
        Arc::ptr_eq(&self.params, params) && Arc::ptr_eq(&self.live, live)
    }
}

impl Session {
    /// What is wanted of a read with this hint: the hint goes before the session's parameters, and
    /// these before the rules. `marks`: see [`OwnRules::wish`].
    pub fn wants(
        &mut self,
        hint: Option<&Wanted>,
        marks: u64,
        live: &Arc<Live>,
        owner: &Owner<'_>,
    ) -> Result<Wanted, Refusal> {
        let params = self.variables.current();
        if !self.standing.as_ref().is_some_and(|standing| standing.is_for(params, live)) {
            self.standing = Some(Standing::new(params, live, owner));
        }
        let own = self.standing.as_ref().and_then(|standing| standing.own.as_deref());
        let mut wanted = hint.cloned().unwrap_or_default();
        if let Some(Own { wanted: set, rules }) = own {
            let set = set.as_ref().map_err(Refusal::clone)?;
            wanted.wish = wanted.wish.or(set.wish).or(rules.wish(marks));
            wanted.after = wanted.after.or_else(|| set.after.clone());
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&str, &str)]) -> Result<Wanted, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let places = Places::new([("a", ["reports"]), ("b", ["reports"])]);
        Wanted::of_hint(&Hint(pairs.collect()), &places)
    }

    #[test]
    fn a_hint_says_what_a_setting_says() {
        let both = wanted(&[("consistency", "STRONG"), ("route", "replica")]).expect("right");
        assert_eq!(both.wish.consistency, Some(Consistency::Strong));
        assert_eq!(both.wish.place, Some(Place::Replica));
        assert_eq!(wanted(&[("route", "")]), Ok(Wanted::default()));
        let after = wanted(&[("read_after", "7:1:0/20")]).expect("right").after;
        assert_eq!(after.and_then(|p| p.token()), Some("7:1:0/20".into()));
    }

    #[test]
    fn what_is_wrong_names_what_is_allowed() {
        let wrong = wanted(&[("route", "reprots")]).expect_err("misspelt").to_string();
        let says = "invalid value for parameter \"tidegate.route\": \"reprots\" \
                    (allowed: any, primary, replica, a, b, reports)";
        assert_eq!(wrong, says);
        let wrong = wanted(&[("rout", "a")]).expect_err("misspelt").to_string();
        assert_eq!(wrong, "unrecognized configuration parameter \"tidegate.rout\"");
        assert!(wanted(&[("read_after", "yesterday")]).is_err());
    }
}
