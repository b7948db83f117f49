//! What failures cost, whom, and what they do not.

use super::*;

const HOME: [u8; 4] = [127, 0, 0, 1];
const AWAY: [u8; 4] = [10, 0, 0, 9];
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock that only the test moves.
struct World {
    throttle: Throttle,
    by: Settings,
    now: Instant,
}

impl World {
    fn new() -> World {
        World { throttle: Throttle::default(), by: Settings::default(), now: Instant::now() }
    }

    fn turn(&self, user: &str, from: [u8; 4]) -> Turn {
        let who = self.throttle.attempt(user, from.into());
        self.throttle.turn(who, &self.by, PATIENCE, self.now)
    }

    /// Tries at once with the wrong password; what it is told first.
    fn fail(&self, user: &str, from: [u8; 4]) -> Turn {
        let turn = self.turn(user, from);
        if !matches!(turn, Turn::Refused(_)) {
            self.note(user, from);
        }
        turn
    }

    fn fail_times(&self, times: usize, user: &str, from: [u8; 4]) {
        for _ in 0..times {
            self.fail(user, from);
        }
    }

    fn note(&self, user: &str, from: [u8; 4]) -> Noted {
        self.throttle.failed(self.throttle.attempt(user, from.into()), &self.by, self.now)
    }

    fn succeed(&self, user: &str, from: [u8; 4]) {
        let who = self.throttle.attempt(user, from.into());
        self.throttle.succeeded(who, &self.by, self.now);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn a_few_failures_are_free_then_each_costs_more_up_to_the_bound() {
    let mut world = World::new();
    for _ in 0..5 {
        assert_eq!(world.fail("app", AWAY), Turn::Now);
    }
    let mut waits = Vec::new();
    for _ in 0..8 {
        let Turn::After(wait) = world.turn("app", AWAY) else { panic!("no delay") };
        world.now += wait;
        world.note("app", AWAY);
        waits.push(wait.as_millis());
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
}

#[test]
fn many_at_once_guess_no_faster_than_one_and_are_refused_beyond_the_patience() {
    let world = World::new();
    world.fail_times(8, "app", AWAY);
    let turns: Vec<Turn> = (0..1000).map(|_| world.turn("app", AWAY)).collect();
    let judged = turns.iter().filter(|t| !matches!(t, Turn::Refused(_))).count();
    assert!(judged <= 10, "{judged} of 1000 are judged within ten seconds");
    let who = world.throttle.attempt("app", AWAY.into());
    assert!(world.throttle.refuses(who, &world.by, PATIENCE, world.now).is_some());
}

#[test]
fn neighbours_and_the_same_user_elsewhere_do_not_feel_it() {
    let world = World::new();
    world.fail_times(100, "app", HOME);
    assert!(matches!(world.turn("app", HOME), Turn::Refused(_)));
    assert_eq!(world.turn("web", HOME), Turn::Now);
    assert_eq!(world.turn("app", AWAY), Turn::Now);
}

#[test]
fn many_names_from_one_address_are_slowed_down_together_but_not_who_is_known_there() {
    let world = World::new();
    world.succeed("app", AWAY);
    for n in 0..60 {
        world.fail_times(1, &format!("user{n}"), AWAY);
    }
    assert!(matches!(world.turn("another", AWAY), Turn::After(_) | Turn::Refused(_)));
    assert_eq!(world.turn("app", AWAY), Turn::Now);
    assert_eq!(world.turn("another", HOME), Turn::Now);
}

#[test]
fn a_success_resets_and_takes_its_own_failures_from_the_address() {
    let mut world = World::new();
    for user in 0..30 {
        let user = format!("user{user}");
        world.fail_times(4, &user, AWAY);
        world.succeed(&user, AWAY);
    }
    assert_eq!(world.turn("new", AWAY), Turn::Now);
    world.fail_times(6, "new", AWAY);
    world.wait(1);
    world.succeed("new", AWAY);
    assert_eq!(world.fail("new", AWAY), Turn::Now);
    assert_eq!(world.turn("new", AWAY), Turn::Now);
}

#[test]
fn failures_are_forgotten() {
    let mut world = World::new();
    world.fail_times(12, "app", AWAY);
    world.wait(599);
    world.note("app", AWAY);
    assert!(matches!(world.turn("app", AWAY), Turn::After(_)));
    world.wait(600);
    assert_eq!(world.turn("app", AWAY), Turn::Now);
    assert_eq!(world.note("app", AWAY), Noted::Free);
}

#[test]
fn only_the_first_one_that_costs_is_news() {
    let world = World::new();
    let noted: Vec<Noted> = (0..8).map(|_| world.note("app", AWAY)).collect();
    assert_eq!(noted[..4], [Noted::Free; 4]);
    assert_eq!(noted[4..], [Noted::First, Noted::Again, Noted::Again, Noted::Again]);
    let sprayed: Vec<Noted> = (0..60).map(|n| world.note(&format!("u{n}"), AWAY)).collect();
    assert_eq!(sprayed.iter().filter(|n| **n == Noted::First).count(), 1);
}

#[test]
fn zero_switches_each_of_them_off() {
    let mut world = World::new();
    world.by.failures = 0;
    world.by.failures_per_address = 0;
    for n in 0..100 {
        assert_eq!(world.fail("app", AWAY), Turn::Now, "{n}");
        assert_eq!(world.note("app", AWAY), Noted::Free);
    }
}

#[test]
fn memory_is_bounded_whatever_they_call_themselves_and_wherever_they_come_from() {
    let mut world = World::new();
    for n in 0..30_000_u32 {
        world.now += Duration::from_millis(1);
        world.note(&"x".repeat(n as usize % 50), n.to_be_bytes());
        world.succeed(&n.to_string(), AWAY);
    }
    let books = world.throttle.books.lock();
    assert!(books.pairs.len() <= KEPT && books.addresses.len() <= KEPT);
    assert!(books.known.len() <= KEPT);
    assert!(books.pairs.len() >= KEPT / 2, "{}", books.pairs.len());
}

#[test]
fn an_ipv6_network_is_one_address() {
    let throttle = Throttle::default();
    let at = |text: &str| throttle.attempt("app", text.parse().expect("an address"));
    assert_eq!(at("fd00::1"), at("fd00::ffff:1:2:3"));
    assert_ne!(at("fd00::1"), at("fd00:0:0:1::1"));
    assert_eq!(at("127.0.0.1"), at("::ffff:127.0.0.1"));
}
