//! When the primary counts as lost, a rule in each.

use super::*;
use crate::failover::{CommandLine, Quorum, Term};

fn settings(guarantee: Guarantee) -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        mode: Mode::Automatic,
        guarantee,
        hold: seconds(10),
        write_quorum: 1,
        heartbeat: seconds(1),
        refused: seconds(1),
        silence: seconds(3),
        cooldown: seconds(600),
        drain: seconds(5),
        patience: seconds(15),
        rejoin: crate::failover::Rejoin::Manual,
        commit_outcome: crate::failover::CommitOutcome::Unknown,
        fence_command: CommandLine::default(),
    }
}

struct Scene {
    start: Instant,
    record: Record,
    settings: Settings,
    pulse: Pulse,
    answers: bool,
    agent: bool,
    witnesses: Vec<Witness>,
    since_failover: Option<Duration>,
}

impl Scene {
    /// A silent primary with one standby that still believes in its connection.
    fn silent() -> Scene {
        let start = Instant::now();
        let mut record = Record::adopt("x".into(), "h".into(), Term(1), ("a".into(), 7, 1));
        record.quorum = Some(Quorum { write: 1, voters: ["b".into()].into() });
        let pulse =
            Pulse { failing_since: Some(start), why: "no answer".into(), ..Pulse::default() };
        let witness = Witness { name: "b".into(), streams: true, advanced: None, asked: None };
        Scene {
            start,
            record,
            settings: settings(Guarantee::Strict),
            pulse,
            answers: false,
            agent: false,
            witnesses: vec![witness],
            since_failover: None,
        }
    }

    /// A primary that is gone, as its machine says.
    fn gone() -> Scene {
        let mut scene = Scene::silent();
        scene.pulse.refused_since = Some(scene.start);
        scene.witnesses[0].streams = false;
        scene
    }

    fn after(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn verdict(&self, millis: u64) -> Verdict {
        decide(&Sight {
            record: &self.record,
            settings: &self.settings,
            pulse: &self.pulse,
            answers: self.answers,
            agent: self.agent,
            witnesses: &self.witnesses,
            since_failover: self.since_failover,
            now: self.after(millis),
        })
    }

    fn obstacle(&self, millis: u64) -> Option<Obstacle> {
        match self.verdict(millis) {
            Verdict::Lost { obstacle, .. } => obstacle,
            other => panic!("not lost: {other:?}"),
        }
    }
}

#[test]
fn a_primary_that_writes_is_well() {
    let mut scene = Scene::silent();
    scene.pulse = Pulse::default();
    assert_eq!(scene.verdict(100_000), Verdict::Well);
}

#[test]
fn one_whose_port_refuses_is_lost_once_a_restart_is_not_worth_waiting_for() {
    let scene = Scene::gone();
    assert_eq!(scene.verdict(999), Verdict::Doubtful);
    assert_eq!(scene.obstacle(1000), None);
}

#[test]
fn as_long_as_a_standby_streams_from_it_only_our_way_to_it_is_lost() {
    let mut scene = Scene::gone();
    scene.witnesses[0].streams = true;
    assert_eq!(scene.verdict(60_000), Verdict::Heard { by: "b".into() });
}

#[test]
fn without_a_standby_that_answers_it_may_be_us_who_are_cut_off() {
    for mut scene in [Scene::gone(), Scene::silent()] {
        scene.witnesses.clear();
        assert_eq!(scene.verdict(60_000), Verdict::Alone);
    }
}

#[test]
fn silence_has_the_standbys_asked_and_is_believed_when_they_cannot_connect() {
    let mut scene = Scene::silent();
    assert_eq!(scene.verdict(2_999), Verdict::Doubtful);
    assert_eq!(scene.verdict(3_000), Verdict::Ask);
    scene.witnesses[0].asked = Some(scene.after(3_000));
    scene.witnesses[0].streams = false;
    assert_eq!(scene.verdict(4_499), Verdict::Doubtful);
    assert_eq!(scene.obstacle(4_500), None);
}

#[test]
fn a_standby_that_connects_anew_hears_it_and_is_asked_again_later() {
    let mut scene = Scene::silent();
    scene.witnesses[0].asked = Some(scene.after(3_000));
    assert_eq!(scene.verdict(12_999), Verdict::Heard { by: "b".into() });
    assert_eq!(scene.verdict(13_000), Verdict::Ask);
}

#[test]
fn load_is_not_death_as_long_as_anything_it_writes_arrives() {
    let mut scene = Scene::silent();
    scene.witnesses[0].advanced = Some(scene.after(2_500));
    scene.answers = true;
    assert_eq!(scene.verdict(60_000), Verdict::Heard { by: "b".into() });
}

#[test]
fn one_that_lets_nobody_in_is_asked_about_however_much_it_writes() {
    let mut scene = Scene::silent();
    scene.pulse.deaf = true;
    scene.answers = true;
    scene.witnesses[0].advanced = Some(scene.after(5_900));
    assert_eq!(scene.verdict(5_999), Verdict::Heard { by: "b".into() });
    assert_eq!(scene.verdict(6_000), Verdict::Ask);
    scene.witnesses[0].asked = Some(scene.after(6_000));
    // A standby that is let in shows that it is slow, and no more.
    assert_eq!(scene.verdict(7_500), Verdict::Heard { by: "b".into() });
    scene.witnesses[0].streams = false;
    assert_eq!(scene.verdict(10_499), Verdict::Doubtful);
    assert_eq!(scene.obstacle(10_500), None);
    scene.settings = settings(Guarantee::Available);
    assert_eq!(scene.obstacle(10_500), Some(Obstacle::NoFence));
}

#[test]
fn one_that_answers_and_never_finishes_a_write_is_lost() {
    let mut scene = Scene::silent();
    scene.answers = true;
    scene.witnesses[0].asked = Some(scene.after(3_000));
    assert_eq!(scene.verdict(5_999), Verdict::Heard { by: "b".into() });
    assert_eq!(scene.obstacle(6_000), None);
}

#[test]
fn a_lost_primary_is_not_replaced_by_itself_where_something_forbids_it() {
    let mut scene = Scene::gone();
    scene.settings.mode = Mode::Manual;
    assert_eq!(scene.obstacle(1000), Some(Obstacle::Manual));
    let mut scene = Scene::gone();
    scene.record.latch = Some("look".into());
    assert_eq!(scene.obstacle(1000), Some(Obstacle::Latched("look".into())));
    let mut scene = Scene::gone();
    scene.since_failover = Some(Duration::from_secs(599));
    assert_eq!(scene.obstacle(1000), Some(Obstacle::Cooldown(Duration::from_secs(599))));
    let mut scene = Scene::gone();
    scene.record.quorum = None;
    assert_eq!(scene.obstacle(1000), Some(Obstacle::NoGuarantee));
}

#[test]
fn in_available_a_silent_primary_is_replaced_only_if_something_can_end_it() {
    let mut scene = Scene::silent();
    scene.settings = settings(Guarantee::Available);
    scene.witnesses[0].asked = Some(scene.after(3_000));
    scene.witnesses[0].streams = false;
    assert_eq!(scene.obstacle(4_500), Some(Obstacle::NoFence));
    scene.settings.fence_command = CommandLine(vec!["power-off".into()]);
    assert_eq!(scene.obstacle(4_500), None);
    scene.settings.fence_command = CommandLine::default();
    scene.agent = true;
    assert_eq!(scene.obstacle(4_500), None);
}
