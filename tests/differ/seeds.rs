//! Generated conversations.

use crate::generate::script;
use crate::script::Script;
use crate::shrink::shrink;
use crate::stage::{Difference, Stage};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_conversations_are_the_same_with_and_without_the_proxy() {
    let (first, count) = (number("TIDEGATE_TEST_SEED", 0), number("TIDEGATE_TEST_SEEDS", 16));
    let most = number("TIDEGATE_TEST_FAILURES", 1);
    let stage = Stage::start("max_prepared = 3\nsize = 6").await;
    let mut failures = Vec::new();
    for seed in first..first + count {
        failures.extend(failure(&stage, seed).await);
        if (seed + 1) % 100 == 0 {
            eprintln!("{} of {count} seeds, {} failed", seed + 1 - first, failures.len());
        }
        if failures.len() as u64 >= most {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
