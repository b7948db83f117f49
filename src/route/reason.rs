//! The words for a decision's reason, the same everywhere.

use super::Because;
use crate::sql::Why;

/// All reasons, in the order of their numbers.
const REASONS: [Because; Because::COUNT] = [
    Because::FreshReplica,
    Because::FarReplica,
    Because::Asked,
    Because::NoFreshReplica,
    Because::NoPrimary,
    Because::Statement(Why::ALL[0]),
    Because::Statement(Why::ALL[1]),
    Because::Statement(Why::ALL[2]),
    Because::Statement(Why::ALL[3]),
    Because::Statement(Why::ALL[4]),
    Because::Statement(Why::ALL[5]),
    Because::Statement(Why::ALL[6]),
    Because::Statement(Why::ALL[7]),
    Because::Statement(Why::ALL[8]),
    Because::Statement(Why::ALL[9]),
    Because::Statement(Why::ALL[10]),
];

impl Because {
    pub const COUNT: usize = 5 + Why::ALL.len();

    /// A number below [`Because::COUNT`], for tables of counters.
    pub fn index(self) -> usize {
        match self {
            Because::FreshReplica => 0,
            Because::FarReplica => 1,
            Because::Asked => 2,
            Because::NoFreshReplica => 3,
            Because::NoPrimary => 4,
            Because::Statement(why) => 5 + why as usize,
        }
    }

    /// The reason with this number; numbers beyond the last mean the last.
    pub fn from_index(index: usize) -> Because {
        REASONS[index.min(Because::COUNT - 1)]
    }

    /// One word for the log, the metric label and the console.
    pub fn name(self) -> &'static str {
        match self {
            Because::FreshReplica => "fresh_replica",
            Because::FarReplica => "far_replica",
            Because::Statement(why) => why.name(),
            Because::Asked => "asked",
            Because::NoFreshReplica => "no_fresh_replica",
            Because::NoPrimary => "no_primary",
        }
    }

    /// A sentence for people.
    pub fn explain(self) -> &'static str {
        match self {
            Because::FreshReplica => "a read, on the least busy replica that is fresh enough",
            Because::Statement(why) => needs_primary(why),
            Because::FarReplica => {
                "a read, on a replica of another zone, because none here is fresh enough"
            }
            Because::Asked => "a read, where a hint, a setting or a rule wants it",
            Because::NoFreshReplica => "a read, but no replica is fresh enough",
            Because::NoPrimary => "it needs the primary, but no node is known to be the primary",
        }
    }
}

fn needs_primary(why: Why) -> &'static str {
    match why {
        Why::Write => "the primary, because it writes",
        Why::Locks => "the primary, because it locks rows or tables",
        Why::WritingSelect => "the primary, because this SELECT writes",
        Why::Function => "the primary, because it calls a function that may have an effect",
        Why::Transaction => "the primary, because its transaction is not READ ONLY",
        Why::Session => "the primary, because it changes the session",
        Why::Unparsed => "the primary, because the grammar did not understand it",
        Why::Unseen => "the primary, because it was too long or not yet whole to be looked at",
        Why::Doubtful => "the primary, because nothing shows that it is a read",
        Why::Relation => "the primary, because it reads what a replica cannot, or may not",
        Why::Refused => "the primary, because a replica refused a statement like it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_its_own_number() {
        for (i, because) in REASONS.into_iter().enumerate() {
            assert_eq!((because.index(), Because::from_index(i)), (i, because));
        }
    }

    #[test]
    fn every_reason_has_a_word_and_a_sentence_of_its_own() {
        let mut all = vec![
            Because::FreshReplica,
            Because::FarReplica,
            Because::Asked,
            Because::NoFreshReplica,
            Because::NoPrimary,
        ];
        all.extend(Why::ALL.map(Because::Statement));
        let names: HashSet<&str> = all.iter().map(|because| because.name()).collect();
        let sentences: HashSet<&str> = all.iter().map(|because| because.explain()).collect();
        assert_eq!((names.len(), sentences.len()), (all.len(), all.len()));
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
