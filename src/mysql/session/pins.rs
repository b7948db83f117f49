//! Why a session keeps its server connection between transactions, and what ends that.

use crate::mysql::registry::Pin;
use crate::sql::mysql::{Analysis, Assignment, Scope, Step, Uses};

/// A set of pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::mysql) struct Pins(u32);

impl Pins {
    pub(in crate::mysql) fn add(&mut self, pin: Pin) {
        self.0 |= 1 << pin as u32;
    }

    pub(super) fn remove(&mut self, pin: Pin) {
        self.0 &= !(1 << pin as u32);
    }

    pub(in crate::mysql) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first of them, in the order of their numbers.
    pub(in crate::mysql) fn first(self) -> Pin {
        let has = |pin: &Pin| self.0 & (1 << *pin as u32) != 0;
        Pin::ALL.into_iter().find(has).unwrap_or(Pin::None)
    }

    /// What a text may leave on its server connection, be it carried out or not.
    pub(super) fn prepare_for(&mut self, analysis: &Analysis) {
        const BY_USE: [(Uses, Pin); 8] = [
            (Uses::ASSIGNS_VARIABLES, Pin::UserVariable),
            (Uses::TEMPORARY, Pin::TemporaryTable),
            (Uses::NAMED_LOCK, Pin::NamedLock),
            (Uses::CODE, Pin::Code),
            (Uses::CONNECTION_ID, Pin::ConnectionId),
            (Uses::SEQUENCE, Pin::Sequence),
            (Uses::SETS_LAST_INSERT_ID, Pin::LastInsertId),
            (Uses::CALC_FOUND_ROWS, Pin::FoundRows),
        ];
        for part in &analysis.parts {
            BY_USE
                .iter()
                .filter(|(uses, _)| part.uses.has(*uses))
                .for_each(|(_, pin)| self.add(*pin));
            match &part.step {
                Step::Prepare(_) => self.add(Pin::SqlPrepare),
                Step::LockTables => self.add(Pin::TableLock),
                Step::HandlerOpen => self.add(Pin::Handler),
                Step::XaStart | Step::XaOther => self.add(Pin::Xa),
                Step::Set(parts) => parts.iter().for_each(|part| self.prepare_to_set(part)),
                _ => {}
            }
        }
    }

    fn prepare_to_set(&mut self, assignment: &Assignment) {
        /// Variables that mean the next statement, or this very connection.
        const OF_THE_CONNECTION: [&str; 9] = [
            // Reported as a moment, be it fixed or not.
            "timestamp",
            "insert_id",
            "last_insert_id",
            "identity",
            "rand_seed1",
            "rand_seed2",
            "gtid_seq_no",
            "pseudo_thread_id",
            "gtid_next",
        ];
        match assignment {
            Assignment::User { .. } => self.add(Pin::UserVariable),
            Assignment::Role(_) => self.add(Pin::Setting),
            Assignment::Variable { scope: Scope::Unsaid | Scope::Session, name, .. }
                if OF_THE_CONNECTION.contains(&&**name) || name.starts_with("session_track") =>
            {
                self.add(Pin::Setting);
            }
            _ => {}
        }
    }

    /// What ended with a text that the server carried out.
    pub(super) fn ended_by(&mut self, analysis: &Analysis) {
        for part in &analysis.parts {
            match &part.step {
                Step::UnlockTables => self.remove(Pin::TableLock),
                Step::XaEnd => self.remove(Pin::Xa),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mysql::Part;

    fn of(step: Step, uses: Uses) -> Analysis {
        Analysis { parts: vec![Part { step, uses }], ..Analysis::default() }
    }

    #[test]
    fn what_cannot_move_pins_and_lets_go_when_it_ends() {
        let mut pins = Pins::default();
        pins.prepare_for(&of(Step::LockTables, Uses::NONE));
        assert_eq!(pins.first(), Pin::TableLock);
        pins.prepare_for(&of(Step::Plain, Uses::TEMPORARY));
        pins.ended_by(&of(Step::UnlockTables, Uses::NONE));
        assert_eq!(pins.first(), Pin::TemporaryTable);
        assert!(!pins.is_empty());
    }

    #[test]
    fn variables_of_the_session_do_not_pin_but_those_of_the_connection_do() {
        let set = |name: &str| {
            let value = crate::sql::mysql::Value::Default;
            let (scope, name) = (Scope::Session, name.into());
            let parts = Box::new([Assignment::Variable { scope, name, value }]);
            let mut pins = Pins::default();
            pins.prepare_for(&of(Step::Set(parts), Uses::NONE));
            pins.first()
        };
        assert_eq!(set("time_zone"), Pin::None);
        assert_eq!(set("insert_id"), Pin::Setting);
        assert_eq!(set("session_track_schema"), Pin::Setting);
    }
}
