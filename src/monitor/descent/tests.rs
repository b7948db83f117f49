//! Roles where nobody numbers the reigns, one sentence per rule.

use super::*;
use crate::monitor::{Verdict, roles};
use crate::topology::{Decree, GtidList, GtidState, History, NodeSet, Role};
use std::sync::Arc;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Node number `n` (its server id), whom it follows, and its history.
fn node(n: u32, source: Source, state: &str) -> Seen {
    let list: GtidList = state.parse().unwrap();
    let state = GtidState::read(state, &list, list.clone()).unwrap();
    let history = History::MariaDb(Arc::new(state));
    let lineage = Lineage {
        server: ServerId(n.into()),
        source,
        read_only: source != Source::Nobody,
        history,
    };
    Seen::Says(Observation {
        in_recovery: source != Source::Nobody,
        system: 0,
        timeline: Timeline(0),
        position: None,
        version: "10.11".into(),
        claimed_lag_us: None,
        lineage: Some(lineage),
        feed: None,
        trouble: None,
    })
}

/// It takes writes and follows nobody.
fn claims(n: u32, state: &str) -> Seen {
    node(n, Source::Nobody, state)
}

fn follows(n: u32, source: u32) -> Seen {
    node(n, Source::Server(ServerId(source.into())), "0-1-100")
}

fn read_only(n: u32, state: &str) -> Seen {
    let mut seen = claims(n, state);
    if let Seen::Says(Observation { lineage: Some(lineage), .. }) = &mut seen {
        lineage.read_only = true;
    }
    seen
}

fn silent() -> Seen {
    Seen::Silent("no answer".to_string())
}

fn decide(seen: &[Seen], before: Reign) -> (Vec<&'static str>, Verdict) {
    let verdict = roles(seen, &NAMES[..seen.len()], before, &Decree::Free);
    (verdict.roles.iter().map(Role::name).collect(), verdict)
}

/// What is remembered once a reigned over b and c.
fn of_a() -> Reign {
    let seen = [claims(1, "0-1-100"), follows(2, 1), follows(3, 1)];
    let (found, verdict) = decide(&seen, Reign::default());
    assert_eq!(found, ["primary", "replica", "replica"]);
    verdict.reign
}

#[test]
fn the_one_whom_others_follow_is_the_primary() {
    let reign = of_a();
    assert_eq!(reign.server, Some(ServerId(1)));
    assert!(reign.followers.contains(NodeId(1)) && !reign.followers.contains(NodeId(0)));
    let other = [follows(1, 3), follows(2, 3), claims(3, "0-1-100")];
    assert_eq!(decide(&other, Reign::default()).0, ["replica", "replica", "primary"]);
}

#[test]
fn a_former_primary_that_comes_back_is_neither_primary_nor_replica() {
    let promoted = [silent(), claims(2, "0-1-100,0-2-101"), follows(3, 2)];
    let (found, verdict) = decide(&promoted, of_a());
    assert_eq!(found, ["unknown", "primary", "replica"]);
    let back = [claims(1, "0-1-100"), claims(2, "0-1-100,0-2-105"), follows(3, 2)];
    for before in [verdict.reign, Reign::default()] {
        let (found, verdict) = decide(&back, before);
        assert_eq!(found, ["fenced", "primary", "replica"], "{before:?}");
        assert!(verdict.because[0].contains("claims"), "{}", verdict.because[0]);
    }
}

#[test]
fn of_two_that_nobody_follows_the_one_with_all_that_the_other_has_is_the_primary() {
    let (old, new) = (claims(1, "0-1-100"), claims(2, "0-1-100,0-2-105"));
    assert_eq!(decide(&[old, new.clone()], Reign::default()).0, ["fenced", "primary"]);
    let (found, verdict) = decide(&[claims(1, "0-1-101"), new.clone()], Reign::default());
    assert_eq!(found, ["unknown", "unknown"], "they parted");
    assert!(verdict.because[0].contains("all claim"), "{}", verdict.because[0]);
    let same = [claims(1, "0-1-100"), claims(2, "0-1-100")];
    assert_eq!(decide(&same, Reign::default()).0, ["unknown", "unknown"]);
}

#[test]
fn a_replica_that_is_promoted_while_its_primary_is_gone_takes_over() {
    let (found, verdict) = decide(&[silent(), claims(2, "0-1-100"), follows(3, 1)], of_a());
    assert_eq!(found, ["unknown", "primary", "unknown"]);
    assert!(verdict.because[2].contains("timeline 1"), "{}", verdict.because[2]);
    assert_eq!(verdict.reign.primary, Some((NodeId(1), Timeline(2))));
}

#[test]
fn a_stranger_that_claims_it_while_the_primary_is_gone_does_not() {
    let before = Reign { followers: NodeSet::EMPTY, ..of_a() };
    let (found, verdict) = decide(&[silent(), claims(2, "0-1-40"), follows(3, 1)], before);
    assert_eq!(found, ["unknown", "fenced", "replica"]);
    assert_eq!(verdict.reign.primary, before.primary);
}

#[test]
fn a_replica_that_is_detached_while_its_primary_reigns_does_not_take_over() {
    let detached = [claims(1, "0-1-120"), claims(2, "0-1-100,0-2-101"), follows(3, 1)];
    let (found, verdict) = decide(&detached, of_a());
    assert_eq!(found, ["primary", "fenced", "replica"]);
    assert!(!verdict.reign.followers.contains(NodeId(1)));
}

#[test]
fn at_a_switchover_the_one_that_steps_down_hands_over() {
    let stepping = [read_only(1, "0-1-100"), follows(2, 1), follows(3, 1)];
    let (found, verdict) = decide(&stepping, of_a());
    assert_eq!(found, ["unknown", "replica", "replica"]);
    let handed = [read_only(1, "0-1-100"), claims(2, "0-1-100"), follows(3, 1)];
    let (found, verdict) = decide(&handed, verdict.reign);
    assert_eq!(found, ["unknown", "primary", "unknown"]);
    let done = [follows(1, 2), claims(2, "0-1-100,0-2-101"), follows(3, 2)];
    assert_eq!(decide(&done, verdict.reign).0, ["replica", "primary", "replica"]);
}

#[test]
fn read_only_alone_makes_no_replica() {
    let seen = [claims(1, "0-1-100"), read_only(2, "0-1-100"), follows(3, 1)];
    let (found, verdict) = decide(&seen, Reign::default());
    assert_eq!(found, ["primary", "unknown", "replica"]);
    assert!(verdict.because[1].contains("read-only"), "{}", verdict.because[1]);
}

#[test]
fn who_follows_a_stranger_is_no_replica_but_a_chain_is_fine() {
    let chain = [claims(1, "0-1-100"), follows(2, 1), follows(3, 2)];
    assert_eq!(decide(&chain, Reign::default()).0, ["primary", "replica", "replica"]);
    let astray = [claims(1, "0-1-100"), follows(2, 1), follows(3, 9)];
    let (found, verdict) = decide(&astray, Reign::default());
    assert_eq!(found, ["primary", "replica", "unknown"]);
    assert!(verdict.because[2].contains("server 9"), "{}", verdict.because[2]);
    let ring = [claims(1, "0-1-100"), follows(2, 3), follows(3, 2)];
    assert_eq!(decide(&ring, of_a()).0, ["primary", "unknown", "unknown"]);
}

#[test]
fn a_lone_claimant_is_no_primary_while_the_others_follow_somebody_else() {
    let seen = [silent(), claims(2, "0-1-40"), follows(3, 1)];
    let (found, verdict) = decide(&seen, Reign::default());
    assert_eq!(found, ["unknown", "unknown", "unknown"]);
    assert!(verdict.because[1].contains("nobody follows it"), "{}", verdict.because[1]);
    assert_eq!(decide(&[claims(1, "")], Reign::default()).0, ["primary"]);
}

#[test]
fn a_replica_with_transactions_of_its_own_serves_nothing() {
    let errant = node(2, Source::Server(ServerId(1)), "0-1-100,0-2-101");
    let (found, verdict) = decide(&[claims(1, "0-1-100"), errant, follows(3, 1)], of_a());
    assert_eq!(found, ["primary", "unknown", "replica"]);
    assert!(verdict.because[1].contains("0-2-101"), "{}", verdict.because[1]);
}

#[test]
fn a_replica_that_restarted_and_has_not_met_its_source_yet_is_still_one() {
    let unmet = node(2, Source::Unmet, "0-1-100");
    let (found, _) = decide(&[silent(), unmet.clone(), follows(3, 1)], of_a());
    assert_eq!(found, ["unknown", "replica", "replica"]);
    let (found, _) = decide(&[claims(1, "0-1-100"), unmet], Reign::default());
    assert_eq!(found, ["primary", "unknown"]);
}
