//! Whether an order may be obeyed, and what to remember of it. Pure.

use super::keep::Kept;
use crate::orders::{Order, What};
use std::time::Duration;
use thiserror::Error;

/// What is seen of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) runs: bool,
    /// It is a standby, or will be when it is started.
    pub(super) standby: bool,
    pub(super) system: u64,
}

/// Why an order is not obeyed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Objection {
    #[error("the order is of term {term}, and term {kept} was heard of")]
    OldTerm { term: u64, kept: u64 },
    #[error("this server belongs to database system {ours}, and the order to {theirs}")]
    OtherSystem { ours: u64, theirs: u64 },
    #[error("this server is the primary of term {term}: its data are not touched")]
    Reigns { term: u64 },
    #[error("the server would start as a primary, and it is not the primary of term {term}")]
    WouldReign { term: u64 },
    #[error("the server runs: stop it first")]
    Runs,
    #[error("pg_rewind was interrupted here: the data can only be replaced")]
    Torn,
}

/// What to remember before the order is carried out.
pub(super) fn judge(kept: Kept, seen: Seen, order: &Order) -> Result<Kept, Objection> {
    let term = order.term;
    if term < kept.term {
        return Err(Objection::OldTerm { term, kept: kept.term });
    }
    if seen.system != 0 && seen.system != order.system {
        return Err(Objection::OtherSystem { ours: seen.system, theirs: order.system });
    }
    let reigns = order.reigns;
    let changes =
        matches!(order.what, What::Rewind { .. } | What::Clone { .. } | What::Follow { .. });
    // Whoever is told both in one term is the primary: nobody is deposed without a new one.
    if changes && (reigns || (kept.reigns && kept.term == term)) {
        return Err(Objection::Reigns { term });
    }
    let kept = Kept { term, reigns, ..kept };
    match order.what {
        // Whoever keeps the term takes it for the primary: it may run.
        What::Renew => Ok(Kept { stopped: kept.stopped && !reigns, ..kept }),
        What::Stop { .. } => Ok(Kept { stopped: true, ..kept }),
        What::Start if seen.runs => Ok(Kept { stopped: false, ..kept }),
        What::Start if kept.torn => Err(Objection::Torn),
        What::Start if !seen.standby && !reigns => Err(Objection::WouldReign { term }),
        What::Start => Ok(Kept { stopped: false, ..kept }),
        What::Rewind { .. } | What::Clone { .. } if seen.runs => Err(Objection::Runs),
        What::Rewind { .. } if kept.torn => Err(Objection::Torn),
        What::Rewind { .. } | What::Clone { .. } | What::Follow { .. } => Ok(kept),
    }
}

/// Why a server that runs must be stopped at once; `renewed`: how long ago whoever keeps the term
/// was heard of.
pub(super) fn must_end(
    kept: Kept,
    seen: Seen,
    renewed: Duration,
    lease: Duration,
) -> Option<&'static str> {
    if !seen.runs || seen.standby {
        return None;
    }
    if kept.stopped {
        return Some("it was stopped by order and came back as a primary");
    }
    let alone = !lease.is_zero() && kept.reigns && renewed >= lease;
    alone.then_some("it is the primary, and whoever keeps the term was not heard of for the lease")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::{How, Source};

    const RUNS: Seen = Seen { runs: true, standby: false, system: 7 };
    const LIES: Seen = Seen { runs: false, standby: false, system: 7 };

    fn kept(term: u64, reigns: bool) -> Kept {
        Kept { term, reigns, ..Kept::default() }
    }

    fn order(term: u64, what: What) -> Order {
        Order { term, reigns: false, system: 7, what }
    }

    fn source() -> Source {
        Source { address: "b:5432".into(), follower: "a".into() }
    }

    fn all() -> Vec<What> {
        vec![
            What::Renew,
            What::Stop { how: How::Immediate },
            What::Start,
            What::Rewind { source: source() },
            What::Clone { source: source() },
            What::Follow { source: source() },
        ]
    }

    #[test]
    fn nobody_obeys_an_older_term_or_a_stranger() {
        for what in all() {
            let old = judge(kept(4, false), LIES, &order(3, what.clone()));
            assert_eq!(old, Err(Objection::OldTerm { term: 3, kept: 4 }));
            let other = Order { system: 8, ..order(5, what) };
            let refused = judge(kept(4, false), LIES, &other);
            assert_eq!(refused, Err(Objection::OtherSystem { ours: 7, theirs: 8 }));
        }
    }

    #[test]
    fn the_data_of_the_terms_primary_are_not_touched() {
        let touching = all().into_iter().skip(3);
        for what in touching {
            let now = judge(kept(4, true), LIES, &order(4, what.clone()));
            assert_eq!(now, Err(Objection::Reigns { term: 4 }));
            let itself = Order { reigns: true, ..order(5, what.clone()) };
            assert_eq!(judge(kept(4, false), LIES, &itself), Err(Objection::Reigns { term: 5 }));
            // One that reigned in an older term has lost its reign.
            assert_eq!(judge(kept(4, true), LIES, &order(5, what)), Ok(kept(5, false)));
        }
    }

    #[test]
    fn nothing_starts_as_a_primary_outside_its_term() {
        let start = order(5, What::Start);
        assert_eq!(judge(kept(4, true), LIES, &start), Err(Objection::WouldReign { term: 5 }));
        let standby = Seen { standby: true, ..LIES };
        assert!(judge(kept(4, true), standby, &start).is_ok());
        let reigns = Order { reigns: true, ..start };
        assert!(judge(kept(4, false), LIES, &reigns).is_ok());
    }

    #[test]
    fn what_was_half_rewound_is_only_replaced() {
        let torn = Kept { torn: true, ..kept(4, false) };
        for what in [What::Start, What::Rewind { source: source() }] {
            assert_eq!(judge(torn, LIES, &order(4, what)), Err(Objection::Torn));
        }
        assert!(judge(torn, LIES, &order(4, What::Clone { source: source() })).is_ok());
    }

    #[test]
    fn a_server_that_was_stopped_by_order_does_not_come_back_as_a_primary() {
        let second = Duration::from_secs(1);
        let none = Duration::ZERO;
        let stop = order(5, What::Stop { how: How::Immediate });
        let kept = judge(kept(4, true), RUNS, &stop).unwrap();
        assert!(must_end(kept, RUNS, second, none).is_some());
        assert!(must_end(kept, LIES, second, none).is_none());
        assert!(must_end(kept, Seen { standby: true, ..RUNS }, second, none).is_none());
        let renew = Order { reigns: true, ..order(5, What::Renew) };
        let again = judge(kept, RUNS, &renew).unwrap();
        assert!(must_end(again, RUNS, second, none).is_none());
    }

    #[test]
    fn the_switch_of_a_dead_man_ends_primaries_only_and_only_if_it_is_on() {
        let (lease, late) = (Duration::from_secs(3), Duration::from_secs(3));
        let soon = Duration::from_millis(2_999);
        assert!(must_end(kept(4, true), RUNS, late, lease).is_some());
        assert!(must_end(kept(4, true), RUNS, soon, lease).is_none());
        assert!(must_end(kept(4, true), RUNS, late, Duration::ZERO).is_none());
        assert!(must_end(kept(4, false), RUNS, late, lease).is_none());
    }
}
