//! Rules of the configuration: whose reads, or which statements, want what. The first that
//! matches counts.

use super::Wish;
use std::sync::Arc;

/// One rule. What it does not name, it does not ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub user: Option<Arc<str>>,
    pub database: Option<Arc<str>>,
    pub application_name: Option<Arc<str>>,
    /// The marks that the classifier puts on statements of this rule, as bits.
    pub marks: u64,
    pub wish: Wish,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub user: &'a str,
    pub database: &'a str,
    pub application_name: &'a str,
}

impl Rule {
    fn is_for(&self, caller: &Caller<'_>) -> bool {
        let fits = |wanted: &Option<Arc<str>>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == is)
        };
        fits(&self.user, caller.user)
            && fits(&self.database, caller.database)
            && fits(&self.application_name, caller.application_name)
    }
}

/// The rules that are left for one caller, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRules(Vec<(u64, Wish)>);

impl OwnRules {
    pub fn new(rules: &[Rule], caller: &Caller<'_>) -> OwnRules {
        let own = rules.iter().filter(|rule| rule.is_for(caller));
        OwnRules(own.map(|rule| (rule.marks, rule.wish)).collect())
    }

    /// What the first rule for statements with these marks wants.
    pub fn wish(&self, marks: u64) -> Wish {
        let first = self.0.iter().find(|(wanted, _)| marks & wanted == *wanted);
        first.map_or_else(Wish::default, |(_, wish)| *wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Consistency, Place};

    fn wish(place: Place) -> Wish {
        Wish { place: Some(place), ..Wish::default() }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = [
            Rule { marks: 0b1010, wish: wish(Place::Primary), ..Rule::default() },
            Rule {
                user: Some("reports".into()),
                application_name: Some("nightly".into()),
                wish: wish(Place::Replica),
                ..Rule::default()
            },
            Rule {
                database: Some("billing".into()),
                wish: Wish { consistency: Some(Consistency::Strong), ..Wish::default() },
                ..Rule::default()
            },
        ];
        let caller = Caller { user: "reports", database: "billing", application_name: "nightly" };
        let own = OwnRules::new(&rules, &caller);
        assert_eq!(own.wish(0), wish(Place::Replica));
        assert_eq!(own.wish(0b1110), wish(Place::Primary));
        assert_eq!(own.wish(0b1100), wish(Place::Replica));
        let own = OwnRules::new(&rules, &Caller { application_name: "psql", ..caller });
        assert_eq!(own.wish(0).consistency, Some(Consistency::Strong));
        let own = OwnRules::new(&rules, &Caller { user: "app", database: "x", ..caller });
        assert_eq!(own.wish(0), Wish::default());
    }
}
