//! The order of the steps, and what keeps a promotion from happening.

use super::*;
use crate::failover::{Phase, Term};
use crate::topology::Lsn;

fn at(lsn: u64) -> Place {
    Place { timeline: 1, lsn: Lsn(lsn) }
}

fn places(names: &[&str]) -> BTreeMap<Name, Place> {
    names.iter().map(|name| (Name::from(*name), at(9))).collect()
}

fn change(kind: Kind, guarantee: Guarantee) -> Record {
    let mut record = Record::adopt("x".into(), "h".into(), Term(4), ("a".into(), 7, 1));
    record.quorum = Some(Quorum { write: 1, voters: ["b".into(), "c".into()].into() });
    begin(&record, Change::new(kind, guarantee, "a".into(), "a test"))
}

/// The fact that ends a step when all goes well.
fn fact(step: &Step) -> Fact {
    match step {
        Step::Quiet => Fact::Quiet,
        Step::Revoke => Fact::Revoked(places(&["b", "c"])),
        Step::Fence => Fact::Fenced(Evidence::LoginsRefused),
        Step::Drain => Fact::Drained(at(9)),
        Step::Choose => Fact::Chosen("b".into()),
        Step::Order(_) => Fact::Ordered,
        Step::Promote(_) => Fact::Promoted(Promoted { timeline: 2, fork: Lsn(9) }),
        Step::Install(_) => Fact::Installed,
        Step::Repoint(_) => Fact::Repointed,
        Step::Checkpoint(_) => Fact::Checkpointed,
        Step::Restore(_) => Fact::Restored,
    }
}

/// All records from the start to the end, and the names of the steps between them.
fn whole(first: Record) -> (Vec<Record>, Vec<&'static str>) {
    let (mut records, mut names) = (vec![first], Vec::new());
    while let Some(step) = next(&records[records.len() - 1]) {
        names.push(step.name());
        records.push(note(&records[records.len() - 1], fact(&step)));
    }
    (records, names)
}

#[test]
fn a_failover_revokes_first_and_a_switchover_lets_the_standbys_listen_to_the_end() {
    let (_, names) = whole(change(Kind::Failover, Guarantee::Strict));
    let end = ["choose", "order", "promote", "install", "repoint", "checkpoint"];
    assert_eq!(names, [&["quiet", "revoke", "fence"], &end[..]].concat());
    let (_, names) = whole(change(Kind::Switchover, Guarantee::Strict));
    assert_eq!(names, [&["quiet", "fence", "drain", "revoke"], &end[..]].concat());
}

#[test]
fn nobody_reigns_from_the_start_of_a_change_until_the_new_term_is_installed() {
    for kind in [Kind::Failover, Kind::Switchover] {
        let (records, _) = whole(change(kind, Guarantee::Strict));
        let reigning: Vec<Option<&str>> =
            records.iter().map(|record| record.reigning().map(|name| &**name)).collect();
        let first = reigning.iter().position(Option::is_some).unwrap();
        assert!(reigning[..first].iter().all(Option::is_none));
        assert!(reigning[first..].iter().all(|who| *who == Some("b")));
        assert!(records.iter().all(|record| record.term == Term(5)));
        let last = &records[records.len() - 1];
        assert_eq!((last.phase(), last.timeline), (Phase::Active, 2));
        assert_eq!(last.deposed, BTreeMap::from([("a".into(), 1)]));
        // Who follows votes; the former primary does not until it follows.
        assert_eq!(last.quorum, Some(Quorum { write: 1, voters: ["c".into()].into() }));
    }
}

#[test]
fn whoever_reads_the_record_after_a_crash_goes_on_where_it_stopped() {
    for kind in [Kind::Failover, Kind::Switchover] {
        let (records, _) = whole(change(kind, Guarantee::Strict));
        let last = records[records.len() - 1].clone();
        for record in records {
            let text = serde_json::to_string(&record).unwrap();
            let read: Record = serde_json::from_str(&text).unwrap();
            assert_eq!(read, record);
            assert_eq!(whole(read).0.pop().unwrap(), last);
        }
    }
}

#[test]
fn a_change_can_be_given_up_until_the_order_may_be_out() {
    let (records, _) = whole(change(Kind::Failover, Guarantee::Strict));
    for record in &records {
        let Some(change) = &record.change else { continue };
        let Some(given_up) = abandon(record, "a test") else {
            assert!(change.ordered);
            continue;
        };
        assert!(!change.ordered);
        assert_eq!(next(&given_up), Some(Step::Restore("a".into())));
        let back = note(&given_up, Fact::Restored);
        assert_eq!((back.reigning(), back.term), (Some(&"a".into()), Term(5)));
        assert!(back.latch.unwrap().contains("given up: a test"));
    }
}

#[test]
fn the_choice_stands_once_the_order_may_be_out() {
    let (records, _) = whole(change(Kind::Failover, Guarantee::Strict));
    for record in records.iter().filter(|r| r.change.as_ref().is_some_and(|c| c.ordered)) {
        let again = note(record, Fact::Chosen("c".into()));
        assert_eq!(again.change.as_ref().unwrap().chosen, Some("b".into()));
    }
}

#[test]
fn strict_needs_every_voter_when_a_commit_waits_for_one_of_them() {
    let revoked =
        |names| note(&change(Kind::Failover, Guarantee::Strict), Fact::Revoked(places(names)));
    assert_eq!(may_promote(&revoked(&["b", "c"])), Ok(()));
    let lacking = Obstacle::NoQuorum { have: 1, need: 2, of: 2 };
    assert_eq!(may_promote(&revoked(&["b"])), Err(lacking.clone()));
    // Evidence is no substitute: what b lacks may be acknowledged.
    let fenced = note(&revoked(&["b"]), Fact::Fenced(Evidence::NobodyListens));
    assert_eq!(may_promote(&fenced), Err(lacking));
    let mut both = revoked(&["b"]);
    both.quorum.as_mut().unwrap().write = 2;
    assert_eq!(may_promote(&both), Ok(()));
    let mut never = revoked(&["b", "c"]);
    never.quorum = None;
    assert_eq!(may_promote(&never), Err(Obstacle::NoGuarantee));
}

#[test]
fn available_needs_evidence_and_revocation_is_none() {
    let record = change(Kind::Failover, Guarantee::Available);
    assert_eq!(may_promote(&record), Err(Obstacle::NoStandby));
    let revoked = note(&record, Fact::Revoked(places(&["b", "c"])));
    assert_eq!(may_promote(&revoked), Err(Obstacle::NoEvidence));
    let word = note(&revoked, Fact::Fenced(Evidence::Revocation));
    assert_eq!(may_promote(&word), Err(Obstacle::NoEvidence));
    let fenced = note(&revoked, Fact::Fenced(Evidence::NobodyListens));
    assert_eq!(may_promote(&fenced), Ok(()));
}

#[test]
fn a_cluster_whose_only_standby_reigns_waits_for_its_former_primary() {
    let mut record = change(Kind::Failover, Guarantee::Strict);
    record.quorum = Some(Quorum { write: 1, voters: ["b".into()].into() });
    record = note(&record, Fact::Revoked(places(&["b"])));
    record = note(&record, Fact::Chosen("b".into()));
    assert_eq!(quorum_after(&record), Some(Quorum { write: 1, voters: ["a".into()].into() }));
}
