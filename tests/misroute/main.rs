//! Whatever has an effect on a real primary, or is refused by a real standby, is never called a
//! read; and few reads are called anything else.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

#[path = "../support/mod.rs"]
mod support;

mod judge;
mod scene;
mod script;

use judge::Judge;
use scene::Scene;
use script::{Piece, Variables, pieces};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Texts of the corpus that the classifier's own tests and the second grammar are held to, and what
/// tools and frameworks ask a database, on a schema that has one of each kind.
#[tokio::test]
async fn nothing_with_an_effect_is_called_a_read() {
    let mut scene = Scene::start("postgres", include_str!("schema.sql")).await;
    let mut judge = Judge::new();
    let corpus = include_str!("../oracle/corpus.txt").lines().filter(|line| !line.starts_with('#'));
    let texts = corpus.filter_map(|line| line.split_once(' ')).map(|(_, sql)| sql);
    let texts = texts.map(|sql| sql.replace("\\n", "\n").replace("\\t", "\t"));
    let texts: Vec<Piece> = texts.map(Piece::Statement).collect();
    judge.play(&mut scene, &texts).await;
    scene.reconnect().await;
    judge.play(&mut scene, &pieces(include_str!("small.sql"), &Variables::new())).await;
    judge.found.print(true);
    assert!(judge.found.writes > 50 && judge.found.reads > 100);
    assert!(judge.found.wrong.is_empty(), "{:#?}", judge.found.wrong);
}

/// What tools and frameworks ask a database, which they do often.
#[tokio::test]
async fn what_frameworks_ask_is_a_read() {
    let mut scene = Scene::start("postgres", include_str!("schema.sql")).await;
    let mut judge = Judge::new();
    judge.play(&mut scene, &pieces(include_str!("frameworks.sql"), &Variables::new())).await;
    judge.found.print(true);
    assert!(judge.found.reads > 20 && judge.found.wrong.is_empty());
    assert!(judge.found.missed_share() < 5.0);
}

fn place(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")).into()
}

/// The regression files in the order of their schedule; each needs what those before it left.
fn scheduled(source: &Path) -> Vec<PathBuf> {
    let schedule = std::fs::read_to_string(source.join("parallel_schedule")).expect("a schedule");
    let tests = schedule.lines().filter_map(|line| line.strip_prefix("test:"));
    let names = tests.flat_map(str::split_whitespace);
    names.map(|name| source.join("sql").join(format!("{name}.sql"))).collect()
}

/// `make misroute`: PostgreSQL's own regression files.
#[tokio::test]
#[ignore = "it takes many minutes and PostgreSQL's source"]
async fn postgresql_own_statements() {
    let (source, libraries) = (place("TIDEGATE_REGRESS_SOURCE"), place("TIDEGATE_REGRESS_LIB"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let environment = Variables::from([
        ("PG_ABS_SRCDIR".to_owned(), text(&source)),
        ("PG_ABS_BUILDDIR".to_owned(), text(&source)),
        ("PG_LIBDIR".to_owned(), text(&libraries)),
        ("PG_DLSUFFIX".to_owned(), ".so".to_owned()),
    ]);
    let mut scene = Scene::start("regression", "").await;
    let mut judge = Judge::new();
    for file in scheduled(&source) {
        scene.reconnect().await;
        let script = std::fs::read(&file).expect("a file of the schedule");
        println!("{}", file.display());
        judge.play(&mut scene, &pieces(&String::from_utf8_lossy(&script), &environment)).await;
    }
    judge.found.print(true);
    assert!(judge.found.statements > 10_000 && judge.found.wrong.is_empty());
    // It executes what it is given: only its owner knows that this is always a SELECT.
    let named = judge.found.missed_share_but_for("check_estimated_rows");
    println!("{named:.2} % with check_estimated_rows in route.harmless_functions");
    assert!(judge.found.missed_share() < 8.0 && named < 5.0);
}

/// `make misroute`: what sqlsmith makes up over one of each kind.
#[tokio::test]
#[ignore = "it takes many minutes and sqlsmith"]
async fn what_sqlsmith_makes_up() {
    let mut scene = Scene::start("postgres", include_str!("schema.sql")).await;
    let mut judge = Judge::new();
    let texts = sqlsmith(&scene.url());
    let patience = "SET statement_timeout = '1s'".to_owned();
    judge.play(&mut scene, &[Piece::Statement(patience)]).await;
    judge.play(&mut scene, &texts).await;
    judge.found.print(true);
    assert!(judge.found.statements > 100 && judge.found.wrong.is_empty());
}

fn sqlsmith(target: &str) -> Vec<Piece> {
    let queries = std::env::var("TIDEGATE_SQLSMITH").unwrap_or_else(|_| "2000".to_owned());
    let output = Command::new("sqlsmith")
        .args(["--dry-run", "--seed=1"])
        .arg(format!("--max-queries={queries}"))
        .arg(format!("--target={target}"))
        .output()
        .expect("sqlsmith");
    pieces(&String::from_utf8_lossy(&output.stdout), &Variables::new())
}
