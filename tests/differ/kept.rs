//! Scripts that are kept: what was wrong once, and what nobody may get wrong.

use crate::script::Script;
use crate::stage::Stage;
use std::path::Path;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_scripts_are_the_same_with_and_without_the_proxy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differ/scripts");
    let entries = std::fs::read_dir(folder).expect("the scripts");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let stage = Stage::start("max_prepared = 2\nsize = 6").await;
    let mut failures = Vec::new();
    for file in files {
        let script = Script::parse(&std::fs::read_to_string(&file).expect("a script"));
        if let Some(difference) = stage.difference(&script, Duration::from_secs(15)).await {
            failures.push(format!("{}: {difference:#?}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
