//! What is a read and what is not, the steps, and that the cache changes no answer.

use super::*;
use crate::sql::mysql::{Assignment, Ending, Isolation, Part, Scope, Step, Uses, Value};

fn classifier(dialect: Dialect) -> Classifier {
    Classifier::new(dialect, &Settings::default())
}

fn analyse(sql: &str) -> Arc<Analysis> {
    classifier(Dialect::MariaDb).analyse(sql.as_bytes(), Modes::default())
}

fn word(sql: &str) -> &'static str {
    analyse(sql).primary.map_or("read", Why::name)
}

/// Lines of `word: statement`; the words are those of the log.
fn corpus() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("corpus.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").expect("a word and a statement"))
}

#[test]
fn the_corpus_is_answered_as_written_there() {
    let classifier = classifier(Dialect::MariaDb);
    let mut wrong = Vec::new();
    for (expected, sql) in corpus() {
        let first = classifier.analyse(sql.as_bytes(), Modes::default());
        let again = classifier.analyse(sql.as_bytes(), Modes::default());
        let found = first.primary.map_or("read", Why::name);
        if found != expected || first != again {
            wrong.push(format!("{sql}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(classifier.stats().entries > 100, "{:?}", classifier.stats());
}

fn part(sql: &str) -> Part {
    let analysis = analyse(sql);
    assert!(analysis.parts.len() <= 1, "{sql}: {analysis:?}");
    analysis.parts.first().cloned().unwrap_or_default()
}

#[test]
fn transactions_are_told_with_their_modes() {
    let begin = |read_only, snapshot| Step::Begin { read_only, snapshot };
    for (sql, step) in [
        ("BEGIN", begin(None, false)),
        ("BEGIN WORK", begin(None, false)),
        ("START TRANSACTION", begin(None, false)),
        ("START TRANSACTION READ ONLY", begin(Some(true), false)),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE", begin(Some(false), true)),
        ("COMMIT", Step::Commit(Ending::default())),
        (
            "COMMIT WORK AND NO CHAIN RELEASE",
            Step::Commit(Ending { chain: Some(false), release: Some(true) }),
        ),
        ("ROLLBACK AND CHAIN", Step::Rollback(Ending { chain: Some(true), release: None })),
        ("SAVEPOINT A", Step::Savepoint("a".into())),
        ("ROLLBACK TO a", Step::RollbackTo("a".into())),
        ("ROLLBACK WORK TO SAVEPOINT `b c`", Step::RollbackTo("b c".into())),
        ("RELEASE SAVEPOINT a", Step::Release("a".into())),
        ("XA START 'x'", Step::XaStart),
        ("XA PREPARE 'x'", Step::XaOther),
        ("XA COMMIT 'x' ONE PHASE", Step::XaEnd),
    ] {
        assert_eq!(part(sql).step, step, "{sql}");
    }
}

fn literal(written: &str, meaning: &str) -> Value {
    Value::Literal { written: written.as_bytes().into(), meaning: Some(meaning.into()) }
}

fn variable(scope: Scope, name: &str, value: Value) -> Assignment {
    Assignment::Variable { scope, name: name.into(), value }
}

#[test]
fn set_is_told_part_by_part() {
    use Scope::{Global, Session, Unsaid};
    let user = |name: &str, value| Assignment::User { name: name.into(), value };
    let names = |charset: Option<&str>, collation: Option<&str>| Assignment::Names {
        charset: charset.map(Into::into),
        collation: collation.map(Into::into),
    };
    let transaction =
        |scope, isolation, read_only| Assignment::Transaction { scope, isolation, read_only };
    for (sql, expected) in [
        ("SET autocommit = 0", vec![variable(Session, "autocommit", literal("0", "0"))]),
        (
            "SET SQL_MODE='ANSI', @@session.Time_Zone := '+00:00'",
            vec![
                variable(Session, "sql_mode", literal("'ANSI'", "ANSI")),
                variable(Session, "time_zone", literal("'+00:00'", "+00:00")),
            ],
        ),
        (
            "SET GLOBAL a = 1, b = DEFAULT, SESSION c = ON",
            vec![
                variable(Global, "a", literal("1", "1")),
                variable(Global, "b", Value::Default),
                variable(Session, "c", literal("ON", "on")),
            ],
        ),
        (
            "SET @@tx_isolation = 'SERIALIZABLE'",
            vec![variable(Unsaid, "tx_isolation", literal("'SERIALIZABLE'", "SERIALIZABLE"))],
        ),
        (
            "SET @A = -1, @`b c` = 'it''s', @d = @e + 1, @f = g, @h = NULL",
            vec![
                user("a", literal("-1", "-1")),
                user("b c", literal("'it''s'", "it's")),
                user("d", Value::Computed),
                user("f", Value::Computed),
                user("h", Value::Literal { written: (*b"NULL").into(), meaning: None }),
            ],
        ),
        ("SET NAMES utf8mb4", vec![names(Some("utf8mb4"), None)]),
        (
            "SET NAMES 'latin1' COLLATE 'latin1_bin'",
            vec![names(Some("latin1"), Some("latin1_bin"))],
        ),
        ("SET NAMES DEFAULT", vec![names(None, None)]),
        ("SET CHARACTER SET utf8", vec![Assignment::CharacterSet(Some("utf8".into()))]),
        (
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
            vec![transaction(Unsaid, Some(Isolation::ReadCommitted), Some(true))],
        ),
        ("SET SESSION TRANSACTION READ WRITE", vec![transaction(Session, None, Some(false))]),
        ("SET ROLE admin", vec![Assignment::Role((*b"admin").into())]),
        ("SET PASSWORD = PASSWORD('x')", vec![Assignment::Other]),
        (
            "SET x.key_buffer_size = 1024",
            vec![variable(Session, "x.key_buffer_size", literal("1024", "1024"))],
        ),
    ] {
        assert_eq!(part(sql).step, Step::Set(expected.into()), "{sql}");
    }
    assert!(part("SET @a = @b").uses.has(Uses::READS_VARIABLES));
    assert!(!part("SET @a = 1").uses.has(Uses::READS_VARIABLES));
    assert!(part("SET @a = f()").uses.has(Uses::CODE));
    assert!(part("SET @a = LAST_INSERT_ID()").uses.has(Uses::LAST_INSERT_ID));
}

#[test]
fn the_proxys_own_variables_never_reach_a_server() {
    let one =
        Assignment::User { name: "tidegate_read_after".into(), value: literal("'0-1-5'", "0-1-5") };
    let set = analyse("SET @tidegate_read_after = '0-1-5'");
    assert_eq!((set.primary, &set.parts[0].step), (None, &Step::SetTidegate([one].into())));
    let shown = [("tidegate_position".into(), "@@tidegate_position".into())];
    let also = [shown[0].clone(), ("tidegate_node".into(), "n".into())];
    assert_eq!(part("SELECT @@tidegate_position").step, Step::ShowTidegate(shown.into()));
    let both = "select @@TIDEGATE_POSITION as `@@tidegate_position`, @@tidegate_node n";
    assert_eq!(part(both).step, Step::ShowTidegate(also.into()));
    assert_eq!(word("SELECT @@tidegate_position, 1"), "session");
}

#[test]
fn other_steps() {
    for (sql, step) in [
        ("USE `my db`", Step::Use("my db".into())),
        ("PREPARE S FROM 'SELECT 1'", Step::Prepare("s".into())),
        ("EXECUTE s USING @a", Step::Execute("s".into())),
        ("DROP PREPARE s", Step::Deallocate("s".into())),
        ("LOCK TABLES t READ", Step::LockTables),
        ("FLUSH TABLES WITH READ LOCK", Step::LockTables),
        ("UNLOCK TABLES", Step::UnlockTables),
        ("KILL 5", Step::Kill { query: false, id: Some(5) }),
        ("KILL HARD QUERY 7", Step::Kill { query: true, id: Some(7) }),
        ("KILL CONNECTION connection_id()", Step::Kill { query: false, id: None }),
        ("KILL QUERY ID 9", Step::Kill { query: true, id: None }),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", Step::LoadLocal),
        ("HANDLER t OPEN", Step::HandlerOpen),
        ("DROP DATABASE IF EXISTS Shop", Step::DropDatabase("Shop".into())),
    ] {
        assert_eq!(part(sql).step, step, "{sql}");
    }
}

#[test]
fn what_a_statement_uses_of_its_session() {
    for (sql, uses) in [
        ("SELECT @a", Uses::READS_VARIABLES),
        ("SELECT @a := 1", Uses::ASSIGNS_VARIABLES),
        ("SELECT a INTO @b FROM t", Uses::ASSIGNS_VARIABLES),
        ("SELECT LAST_INSERT_ID()", Uses::LAST_INSERT_ID),
        ("UPDATE t SET n = LAST_INSERT_ID(n + 1)", Uses::SETS_LAST_INSERT_ID),
        ("SELECT FOUND_ROWS()", Uses::FOUND_ROWS),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", Uses::CALC_FOUND_ROWS),
        ("SELECT ROW_COUNT()", Uses::ROW_COUNT),
        ("SHOW WARNINGS", Uses::DIAGNOSTICS),
        ("SELECT @@warning_count", Uses::DIAGNOSTICS),
        ("SELECT GET_LOCK('a', 1)", Uses::NAMED_LOCK),
        ("DO RELEASE_LOCK('a')", Uses::RELEASES_LOCK),
        ("CREATE OR REPLACE TEMPORARY TABLE t (a int)", Uses::TEMPORARY),
        ("DROP TEMPORARY TABLE t", Uses::DROPS),
        ("SELECT CONNECTION_ID()", Uses::CONNECTION_ID),
        ("SHOW FULL PROCESSLIST", Uses::CONNECTION_ID),
        ("SELECT PREVIOUS VALUE FOR s", Uses::SEQUENCE),
        ("CALL p()", Uses::CODE),
        ("SELECT f(1)", Uses::CODE),
        ("CREATE TABLE t (a int)", Uses::COMMITS),
        ("SELECT @@sql_mode", Uses::SYSTEM_VARIABLES),
    ] {
        assert!(part(sql).uses.has(uses), "{sql}: {:?}", part(sql));
    }
    assert!(!part("CREATE TEMPORARY TABLE t (a int)").uses.has(Uses::COMMITS));
    assert!(analyse("SELECT a FROM t WHERE b = 'x'").parts.is_empty());
}

#[test]
fn a_text_of_several_statements_is_split_as_the_server_splits_it() {
    let parts = |sql| analyse(sql).parts.len();
    assert_eq!(parts("BEGIN; INSERT INTO t VALUES (';'); COMMIT;"), 3);
    assert_eq!(word("SELECT 1; UPDATE t SET a = 1"), "write");
    assert_eq!(parts("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END"), 1);
    assert_eq!(parts("BEGIN NOT ATOMIC SELECT 1; SELECT 2; END"), 1);
    assert_eq!(parts("SELECT 1; SELECT 2 # ; SELECT 3"), 0, "all plain");
    assert_eq!(word("SELECT 1; SELECT 2 # ; DELETE FROM t"), "read");
    assert_eq!((word(""), word(" -- nothing")), ("read", "read"));
}

#[test]
fn modes_are_part_of_the_question() {
    let classifier = classifier(Dialect::MySql);
    let sql = br#"SELECT "a\" FOR UPDATE -- ""#;
    let ansi = Modes { ansi_quotes: true, ..Modes::default() };
    assert_eq!(classifier.analyse(sql, Modes::default()).primary, None);
    assert_eq!(classifier.analyse(sql, ansi).primary, Some(Why::Locks));
    assert_eq!(classifier.analyse(sql, Modes::default()).primary, None);
}

#[test]
fn a_refused_read_is_remembered_as_a_write() {
    let classifier = classifier(Dialect::MySql);
    let ask = |sql: &str| classifier.analyse(sql.as_bytes(), Modes::default()).primary;
    assert_eq!(ask("SELECT a FROM v WHERE b = 1"), None);
    classifier.remember(b"SELECT a FROM v WHERE b = 2", Modes::default(), Why::Function);
    assert_eq!(ask("SELECT a FROM v WHERE b = 3"), Some(Why::Function));
    assert_eq!(ask("SELECT a FROM w WHERE b = 3"), None);
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    let found = analyse(&long);
    assert_eq!(found.primary, Some(Why::Unseen));
    assert!(found.uses().has(Uses::CODE));
}
