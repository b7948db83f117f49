//! The primary dies or hangs, and nobody is there to say what to do.

use crate::load::{Told, Writers};
use crate::measure::{report, runs};
use crate::scene::{Scene, scene};

const STRICT: &str = "mode = \"automatic\"";
const AVAILABLE: &str = "mode = \"automatic\"\nguarantee = \"available\"";

async fn writing(keys: &str) -> (Scene, Writers) {
    let scene = scene(keys).await;
    let writers = Writers::start(&scene.running, 8);
    writers.go_on(200).await;
    (scene, writers)
}

/// Only what was under way may have an unknown end; nobody is told anything else.
fn only_unknown(told: &Told) {
    let other: Vec<_> = told.errors.iter().filter(|words| !words.starts_with("08007")).collect();
    assert!(other.is_empty(), "{other:?}");
    assert!(told.unknown.len() <= 8, "{:?}", told.unknown);
    assert_eq!(told.lost, 0, "connections of clients ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_is_replaced_and_nothing_that_was_acknowledged_is_lost() {
    let mut stalls = Vec::new();
    for _ in 0..runs() {
        let (scene, writers) = writing(STRICT).await;
        scene.servers.primary().kill();
        writers.go_on(200).await;
        let told = writers.stop().await;
        let primary = scene.settled_in("2").await;
        assert_ne!(primary.name(), "a");
        assert_eq!(told.hold_against(primary).await, Vec::<i64>::new());
        only_unknown(&told);
        stalls.push(told.stall);
    }
    report("primary killed (kill -9), strict", &stalls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_available_what_is_lost_was_written_inside_the_window_that_is_reported() {
    let mut stalls = Vec::new();
    for _ in 0..runs() {
        let (scene, writers) = writing(AVAILABLE).await;
        let killed = std::time::Instant::now();
        scene.servers.primary().kill();
        writers.go_on(200).await;
        let told = writers.stop().await;
        let lost = told.hold_against(scene.settled_in("2").await).await;
        only_unknown(&told);
        let failovers = scene.running.admin("SHOW FAILOVERS").await;
        let window = failovers[0][10].as_ref().expect("a window").parse::<u64>().unwrap();
        let window = std::time::Duration::from_millis(window);
        for number in lost {
            let before = killed.saturating_duration_since(told.when[&number]);
            assert!(before < window, "{number} was written {before:?} before, window {window:?}");
        }
        stalls.push(told.stall);
    }
    report("primary killed (kill -9), available", &stalls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_is_replaced_and_stays_out_when_it_wakes() {
    let mut stalls = Vec::new();
    for _ in 0..runs() {
        let (scene, writers) = writing(STRICT).await;
        scene.servers.primary().freeze().unwrap();
        writers.go_on(200).await;
        scene.servers.primary().thaw().unwrap();
        writers.go_on(500).await;
        let told = writers.stop().await;
        let primary = scene.settled_in("2").await;
        assert_ne!(primary.name(), "a");
        assert_eq!(told.hold_against(primary).await, Vec::<i64>::new());
        only_unknown(&told);
        stalls.push(told.stall);
    }
    report("primary hangs (SIGSTOP of all its processes), strict", &stalls);
}
