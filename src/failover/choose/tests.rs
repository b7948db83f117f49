//! Who becomes the primary, a rule in each.

use super::super::plan;
use super::super::term::{Guarantee, Kind, Term};
use super::*;
use crate::topology::Lsn;

fn candidate(name: &str, timeline: u32, lsn: u64, unreplayed: u64) -> Candidate {
    let received = Place { timeline, lsn: Lsn(lsn) };
    Candidate { name: name.into(), received, unreplayed, priority: 100 }
}

fn record(to: Option<&str>, vouched: bool) -> Record {
    let record = Record::adopt("x".into(), "h".into(), Term(4), ("a".into(), 7, 2));
    let let_go = ["b", "c", "d"].map(|name| (name.into(), candidate(name, 2, 0, 0).received));
    let change = Change {
        kind: Kind::Failover,
        guarantee: Guarantee::Available,
        from: "a".into(),
        cause: String::new(),
        to: to.map(Into::into),
        vouched: vouched.then(|| "a test".into()),
        quiet: true,
        evidence: None,
        drained: None,
        revoked: Some(let_go.into()),
        chosen: None,
        ordered: false,
        promoted: None,
        installed: false,
        repointed: false,
        abandoned: None,
    };
    plan::begin(&record, change)
}

fn chosen(seen: &[Candidate]) -> String {
    choose(&record(None, false), seen).unwrap().to_string()
}

#[test]
fn the_one_that_has_most_is_chosen_however_much_it_has_to_replay() {
    let seen = [candidate("b", 2, 10, 0), candidate("c", 2, 11, 500_000_000)];
    assert_eq!(chosen(&seen), "c");
}

#[test]
fn among_equals_the_one_that_is_ready_first_then_the_operators_order_then_the_name() {
    assert_eq!(chosen(&[candidate("b", 2, 10, 7), candidate("c", 2, 10, 3)]), "c");
    assert_eq!(chosen(&[candidate("c", 2, 10, 3), candidate("b", 2, 10, 3)]), "b");
    let preferred = Candidate { priority: 200, ..candidate("c", 2, 10, 3) };
    assert_eq!(chosen(&[candidate("b", 2, 10, 3), preferred]), "c");
}

#[test]
fn one_of_another_timeline_is_never_chosen_even_if_it_has_more() {
    let seen = [candidate("b", 1, 99, 0), candidate("c", 3, 99, 0), candidate("d", 2, 10, 0)];
    assert_eq!(chosen(&seen), "d");
    let none = choose(&record(None, false), &seen[..2]);
    assert_eq!(none, Err(NoCandidate::Nobody { timeline: 2 }));
}

#[test]
fn one_that_did_not_let_go_is_never_chosen() {
    let seen = [candidate("e", 2, 99, 0), candidate("b", 2, 10, 0)];
    assert_eq!(chosen(&seen), "b");
}

#[test]
fn one_that_may_not_reign_keeps_those_that_have_less_from_it() {
    let barred = Candidate { priority: 0, ..candidate("b", 2, 11, 0) };
    let seen = [barred, candidate("c", 2, 10, 0)];
    let none = choose(&record(None, false), &seen);
    assert_eq!(none, Err(NoCandidate::Barred { name: "b".into() }));
}

#[test]
fn whom_an_operator_asks_for_must_have_all_unless_somebody_vouches() {
    let seen = [candidate("b", 2, 10, 0), candidate("c", 2, 11, 0)];
    assert_eq!(choose(&record(Some("c"), false), &seen), Ok("c".into()));
    let behind = choose(&record(Some("b"), false), &seen).unwrap_err();
    assert_eq!(behind.to_string(), "b has received up to 2:0/A only, c up to 2:0/B");
    assert_eq!(choose(&record(Some("b"), true), &seen), Ok("b".into()));
    let absent = choose(&record(Some("e"), true), &seen);
    assert_eq!(absent, Err(NoCandidate::NotThere { name: "e".into() }));
}
