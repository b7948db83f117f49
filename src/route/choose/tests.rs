//! Routing, one sentence per rule.

use super::*;
use crate::route::{Known, holds_for};
use crate::sql::Why;
use crate::topology::{Lsn, NodeId, NodeSet, Position, Role, Timeline};
use std::sync::atomic::Ordering;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(1);

struct World {
    now: Instant,
    seen: Snapshot,
}

/// A primary `0` and fresh replicas `1..=replicas`, all of weight 1 and without work.
fn world(replicas: u8) -> World {
    let now = Instant::now() + Duration::from_secs(100);
    let node = |id: u8| NodeView {
        fresh_as_of: Some(now),
        asked: Some(now),
        ..NodeView::unseen(
            NodeId(id),
            format!("n{id}"),
            if id == 0 { Role::Primary } else { Role::Replica },
        )
    };
    let nodes = (0..=replicas).map(node).collect();
    let seen = Snapshot {
        cluster: "orders".into(),
        epoch: 1,
        primary: Some(NodeId(0)),
        began: None,
        nodes,
    };
    World { now, seen }
}

impl World {
    fn node(mut self, id: usize, change: impl FnOnce(&mut NodeView)) -> World {
        change(&mut self.seen.nodes[id]);
        self
    }
    fn old(self, id: usize, age: Duration) -> World {
        let now = self.now;
        self.node(id, |node| node.fresh_as_of = now.checked_sub(age))
    }
    fn busy(self, id: usize, work: u32) -> World {
        self.node(id, |node| node.load.outstanding.store(work, Ordering::Relaxed))
    }
    fn no_primary(mut self) -> World {
        self.seen.primary = None;
        self.node(0, |node| node.role = Role::Unknown("gone".into()))
    }
    fn ask(&self, ask: Ask) -> (Target, Because) {
        let decision = route(&ask, &self.seen, self.now);
        (decision.to, decision.because)
    }
    /// How often each node is chosen for `count` reads in a row.
    fn shares(&self, count: u32) -> Vec<u32> {
        let mut shares = vec![0; self.seen.nodes.len()];
        for tie in 0..count {
            if let (Target::Node(id), _) = self.ask(Ask { tie, ..read() }) {
                shares[usize::from(id.0)] += 1;
            }
        }
        shares
    }
}

fn read() -> Ask<'static> {
    Ask {
        wants: Wants::Read,
        place: Place::Anywhere,
        consistency: Consistency::Bounded,
        max_staleness: BOUND,
        known: Known::default(),
        wrote: None,
        after: None,
        arrived: Instant::now(),
        avoid: NodeSet::EMPTY,
        fallback: Fallback::Primary,
        tie: 0,
    }
}

fn avoiding<'a>(ask: Ask<'a>, nodes: &[u8]) -> Ask<'a> {
    let mut avoid = NodeSet::default();
    nodes.iter().for_each(|id| avoid.insert(NodeId(*id)));
    Ask { avoid, ..ask }
}

fn node(id: u8) -> Target {
    Target::Node(NodeId(id))
}

#[test]
fn a_read_goes_to_a_fresh_replica() {
    assert_eq!(world(1).ask(read()), (node(1), Because::FreshReplica));
}

#[test]
fn a_write_goes_to_the_primary_and_says_why() {
    for why in Why::ALL {
        let write = Ask { wants: Wants::Primary(why), ..read() };
        assert_eq!(world(2).ask(write), (node(0), Because::Statement(why)));
    }
}

#[test]
fn a_write_without_a_primary_goes_nowhere() {
    let write = Ask { wants: Wants::Primary(Why::Write), ..read() };
    assert_eq!(world(2).no_primary().ask(write), (Target::Nobody, Because::NoPrimary));
}

#[test]
fn a_read_that_asks_for_the_primary_never_goes_to_a_replica() {
    let ask = Ask { consistency: Consistency::Primary, ..read() };
    assert_eq!(world(2).ask(ask), (node(0), Because::Asked));
    assert_eq!(world(2).no_primary().ask(ask), (Target::Nobody, Because::NoPrimary));
}

#[test]
fn a_replica_is_eligible_up_to_the_bound_and_no_longer() {
    assert_eq!(world(1).old(1, BOUND).ask(read()), (node(1), Because::FreshReplica));
    let beyond = BOUND + Duration::from_nanos(1);
    assert_eq!(world(1).old(1, beyond).ask(read()), (node(0), Because::NoFreshReplica));
}

#[test]
fn a_replica_of_unknown_staleness_is_too_late() {
    let world = world(1).node(1, |node| node.fresh_as_of = None);
    let forever = Ask { max_staleness: Duration::MAX, ..read() };
    assert_eq!(world.ask(forever), (node(0), Because::NoFreshReplica));
}

#[test]
fn an_eventual_read_takes_any_replica_of_this_history() {
    let ask = Ask { consistency: Consistency::Eventual, ..read() };
    let world = world(1).old(1, Duration::from_secs(60));
    assert_eq!(world.ask(ask), (node(1), Because::FreshReplica));
    let world = world.node(1, |node| node.fresh_as_of = None);
    assert_eq!(world.ask(ask), (node(1), Because::FreshReplica));
}

#[test]
fn only_replicas_answer_for_replicas() {
    for role in [Role::Primary, Role::Fenced, Role::Unknown("no answer".into())] {
        for consistency in [Consistency::Eventual, Consistency::Bounded] {
            let world = world(1).node(1, |node| node.role = role.clone());
            let ask = Ask { consistency, ..read() };
            assert_eq!(world.ask(ask), (node(0), Because::NoFreshReplica), "{role:?}");
        }
    }
}

#[test]
fn a_fresh_replica_serves_reads_even_without_a_primary() {
    assert_eq!(world(1).no_primary().ask(read()), (node(1), Because::FreshReplica));
}

#[test]
fn without_a_fresh_replica_and_without_a_primary_nobody_can() {
    let world = world(1).no_primary().old(1, BOUND * 2);
    assert_eq!(world.ask(read()), (Target::Nobody, Because::NoPrimary));
}

#[test]
fn without_a_fallback_a_read_waits_for_a_replica() {
    let ask = Ask { fallback: Fallback::Error, ..read() };
    let decision = world(1).old(1, BOUND * 2).ask(ask);
    assert_eq!(decision, (Target::Nobody, Because::NoFreshReplica));
    assert_eq!(world(1).ask(ask), (node(1), Because::FreshReplica));
}

#[test]
fn a_node_that_failed_this_statement_is_not_asked_again() {
    assert_eq!(world(2).ask(avoiding(read(), &[1])), (node(2), Because::FreshReplica));
    assert_eq!(world(2).ask(avoiding(read(), &[1, 2])), (node(0), Because::NoFreshReplica));
    assert_eq!(world(2).ask(avoiding(read(), &[0, 1, 2])), (Target::Nobody, Because::NoPrimary));
    let write = avoiding(Ask { wants: Wants::Primary(Why::Write), ..read() }, &[0]);
    assert_eq!(world(2).ask(write), (Target::Nobody, Because::NoPrimary));
}

#[test]
fn the_least_busy_replica_is_chosen() {
    let world = world(3).busy(1, 3).busy(2, 1).busy(3, 2);
    for tie in 0..9 {
        assert_eq!(world.ask(Ask { tie, ..read() }).0, node(2));
    }
}

#[test]
fn a_replica_of_twice_the_weight_may_have_twice_the_work() {
    let world = world(2).node(2, |node| node.weight = 2);
    assert_eq!(world.busy(1, 2).busy(2, 3).ask(read()).0, node(2));
    let world = self::world(2).node(2, |node| node.weight = 2).busy(1, 2).busy(2, 5);
    assert_eq!(world.ask(read()).0, node(1));
}

#[test]
fn equals_take_turns() {
    assert_eq!(world(3).shares(9), [0, 3, 3, 3]);
}

#[test]
fn equals_take_turns_by_their_weight() {
    let world = world(2).node(1, |node| node.weight = 3);
    assert_eq!(world.shares(8), [0, 6, 2]);
}

#[test]
fn a_replica_of_weight_zero_takes_no_reads() {
    let world = world(2).node(1, |node| node.weight = 0);
    assert_eq!(world.shares(4), [0, 0, 4]);
    let world = world.node(2, |node| node.weight = 0);
    assert_eq!(world.ask(read()), (node(0), Because::NoFreshReplica));
}

#[test]
fn a_stale_replica_leaves_its_share_to_the_others() {
    assert_eq!(world(3).old(2, BOUND * 2).shares(8), [0, 4, 0, 4]);
}

#[test]
fn a_cluster_without_replicas_reads_from_its_primary() {
    assert_eq!(world(0).ask(read()), (node(0), Because::NoFreshReplica));
}

/// A read of a session for which the primary, or replica 1, answered so long ago.
fn after(world: &World, primary: Option<Duration>, replica: Option<Duration>) -> Ask<'static> {
    let at = |age: Duration| world.now.checked_sub(age).expect("a clock that began before");
    let replica = replica.map(|age| (NodeId(1), at(age)));
    let known = Known { primary: primary.map(at), replica };
    Ask { consistency: Consistency::Session, known, ..read() }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_session_reads_what_it_wrote_from_a_replica_that_has_it() {
    let world = world(2).old(1, 10 * MS).old(2, 5 * MS);
    assert_eq!(world.ask(after(&world, Some(7 * MS), None)).0, node(2));
    assert_eq!(world.ask(after(&world, Some(5 * MS), None)).0, node(2));
    let behind = world.ask(after(&world, Some(4 * MS), None));
    assert_eq!(behind, (node(0), Because::NoFreshReplica));
    // Others are not held to it.
    assert_eq!(world.ask(read()).1, Because::FreshReplica);
}

#[test]
fn a_session_stays_within_the_bound_too() {
    let world = world(1).old(1, BOUND * 2);
    let long_ago = after(&world, Some(BOUND * 3), None);
    assert_eq!(world.ask(long_ago), (node(0), Because::NoFreshReplica));
}

#[test]
fn a_session_never_steps_back_from_one_replica_to_another() {
    // Replica 2 shows what was acknowledged 5 ms ago; what replica 1 showed later may be more.
    let world = world(2).old(1, 900 * MS).old(2, 5 * MS);
    assert_eq!(world.ask(after(&world, None, Some(4 * MS))).0, node(1));
    let avoided = avoiding(after(&world, None, Some(4 * MS)), &[1]);
    assert_eq!(world.ask(avoided), (node(0), Because::NoFreshReplica));
    assert_eq!(world.ask(avoiding(after(&world, None, Some(5 * MS)), &[1])).0, node(2));
}

#[test]
fn a_replica_that_was_away_may_have_gone_back() {
    let world = world(1).old(1, 10 * MS);
    let ask = after(&world, None, Some(4 * MS));
    assert_eq!(world.ask(ask).0, node(1));
    let now = world.now;
    let away = |age: Duration| now.checked_sub(age);
    let world = world.node(1, |node| node.away = away(20 * MS));
    assert_eq!(world.ask(ask).0, node(1));
    let world = world.node(1, |node| node.away = away(3 * MS));
    assert_eq!(world.ask(ask), (node(0), Because::NoFreshReplica));
}

#[test]
fn a_strong_read_needs_a_sample_from_after_its_arrival() {
    let world = world(1).old(1, 10 * MS);
    let arrived = |age: Duration| Ask {
        consistency: Consistency::Strong,
        arrived: world.now.checked_sub(age).expect("a clock that began before"),
        ..read()
    };
    assert_eq!(world.ask(arrived(10 * MS)).0, node(1));
    assert_eq!(world.ask(arrived(9 * MS)), (node(0), Because::NoFreshReplica));
}

#[test]
fn an_answer_of_the_primary_comes_after_all_that_replicas_showed() {
    let (early, late) = (Instant::now(), Instant::now() + MS);
    let mut known = Known::default();
    known.answered(NodeId(1), false, early);
    assert_eq!(known, Known { primary: None, replica: Some((NodeId(1), early)) });
    known.answered(NodeId(0), true, late);
    assert_eq!(known, Known { primary: Some(late), replica: None });
}

#[test]
fn a_near_replica_goes_before_a_far_one_however_busy() {
    let far = |node: &mut NodeView| node.near = false;
    let world = world(2).node(1, far).busy(2, 9);
    assert_eq!(world.ask(read()), (node(2), Because::FreshReplica));
    let world = world.old(2, 2 * BOUND);
    assert_eq!(world.ask(read()), (node(1), Because::FarReplica));
}

#[test]
fn a_read_goes_to_the_nodes_that_its_user_names() {
    let mut nodes = NodeSet::EMPTY;
    nodes.insert(NodeId(2));
    let there = Ask { place: Place::Nodes(nodes), ..read() };
    let world = world(2).node(2, |node| node.weight = 0);
    assert_eq!(world.ask(there), (node(2), Because::Asked));
    assert_eq!(world.ask(read()), (node(1), Because::FreshReplica));
    let world = world.old(2, 2 * BOUND);
    assert_eq!(world.ask(there), (node(0), Because::NoFreshReplica));
    nodes.insert(NodeId(0));
    assert_eq!(world.ask(Ask { place: Place::Nodes(nodes), ..there }), (node(0), Because::Asked));
}

#[test]
fn who_wants_a_replica_never_gets_the_primary() {
    let wanted = Ask { place: Place::Replica, ..read() };
    let world = world(1);
    assert_eq!(world.ask(wanted), (node(1), Because::FreshReplica));
    let world = world.old(1, 2 * BOUND);
    assert_eq!(world.ask(wanted), (Target::Nobody, Because::NoFreshReplica));
    assert_eq!(world.ask(Ask { place: Place::Primary, ..read() }), (node(0), Because::Asked));
}

#[test]
fn a_read_after_a_position_goes_where_it_has_been_reached() {
    let at = |lsn| Position::Postgres { system: 7, timeline: Timeline(1), lsn: Lsn(lsn) };
    let world =
        world(2).node(1, |n| n.position = Some(at(9))).node(2, |n| n.position = Some(at(10)));
    for consistency in [Consistency::Eventual, Consistency::Bounded, Consistency::Session] {
        let ask = Ask { after: Some(&at(10)), consistency, ..read() };
        assert_eq!(world.ask(ask).0, node(2));
        assert_eq!(world.ask(Ask { after: Some(&at(11)), ..ask }).0, node(0));
    }
}

#[test]
fn who_has_the_sessions_write_has_all_that_it_saw_before() {
    let at = |lsn| Position::Postgres { system: 7, timeline: Timeline(1), lsn: Lsn(lsn) };
    let world = world(1).node(1, |node| node.position = Some(at(20)));
    let known = Known { primary: Some(world.now + BOUND), replica: None };
    let ask = Ask { consistency: Consistency::Session, known, ..read() };
    assert_eq!(world.ask(ask).1, Because::NoFreshReplica);
    let (has, lacks) = (at(20), at(21));
    assert_eq!(world.ask(Ask { wrote: Some(&has), ..ask }).0, Target::Node(NodeId(1)));
    assert_eq!(world.ask(Ask { wrote: Some(&lacks), ..ask }).1, Because::NoFreshReplica);
}

#[test]
fn what_was_seen_of_a_replica_holds_for_connections_that_were_there() {
    let world = world(1);
    let (then, later) = (world.now, world.now + Duration::from_millis(1));
    let holds = |level, node: usize, opened| {
        let ask = Ask { consistency: level, ..read() };
        holds_for(&ask, &world.seen.nodes[node], opened)
    };
    for level in [Consistency::Bounded, Consistency::Session, Consistency::Strong] {
        assert!(holds(level, 1, then), "{level:?}");
        // The server may have started again in between.
        assert!(!holds(level, 1, later), "{level:?}");
        assert!(holds(level, 0, later), "the primary misses nothing");
    }
    assert!(holds(Consistency::Eventual, 1, later));
}
