//! What the monitor concludes from a course of answers.

use super::*;
use crate::topology::{Lsn, Timeline};
use std::time::Duration;

struct World {
    picture: Picture,
    start: Instant,
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

/// Primary `a` at position 100 and replica `b` with all of it, both asked at 0 ms.
fn world() -> World {
    let mut world = fresh_world();
    world.primary(0, A, 1, 100);
    world.replica(0, B, 1, 100);
    world
}

fn fresh_world() -> World {
    let member =
        |name: &str| Member { name: name.into(), address: "h:1".into(), weight: 1, near: true };
    let picture = Picture::new("orders".into(), vec![member("a"), member("b")]);
    World { picture, start: Instant::now() }
}

impl World {
    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }
    fn says(&mut self, ms: u64, id: NodeId, standby: bool, timeline: u32, lsn: u64) -> Vec<Change> {
        let timeline = Timeline(timeline);
        let says = Observation {
            in_recovery: standby,
            system: 7,
            timeline,
            position: Some(Position::Postgres { system: 7, timeline, lsn: Lsn(lsn) }),
            version: "15".into(),
            claimed_lag_us: None,
            lineage: None,
            feed: None,
            trouble: None,
        };
        self.picture.answer(id, self.at(ms), says)
    }
    fn primary(&mut self, ms: u64, id: NodeId, timeline: u32, lsn: u64) -> Vec<Change> {
        self.says(ms, id, false, timeline, lsn)
    }
    fn replica(&mut self, ms: u64, id: NodeId, timeline: u32, lsn: u64) -> Vec<Change> {
        self.says(ms, id, true, timeline, lsn)
    }
    fn silent(&mut self, ms: u64, id: NodeId) -> Vec<Change> {
        let at = self.at(ms);
        self.picture.silent(id, at, "no answer".to_string())
    }
    fn role(&self, id: NodeId) -> &'static str {
        self.picture.snapshot().node(id).role.name()
    }
    /// Milliseconds after the start up to which the node is known to miss nothing.
    fn fresh(&self, id: NodeId) -> Option<u128> {
        let fresh = self.picture.snapshot().node(id).fresh_as_of;
        fresh.map(|fresh| (fresh - self.start).as_millis())
    }
}

#[test]
fn a_replica_is_as_fresh_as_the_primary_sample_it_contains() {
    let mut world = world();
    world.primary(100, A, 1, 200);
    assert_eq!(world.fresh(B), Some(0), "it has not replayed what came since");
    world.replica(150, B, 1, 199);
    assert_eq!(world.fresh(B), Some(0));
    assert_eq!(world.picture.snapshot().node(B).bytes_behind, Some(1));
    world.replica(250, B, 1, 200);
    assert_eq!(world.fresh(B), Some(100));
}

#[test]
fn on_an_idle_primary_a_replica_stays_fresh_without_a_new_answer_of_its_own() {
    let mut world = world();
    world.primary(5000, A, 1, 100);
    assert_eq!(world.fresh(B), Some(5000));
}

#[test]
fn a_primary_counts_as_asked_before_it_was_known_to_be_one() {
    let mut world = fresh_world();
    world.primary(0, A, 1, 100);
    assert_eq!(world.role(A), "unknown");
    world.replica(900, B, 1, 100);
    assert_eq!((world.role(A), world.fresh(B)), ("primary", Some(0)));
}

#[test]
fn a_silent_replica_is_of_unknown_freshness_until_it_answers() {
    let mut world = world();
    let changes = world.silent(100, B);
    assert_eq!((world.role(B), world.fresh(B)), ("unknown", None));
    assert_eq!((changes[0].from, changes[0].to), ("replica", "unknown"));
    assert_eq!(changes[0].because, "no answer");
    world.replica(200, B, 1, 100);
    assert_eq!((world.role(B), world.fresh(B)), ("replica", Some(0)));
}

#[test]
fn an_answer_to_a_question_older_than_the_failure_proves_nothing() {
    let mut world = world();
    world.silent(100, B);
    world.replica(99, B, 1, 100);
    assert_eq!(world.role(B), "unknown");
    world.replica(100, B, 1, 100);
    assert_eq!(world.role(B), "replica");
}

#[test]
fn a_replica_that_went_back_is_not_as_fresh_as_it_was() {
    let mut world = world();
    world.primary(100, A, 1, 200);
    world.replica(110, B, 1, 200);
    assert_eq!(world.fresh(B), Some(100));
    world.replica(200, B, 1, 150);
    assert_eq!(world.fresh(B), Some(0));
}

#[test]
fn a_replica_of_the_old_timeline_is_not_eligible_after_a_promotion() {
    let mut world = world();
    world.silent(100, A);
    world.primary(200, B, 2, 150);
    world.replica(300, A, 1, 500);
    assert_eq!((world.role(A), world.fresh(A)), ("unknown", None));
    world.replica(400, A, 2, 150);
    assert_eq!((world.role(A), world.fresh(A)), ("replica", Some(200)));
}

#[test]
fn the_epoch_grows_with_the_reign_and_not_with_nodes_that_come_and_go() {
    let mut world = world();
    let first = world.picture.snapshot().epoch;
    world.silent(100, B);
    world.replica(200, B, 1, 100);
    world.silent(300, A);
    assert_eq!(world.picture.snapshot().primary, None);
    world.primary(400, A, 1, 100);
    assert_eq!(world.picture.snapshot().epoch, first);
    world.primary(500, B, 2, 100);
    let promoted = world.picture.snapshot();
    assert!(promoted.epoch > first);
    assert_eq!((promoted.primary, world.role(A)), (Some(B), "fenced"));
}

#[test]
fn weights_change_without_touching_anything_else() {
    let mut world = world();
    let before = world.picture.snapshot();
    world.picture.weigh(&[1, 5]);
    let after = world.picture.snapshot();
    assert_eq!((after.node(B).weight, after.epoch), (5, before.epoch));
    assert!(Arc::ptr_eq(&after.node(B).load, &before.node(B).load));
}
