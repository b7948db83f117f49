//! What is wanted of a read, as hints and settings say it.

use crate::refusal::Refusal;
use crate::route::{Consistency, Place, Places, Wish};
use crate::sql::Hint;
use crate::topology::Position;
use std::sync::Arc;

/// What is wanted of reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub wish: Wish,
    /// A position that they must see.
    pub after: Option<Arc<Position>>,
}

/// The words of one engine's clients.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// What stands before the name of a setting: `tidegate.` or `@tidegate_`.
    pub prefix: &'static str,
    /// The statement that tells a position.
    pub asks_position: &'static str,
    pub places: &'a Places,
}

impl Wanted {
    /// The settings there are. A hint has the same names.
    pub const NAMES: [&'static str; 3] = ["consistency", "route", "read_after"];

    /// Adds what the setting `name` with this value says; an empty value says nothing.
    pub fn add(&mut self, name: &str, value: &str, words: &Words<'_>) -> Result<(), Refusal> {
        let full = || format!("{}{name}", words.prefix);
        let invalid =
            |allowed: String| Refusal::Setting { name: full(), value: value.into(), allowed };
        match name {
            _ if !Wanted::NAMES.contains(&name) => {
                return Err(Refusal::UnknownSetting { name: full() });
            }
            _ if value.is_empty() => {}
            "consistency" => {
                let level = Consistency::parse(value);
                let names = || Consistency::ALL.map(Consistency::name).join(", ");
                self.wish.consistency = Some(level.ok_or_else(|| invalid(names()))?);
            }
            "route" => {
                let place = words.places.find(value);
                self.wish.place = Some(place.ok_or_else(|| invalid(words.places.words()))?);
            }
            _ => {
                let position = Position::from_token(value);
                let allowed = || format!("what {} answered", words.asks_position);
                self.after = Some(Arc::new(position.ok_or_else(|| invalid(allowed()))?));
            }
        }
        Ok(())
    }

    /// What a hint says.
    pub fn of_hint(hint: &Hint, words: &Words<'_>) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted::default();
        for (name, value) in &hint.0 {
            wanted.add(name, value, words)?;
        }
        Ok(wanted)
    }

    /// Reads never go to the primary.
    pub fn shuns_primary(&self) -> bool {
        self.wish.place == Some(Place::Replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&str, &str)]) -> Result<Wanted, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let places = Places::new([("a", ["reports"]), ("b", ["reports"])]);
        let words =
            Words { prefix: "tidegate.", asks_position: "SHOW tidegate.position", places: &places };
        Wanted::of_hint(&Hint(pairs.collect()), &words)
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
