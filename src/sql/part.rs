//! The answer for one statement of a text.

use super::analysis::{Pin, Step, Why};

#[derive(Debug)]
pub(super) struct Part {
    pub(super) primary: Option<Why>,
    pub(super) step: Step,
    /// Every text of the same shape has this answer, or is an error on any server.
    pub(super) by_shape: bool,
}

impl Part {
    pub(super) fn read() -> Part {
        Part { primary: None, step: Step::Plain, by_shape: true }
    }

    pub(super) fn primary(why: Why) -> Part {
        Part { primary: Some(why), ..Part::read() }
    }

    pub(super) fn step(self, step: Step) -> Part {
        Part { step, ..self }
    }

    pub(super) fn pin(self, pin: Option<Pin>) -> Part {
        match pin {
            Some(pin) => self.step(Step::Pin(pin)),
            None => self,
        }
    }

    pub(super) fn never_by_shape(self) -> Part {
        Part { by_shape: false, ..self }
    }
}

/// The stronger of two reasons: the one that says more about what the text does.
pub(super) fn stronger(one: Option<Why>, other: Option<Why>) -> Option<Why> {
    if rank(other) > rank(one) { other } else { one }
}

fn rank(why: Option<Why>) -> u8 {
    match why {
        None => 0,
        Some(Why::Session) => 1,
        Some(Why::Transaction) => 2,
        Some(Why::Doubtful) => 3,
        Some(Why::Refused) => 4,
        Some(Why::Relation) => 5,
        Some(Why::Function) => 6,
        Some(Why::Locks) => 7,
        Some(Why::WritingSelect) => 8,
        Some(Why::Write) => 9,
        Some(Why::Unseen) => 10,
        Some(Why::Unparsed) => 11,
    }
}
