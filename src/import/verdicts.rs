//! What becomes of single settings: tables, and the one place that applies them.

use super::Work;
use super::cluster::{duration, number, of};

/// What a setting becomes.
pub(super) enum To {
    /// The same number, within these limits.
    Number(&'static str, u64, u64),
    /// As many of these milliseconds as a duration, within these limits in milliseconds. Zero meant
    /// "never" there, which is the upper limit here.
    Time(&'static str, u64, (u64, u64)),
    /// Read elsewhere.
    Known,
    /// It has no meaning here: why, and what to do; empty: nothing.
    No(&'static str, &'static str),
}

/// A setting with its line.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

impl Given<'_> {
    /// As it stood, but for what may be a secret.
    pub(super) fn shown(&self) -> String {
        let hidden = ["password", "passwd", "credentials", "secret", "_key"];
        match hidden.iter().any(|word| self.name.contains(word)) || self.value.len() > 60 {
            true => self.name.to_owned(),
            false => format!("{} = {}", self.name, self.value),
        }
    }
}

impl Work<'_> {
    /// Carries a setting over into the table at `path`, or says why not.
    pub(super) fn settle(&mut self, path: &[&str], given: Given<'_>, table: &[(&str, To)]) {
        let known = table.iter().find(|(name, _)| *name == given.name);
        let Some((_, to)) = known else {
            let todo = "Look it up, and `tidegate reference` for what may stand for it.";
            return self.note(given.line, given.shown(), "it is not known to this importer.", todo);
        };
        match to {
            To::Known => {}
            To::No(why, todo) => self.note(given.line, given.shown(), *why, *todo),
            To::Number(key, low, high) => {
                let Some(value) = self.read_number(given) else { return };
                let value = self.within((given.line, given.name), value, (*low, *high));
                self.draft.table(path).set(key, number(value), of(given.name, given.line));
            }
            To::Time(key, unit, limits) => {
                let Some(value) = self.read_number(given) else { return };
                let millis = if value == 0 { limits.1 } else { value.saturating_mul(*unit) };
                let millis = self.within((given.line, given.name), millis, *limits);
                self.draft.table(path).set(key, duration(millis), of(given.name, given.line));
            }
        }
    }

    /// A whole number, or the whole part of one; anything else is said.
    fn read_number(&mut self, given: Given<'_>) -> Option<u64> {
        let whole = given.value.split('.').next().unwrap_or_default();
        let read = whole.parse().ok();
        if read.is_none() {
            self.note(given.line, given.shown(), "is no number.", "Set it by hand.");
        }
        read
    }
}
