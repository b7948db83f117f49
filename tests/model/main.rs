//! The protocol of failover, checked in every order that things can happen in.
//!
//! Two coordinators share one record, crash and stall; orders to servers are lost, late and given
//! twice; clients of a proxy that has not heard of a change go on writing. The decisions are those
//! of the program (`failover::{next, note, begin, may_promote, choose}`), the servers are the
//! model's. Every rule is also broken once, to see that the check would notice.

mod broken;
mod servers;
mod world;

use broken::Broken;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Duration;
use tidegate::failover::Guarantee;
use world::Protocol;

/// Writes that clients make: `TIDEGATE_TEST_WRITES`, or one. A second one takes minutes.
fn writes() -> u8 {
    let asked = std::env::var("TIDEGATE_TEST_WRITES").ok();
    asked.and_then(|writes| writes.parse().ok()).unwrap_or(1)
}

/// No more time than this for one check; it ends by itself long before.
const LIMIT: Duration = Duration::from_secs(1200);

fn check(protocol: Protocol, until: HasDiscoveries) -> (Vec<&'static str>, usize) {
    let checker = protocol.checker().threads(2).timeout(LIMIT).finish_when(until);
    let checker = checker.spawn_bfs().join();
    assert!(checker.is_done(), "not every state was seen: {}", checker.unique_state_count());
    let mut violated: Vec<&'static str> = checker.discoveries().into_keys().collect();
    violated.sort_unstable();
    (violated, checker.unique_state_count())
}

/// What is found when all is well: that a failover can come to its end, and no violation.
const WELL: [&str; 1] = ["a failover is finished"];

#[test]
fn strict_loses_nothing_whatever_is_late_lost_or_crashes() {
    let (found, states) =
        check(Protocol::new(Guarantee::Strict, Broken::Nothing, writes()), HasDiscoveries::All);
    println!("strict: {states} states");
    assert_eq!(found, WELL);
}

#[test]
fn available_has_one_writer_whatever_is_late_lost_or_crashes() {
    let (found, states) =
        check(Protocol::new(Guarantee::Available, Broken::Nothing, writes()), HasDiscoveries::All);
    println!("available: {states} states");
    assert_eq!(found, WELL);
}

fn is_caught(guarantee: Guarantee, broken: Broken, by: &'static str) {
    let (found, states) =
        check(Protocol::new(guarantee, broken, 1), HasDiscoveries::AnyOf([by].into()));
    println!("{broken:?}: {states} states, {found:?}");
    assert!(found.contains(&by), "{broken:?} is not caught by {by:?}: {found:?}");
}

#[test]
fn a_promotion_without_revocation_is_caught() {
    is_caught(Guarantee::Strict, Broken::Revocation, world::NOTHING_LOST);
}

#[test]
fn a_promotion_with_too_few_voters_is_caught() {
    is_caught(Guarantee::Strict, Broken::Quorum, world::NOTHING_LOST);
}

#[test]
fn the_choice_of_a_standby_that_has_less_is_caught() {
    is_caught(Guarantee::Strict, Broken::Choice, world::NOTHING_LOST);
}

#[test]
fn a_fence_that_is_not_observed_is_caught() {
    is_caught(Guarantee::Available, Broken::Fence, world::PROVEN);
}

#[test]
fn clients_that_are_not_waited_for_are_caught() {
    is_caught(Guarantee::Available, Broken::Barrier, world::ONE_WRITER);
}

#[test]
fn a_choice_that_is_made_again_after_the_order_is_caught() {
    is_caught(Guarantee::Strict, Broken::Order, world::ONE_PRIMARY);
}

#[test]
fn a_record_that_is_overwritten_unseen_is_caught() {
    is_caught(Guarantee::Strict, Broken::Compare, world::TERMS_GROW);
}
