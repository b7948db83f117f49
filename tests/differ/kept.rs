//! Scripts that are kept: what was wrong once, and what nobody may get wrong.

use crate::script::Script;
use crate::stage::Stage;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn scripts(folder: &str) -> Vec<(PathBuf, Script)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differ").join(folder);
    let entries = std::fs::read_dir(folder).expect("the scripts");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a script");
        (file, Script::parse(&text))
    };
    files.into_iter().map(read).collect()
}

/// They wait for whoever mends what they show.
#[test]
fn known_differences_are_scripts_that_can_be_read() {
    for (file, script) in scripts("known") {
        assert!(!script.steps.is_empty(), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_scripts_are_the_same_with_and_without_the_proxy() {
    let stage = Stage::start("max_prepared = 2\nsize = 6").await;
    let mut failures = Vec::new();
    for (file, script) in scripts("scripts") {
        if let Some(difference) = stage.difference(&script, Duration::from_secs(15)).await {
            failures.push(format!("{}: {difference:#?}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
