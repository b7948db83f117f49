//! Generated conversations.

use crate::generate::script;
use crate::script::Script;
use crate::shrink::shrink;
use crate::stage::{Difference, Stage};
use futures_util::future::join_all;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a frame may take on a busy machine, and while a failure is made shorter.
const PATIENCE: Duration = Duration::from_secs(15);
const IMPATIENCE: Duration = Duration::from_secs(2);

/// What a seed's failure looks like to a person.
fn story(what: &str, script: &Script, difference: &Difference) -> String {
    let list = |lines: &[String]| {
        lines.iter().map(|l| format!("    {}\n", &l[..l.len().min(300)])).collect::<String>()
    };
    format!(
        "{what} is answered otherwise at step {}:\n{script}  direct:\n{}  through the proxy:\n{}",
        difference.step,
        list(&difference.direct),
        list(&difference.through)
    )
}

/// Plays a seed; a short script that shows what is wrong with it.
async fn failure(stage: &Stage, seed: u64) -> Option<String> {
    let mut script = script(seed);
    let difference = stage.difference(&script, PATIENCE).await?;
    let kind = difference.kind();
    eprintln!("seed {seed} fails at step {}, shrinking", difference.step);
    script.steps.truncate(difference.step + 1);
    let short = shrink(script, async |script: &Script| {
        stage.difference(script, IMPATIENCE).await.is_some_and(|other| other.kind() == kind)
    })
    .await;
    Some(match stage.difference(&short, PATIENCE).await {
        Some(difference) => story(&format!("# seed {seed}"), &short, &difference),
        None => story(&format!("# seed {seed}, not every time,"), &short, &difference),
    })
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Plays seeds until there are no more, or enough of them failed.
async fn play_seeds(seeds: &Seeds) {
    let stage = Stage::start("max_prepared = 3\nsize = 6").await;
    while let Some(seed) = seeds.next() {
        let failure = failure(&stage, seed).await;
        seeds.played(failure);
    }
}

/// What is left to play, for all stages, and what failed.
struct Seeds {
    next: AtomicU64,
    end: u64,
    played: AtomicU64,
    failures: Mutex<Vec<String>>,
    /// So many failures are enough.
    most: usize,
}

impl Seeds {
    fn next(&self) -> Option<u64> {
        let enough = self.failures.lock().expect("a sound mutex").len() >= self.most;
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        (!enough && seed < self.end).then_some(seed)
    }

    fn played(&self, failure: Option<String>) {
        let mut failures = self.failures.lock().expect("a sound mutex");
        if let Some(story) = failure {
            eprintln!("{story}");
            failures.push(story);
        }
        let played = self.played.fetch_add(1, Ordering::Relaxed) + 1;
        if played.is_multiple_of(100) {
            eprintln!("{played} seeds, {} failed", failures.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_conversations_are_the_same_with_and_without_the_proxy() {
    let first = number("TIDEGATE_TEST_SEED", 0);
    let seeds = Seeds {
        next: AtomicU64::new(first),
        end: first + number("TIDEGATE_TEST_SEEDS", 16),
        played: AtomicU64::new(0),
        failures: Mutex::default(),
        most: number("TIDEGATE_TEST_FAILURES", 1) as usize,
    };
    let stages = (0..number("TIDEGATE_TEST_STAGES", 1)).map(|_| play_seeds(&seeds));
    join_all(stages).await;
    let failures = seeds.failures.into_inner().expect("a sound mutex");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
