//! Roles, one sentence per rule. Every case is also tried with the nodes in reverse order.

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const SYSTEM: u64 = 7;

fn says(in_recovery: bool, timeline: u32) -> Seen {
    of(SYSTEM, in_recovery, timeline)
}

fn of(system: u64, in_recovery: bool, timeline: u32) -> Seen {
    let timeline = Timeline(timeline);
    let version = "15".into();
    Seen::Says(Observation {
        in_recovery,
        system,
        timeline,
        position: None,
        version,
        claimed_lag_us: None,
        lineage: None,
        feed: None,
        trouble: None,
    })
}

fn primary(timeline: u32) -> Seen {
    says(false, timeline)
}
fn replica(timeline: u32) -> Seen {
    says(true, timeline)
}
fn silent() -> Seen {
    Seen::Silent("no answer".to_string())
}

const NEW: Reign = Reign { system: None, primary: None, server: None, followers: NodeSet::EMPTY };

fn reign(node: u8, timeline: u32) -> Reign {
    Reign { system: Some(SYSTEM), primary: Some((NodeId(node), Timeline(timeline))), ..NEW }
}

/// The names of the roles, after the check that the order of the nodes does not matter.
fn decide(seen: &[Seen], before: Reign) -> (Vec<&'static str>, Verdict) {
    let names = &NAMES[..seen.len()];
    let verdict = roles(seen, names, before, &Decree::Free);
    let found: Vec<&str> = verdict.roles.iter().map(Role::name).collect();

    let flip = |id: NodeId| NodeId(u8::try_from(seen.len() - 1).unwrap() - id.0);
    let turn = |r: Reign| Reign { primary: r.primary.map(|(id, t)| (flip(id), t)), ..r };
    let seen_turned: Vec<Seen> = seen.iter().rev().cloned().collect();
    let names_turned: Vec<&str> = names.iter().rev().copied().collect();
    let turned = roles(&seen_turned, &names_turned, turn(before), &Decree::Free);
    let turned_found: Vec<&str> = turned.roles.iter().rev().map(Role::name).collect();
    assert_eq!(found, turned_found, "the order of the nodes decided");
    assert_eq!(turn(verdict.reign), turned.reign, "the order of the nodes decided the reign");
    (found, verdict)
}

fn named(seen: &[Seen], before: Reign) -> Vec<&'static str> {
    decide(seen, before).0
}

#[test]
fn the_one_who_takes_writes_is_the_primary_and_the_others_follow() {
    let (found, verdict) = decide(&[replica(1), primary(1), replica(1)], NEW);
    assert_eq!(found, ["replica", "primary", "replica"]);
    assert_eq!((verdict.primary, verdict.reign), (Some(NodeId(1)), reign(1, 1)));
}

#[test]
fn nobody_is_the_primary_before_every_node_was_asked() {
    let (found, verdict) = decide(&[primary(1), Seen::NotYet], NEW);
    assert_eq!(found, ["unknown", "unknown"]);
    assert_eq!(verdict.reign, NEW);
}

#[test]
fn of_two_who_claim_it_the_higher_timeline_is_the_primary() {
    for before in [NEW, reign(0, 1), reign(1, 2)] {
        let (found, verdict) = decide(&[primary(1), primary(2), replica(2)], before);
        assert_eq!(found, ["fenced", "primary", "replica"], "{before:?}");
        assert_eq!(verdict.reign, reign(1, 2));
        assert!(verdict.because[0].contains("b is on 2"), "{}", verdict.because[0]);
    }
}

#[test]
fn on_equal_timelines_the_last_primary_stays() {
    let seen = [primary(1), primary(1), replica(1)];
    assert_eq!(named(&seen, reign(0, 1)), ["primary", "fenced", "replica"]);
    assert_eq!(named(&seen, reign(1, 1)), ["fenced", "primary", "replica"]);
}

#[test]
fn on_equal_timelines_without_a_last_primary_nobody_is_it_and_both_are_named() {
    let (found, verdict) = decide(&[primary(3), primary(3), replica(3)], NEW);
    assert_eq!(found, ["unknown", "unknown", "replica"]);
    assert_eq!(verdict.primary, None);
    assert!(verdict.because[0].contains("a and b"), "{}", verdict.because[0]);
    assert_eq!(verdict.because[0], verdict.because[1]);
}

#[test]
fn two_who_were_promoted_at_once_are_both_refused_and_the_old_primary_is_fenced() {
    let found = named(&[primary(1), primary(2), primary(2)], reign(0, 1));
    assert_eq!(found, ["fenced", "unknown", "unknown"]);
}

#[test]
fn an_old_primary_that_returns_alone_is_fenced() {
    let (found, verdict) = decide(&[primary(1), silent(), silent()], reign(1, 2));
    assert_eq!(found, ["fenced", "unknown", "unknown"]);
    assert_eq!((verdict.primary, verdict.reign), (None, reign(1, 2)));
}

#[test]
fn a_silent_primary_keeps_its_place_on_its_timeline() {
    let found = named(&[silent(), primary(1), replica(1)], reign(0, 1));
    assert_eq!(found, ["unknown", "fenced", "replica"]);
    let back = named(&[primary(1), primary(1), replica(1)], reign(0, 1));
    assert_eq!(back, ["primary", "fenced", "replica"]);
}

#[test]
fn a_primary_that_now_follows_gives_way_to_one_of_its_timeline() {
    let (found, verdict) = decide(&[replica(1), primary(1)], reign(0, 1));
    assert_eq!(found, ["replica", "primary"]);
    assert_eq!(verdict.reign, reign(1, 1));
}

#[test]
fn a_promotion_while_the_primary_is_silent_makes_a_new_primary() {
    let (found, verdict) = decide(&[silent(), primary(2), replica(1)], reign(0, 1));
    assert_eq!(found, ["unknown", "primary", "unknown"]);
    assert_eq!(verdict.reign, reign(1, 2));
    assert!(verdict.because[2].contains("on timeline 1, but the primary b is on 2"));
}

#[test]
fn the_last_primary_stays_when_it_is_promoted_further() {
    assert_eq!(decide(&[primary(5), replica(5)], reign(0, 1)).1.reign, reign(0, 5));
}

#[test]
fn replicas_stay_replicas_while_the_primary_is_silent() {
    let (found, verdict) = decide(&[silent(), replica(1), replica(1)], reign(0, 1));
    assert_eq!(found, ["unknown", "replica", "replica"]);
    assert_eq!(verdict.primary, None);
}

#[test]
fn a_node_of_another_system_is_refused_whatever_it_claims() {
    for stranger in [of(8, false, 9), of(8, true, 1)] {
        for before in [NEW, reign(0, 1)] {
            let (found, verdict) = decide(&[primary(1), stranger.clone(), replica(1)], before);
            assert_eq!(found, ["primary", "unknown", "replica"]);
            assert!(verdict.because[1].starts_with("another system identifier: 8"));
        }
    }
}

#[test]
fn a_draw_between_systems_settles_nothing() {
    let (found, verdict) = decide(&[primary(1), of(8, false, 1)], NEW);
    assert_eq!(found, ["unknown", "unknown"]);
    assert_eq!(verdict.reign, NEW);
}

#[test]
fn the_settled_system_outlives_its_nodes_until_most_are_of_another() {
    let stranger = of(8, false, 1);
    let found = named(&[silent(), stranger.clone(), silent()], reign(0, 1));
    assert_eq!(found, ["unknown", "unknown", "unknown"]);
    let (_, verdict) = decide(&[silent(), stranger.clone(), of(8, true, 1)], reign(0, 1));
    assert_eq!(verdict.reign.system, Some(8));
}
