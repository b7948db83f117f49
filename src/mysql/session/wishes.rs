//! What a session wants of its reads: by what it set, by the configuration's rules, and by hints
//! of its statements.

use super::Session;
use crate::dispatch::{Live, Standing, Wanted, Words};
use crate::refusal::Refusal;
use crate::route::{Caller, OwnRules, Places};
use crate::sql::mysql::{Assignment, Value};
use std::sync::Arc;

/// What stands before the names of a session's settings that are ours.
pub(in crate::mysql) const PREFIX: &str = "@tidegate_";

/// How settings are called here.
pub(in crate::mysql) fn words(places: &Places) -> Words<'_> {
    Words { prefix: PREFIX, asks_position: "SELECT @@tidegate_position", places }
}

/// The settings of a session that are ours, in the order of [`Wanted::NAMES`]; empty: not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mysql) struct Settings([Box<str>; 3]);

impl Settings {
    /// What `SET @tidegate_NAME` said last.
    pub(in crate::mysql) fn get(&self, name: &str) -> Option<&str> {
        let at = Wanted::NAMES.iter().position(|known| *known == name)?;
        Some(&self.0[at])
    }

    /// These, and what is assigned to them.
    fn with(&self, assignments: &[Assignment], words: &Words<'_>) -> Result<Settings, Refusal> {
        let mut settings = self.clone();
        for assignment in assignments {
            let Assignment::User { name, value } = assignment else { continue };
            let name = name.strip_prefix(&PREFIX[1..]).unwrap_or(name);
            let value = literal(name, value)?;
            Wanted::default().add(name, &value, words)?;
            if let Some(at) = Wanted::NAMES.iter().position(|known| *known == name) {
                settings.0[at] = value;
            }
        }
        Ok(settings)
    }

    fn wanted(&self, words: &Words<'_>) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted::default();
        for (name, value) in Wanted::NAMES.into_iter().zip(&self.0) {
            wanted.add(name, value, words)?;
        }
        Ok(wanted)
    }
}

/// Empty for NULL, which takes a setting back.
fn literal(name: &str, value: &Value) -> Result<Box<str>, Refusal> {
    match value {
        Value::Literal { meaning: Some(meaning), .. } => Ok(meaning.clone()),
        Value::Literal { written, .. } if written.eq_ignore_ascii_case(b"null") => Ok("".into()),
        Value::Default => Ok("".into()),
        Value::Literal { .. } | Value::Computed => Err(Refusal::Setting {
            name: format!("{PREFIX}{name}"),
            value: "an expression".into(),
            allowed: "a string".into(),
        }),
    }
}

impl Session {
    /// `SET @tidegate_… = …`, all of it or nothing.
    pub(in crate::mysql) fn set_own(
        &mut self,
        assignments: &[Assignment],
        words: &Words<'_>,
    ) -> Result<(), Refusal> {
        self.settings = Arc::new(self.settings.with(assignments, words)?);
        Ok(())
    }

    /// What is wanted of a read with this hint; see [`Standing::wants`].
    pub(in crate::mysql) fn wants(
        &mut self,
        (hint, marks): (Option<&Wanted>, u64),
        live: &Arc<Live>,
        caller: &Caller<'_>,
        words: &Words<'_>,
    ) -> Result<Wanted, Refusal> {
        let settings = &self.settings;
        let kept = self.standing.take().filter(|standing| standing.is_for(settings, live));
        let standing = kept.unwrap_or_else(|| {
            let rules = OwnRules::new(&live.route.rules, caller);
            Standing::new(settings.clone(), live.clone(), settings.wanted(words), rules)
        });
        self.standing.insert(standing).wants(hint, marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Consistency;

    fn said(text: &str) -> Value {
        let (written, meaning) = (text.as_bytes().into(), Some(text.into()));
        Value::Literal { written, meaning }
    }

    fn user(name: &str, value: Value) -> Assignment {
        Assignment::User { name: name.into(), value }
    }

    #[test]
    fn settings_hold_until_they_are_taken_back_and_a_wrong_one_changes_nothing() {
        let places = Places::default();
        let words = words(&places);
        let strong = [user("tidegate_consistency", said("strong"))];
        let settings = Settings::default().with(&strong, &words).expect("right");
        let wanted = settings.wanted(&words).expect("right");
        assert_eq!(wanted.wish.consistency, Some(Consistency::Strong));
        let both = [user("tidegate_consistency", said("")), user("tidegate_route", said("x"))];
        let wrong = settings.with(&both, &words).expect_err("no such place").to_string();
        assert!(wrong.contains("\"@tidegate_route\": \"x\" (allowed: any, primary"), "{wrong}");
        let null = Value::Literal { written: b"NULL"[..].into(), meaning: None };
        let none = settings.with(&[user("tidegate_consistency", null)], &words);
        assert_eq!(none, Ok(Settings::default()));
        let computed = settings.with(&[user("tidegate_route", Value::Computed)], &words);
        assert!(computed.is_err());
        assert!(settings.with(&[user("tidegate_speed", said("x"))], &words).is_err());
    }
}
