//! No statement of MariaDB's own test suite that the classifier calls a read writes or locks.
//!
//! The oracle is the server: its binary log's position before and after, the locks of the
//! statement's transaction, and what a read-only session of a replica refuses.
#![allow(unreachable_pub, reason = "a test has no one to show it to")]

mod judge;
mod script;

use judge::{Effect, Judge};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tidegate::lab::mariadb::cluster;
use tidegate::sql::Settings;
use tidegate::sql::mysql::{Classifier, Dialect};

const SUITE: &str = "/usr/share/mysql/mysql-test/main";

/// Every so manieth file is taken, unless TIDEGATE_TEST_STRIDE says otherwise.
const STRIDE: usize = 60;

/// What would end the server or the test's own sessions, take replication apart, or hide writes
/// from the log.
fn is_off_limits(sql: &str) -> bool {
    let sql = sql.to_lowercase();
    const WORDS: [&str; 27] = [
        "shutdown",
        "kill",
        "sleep",
        "benchmark",
        "global",
        "sql_log_bin",
        "gtid_",
        "slave",
        "master",
        "replica",
        "read_only",
        "plugin",
        "soname",
        "mysql.",
        "user",
        "root",
        "grant",
        "revoke",
        "read lock",
        "backup",
        "server_id",
        "pseudo_",
        "max_statement_time",
        "debug",
        "password",
        "wait_timeout",
        "skip_replication",
    ];
    let reads = ["select", "show", "with", "desc", "explain", "values", "(", "table"];
    match reads.iter().any(|word| sql.starts_with(word)) {
        true => ["sleep", "benchmark", "master_", "get_lock"].iter().any(|word| sql.contains(word)),
        false => WORDS.iter().any(|word| sql.contains(word)) || sql.starts_with("use mysql"),
    }
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(SUITE).unwrap_or_else(|error| {
        panic!("{SUITE}: {error}\nhint: apt-get install -y mariadb-test-data")
    });
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let told = std::env::var("TIDEGATE_TEST_STRIDE").ok().and_then(|text| text.parse().ok());
    files.into_iter().step_by(told.unwrap_or(STRIDE)).collect()
}

#[derive(Default)]
struct Tally {
    reads: usize,
    wrong: Vec<String>,
    /// Reads that go to the primary, by reason.
    missed: BTreeMap<&'static str, Vec<String>>,
    statements: usize,
}

impl Tally {
    fn print(&self) {
        let missed: usize = self.missed.values().map(Vec::len).sum();
        let share = missed as f64 * 100.0 / (missed + self.reads).max(1) as f64;
        println!(
            "{} statements: {} reads called so, {missed} reads for the primary ({share:.1} %), \
             {} false reads",
            self.statements,
            self.reads,
            self.wrong.len()
        );
        let mut ranked: Vec<_> = self.missed.iter().collect();
        ranked.sort_by_key(|(_, texts)| std::cmp::Reverse(texts.len()));
        for (why, texts) in ranked {
            println!("{:6} {why}", texts.len());
            for text in texts.iter().step_by(texts.len().div_ceil(8)) {
                println!(
                    "         {}",
                    text.replace('\n', " ").chars().take(140).collect::<String>()
                );
            }
        }
    }
}

#[tokio::test]
async fn no_read_of_mariadbs_suite_writes() {
    let cluster = cluster().replicas(1).conf("slave-skip-errors", "all").start().await.unwrap();
    let classifier = Classifier::new(Dialect::MariaDb, &Settings::default());
    let mut judge = Judge::new(&cluster).await;
    let mut tally = Tally::default();
    for file in files() {
        judge.reset().await;
        let text = std::fs::read(&file).expect("a readable file");
        for sql in script::statements(&text) {
            let shown = String::from_utf8_lossy(&sql).into_owned();
            if !is_off_limits(&shown) {
                tally.statements += 1;
                one(&sql, shown, &classifier, &mut judge, &mut tally).await;
            }
        }
    }
    tally.print();
    assert!(tally.wrong.is_empty(), "called reads:\n{}", tally.wrong.join("\n"));
    assert!(tally.reads > 200, "only {} reads", tally.reads);
}

async fn one(
    sql: &[u8],
    shown: String,
    classifier: &Classifier,
    judge: &mut Judge<'_>,
    tally: &mut Tally,
) {
    let analysis = classifier.analyse(sql, judge.modes().await);
    let word = shown.trim_start_matches('(').split_whitespace().next().unwrap_or_default();
    let word = word.to_lowercase();
    let is_query = ["select", "show", "with", "desc", "describe", "explain", "values", "table"]
        .contains(&word.as_str());
    // What ends transactions, and savepoints, may run anywhere, and is no read.
    if analysis.primary.is_some() || !is_query {
        let effect = judge.run(sql).await;
        if let (Effect::None, true, Some(why)) = (effect, is_query, analysis.primary) {
            tally.missed.entry(why.name()).or_default().push(shown);
        }
        return;
    }
    let schema = judge.schema().await;
    match judge.run_as_read(sql, &schema).await {
        Effect::None => tally.reads += 1,
        Effect::Some(why) => tally.wrong.push(format!("{shown}: {why}")),
        Effect::Failed => {}
    }
}
