//! The corpus, the steps, and that neither literals nor the cache ever change an answer.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::analysis::SetValue;
use super::*;
use crate::sql::Pin;
use crate::sql::names::Names;

/// The statements of the corpus, each with the word in front of it.
fn corpus() -> Vec<(&'static str, String)> {
    let text = include_str!("../../../tests/oracle/corpus.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, sql) = line.split_once(' ').unwrap();
            (word, sql.replace("\\n", "\n").replace("\\t", "\t"))
        })
        .collect()
}

fn classifier() -> Classifier {
    Classifier::new(&Settings::default())
}

fn word(analysis: &Analysis) -> &'static str {
    analysis.primary.map_or("read", Why::name)
}

fn by_grammar(sql: &[u8]) -> Analysis {
    let functions = Functions::new(&[], &[]);
    classify(sql, Names { functions: &functions, catalog: &Catalog::default() }).analysis
}

#[test]
fn the_corpus_is_answered_as_written_there() {
    let classifier = classifier();
    let mut wrong = Vec::new();
    for (expected, sql) in corpus() {
        for turn in ["grammar", "cache"] {
            let found = classifier.analyse(sql.as_bytes(), &Catalog::default());
            if word(&found) != expected {
                wrong.push(format!("{sql}: {} by {turn}, expected {expected}", word(&found)));
            }
        }
        assert_eq!(
            *classifier.analyse(sql.as_bytes(), &Catalog::default()),
            by_grammar(sql.as_bytes()),
            "{sql}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stats = classifier.stats();
    assert!(stats.hits > stats.misses && stats.entries > 200, "{stats:?}");
}

fn set(name: &str, value: &str) -> Step {
    Step::Set { name: name.into(), value: SetValue::Text(value.into()) }
}

fn reset_by_set(name: &str) -> Step {
    Step::Set { name: name.into(), value: SetValue::Default }
}

/// Each text is one statement with one step.
fn check_steps(table: &[(&str, Step)]) {
    let classifier = classifier();
    for (sql, step) in table {
        let found = classifier.analyse(sql.as_bytes(), &Catalog::default());
        let expected = if *step == Step::Plain { vec![] } else { vec![step.clone()] };
        assert_eq!(found.steps, expected, "{sql}");
        assert_eq!(classifier.analyse(sql.as_bytes(), &Catalog::default()), found, "{sql}, again");
    }
}

#[test]
fn set_is_told_as_set_config_would_take_it() {
    check_steps(&[
        ("SET work_mem = '64MB'", set("work_mem", "64MB")),
        ("SET SESSION Work_Mem TO 64", set("work_mem", "64")),
        ("SET a.b = -1.5", set("a.b", "-1.5")),
        ("SET enable_seqscan = off", set("enable_seqscan", "off")),
        ("SET enable_seqscan TO TRUE", set("enable_seqscan", "true")),
        ("SET search_path = a, \"B c\", public", set("search_path", "a, \"B c\", public")),
        ("SET search_path TO '$user', 'user'", set("search_path", "\"$user\", \"user\"")),
        ("SET search_path = ''", set("search_path", "\"\"")),
        ("SET search_path = 'a, b'", set("search_path", "\"a, b\"")),
        ("SET SCHEMA 'x'", set("search_path", "x")),
        ("SET DateStyle = ISO, 'DMY'", set("datestyle", "iso, DMY")),
        ("SET TIME ZONE 'Europe/Berlin'", set("timezone", "Europe/Berlin")),
        ("SET TIME ZONE -7", set("timezone", "-7")),
        ("SET TIME ZONE LOCAL", reset_by_set("timezone")),
        ("SET TIME ZONE INTERVAL '1' HOUR", Step::Pin(Pin::Setting)),
        ("SET work_mem TO DEFAULT", reset_by_set("work_mem")),
        ("SET NAMES 'latin1'", set("client_encoding", "latin1")),
        ("SET ROLE bob", set("role", "bob")),
        ("SET ROLE NONE", set("role", "none")),
        ("SET SESSION AUTHORIZATION 'bob'", set("session_authorization", "bob")),
        ("SET SESSION AUTHORIZATION DEFAULT", reset_by_set("session_authorization")),
        ("SET XML OPTION DOCUMENT", set("xmloption", "DOCUMENT")),
        ("SET tidegate.consistency = 'strong'", set("tidegate.consistency", "strong")),
        ("SET LOCAL work_mem = '1MB'", Step::Plain),
        ("SET LOCAL TimeZone = 'UTC'", Step::ReadsOtherwise),
        ("SELECT set_config('DateStyle', 'ISO', true)", Step::ReadsOtherwise),
        ("SELECT set_config('app.tenant', '7', true)", Step::Plain),
        ("SET TRANSACTION READ ONLY", Step::Plain),
        ("SET transaction_read_only = on", Step::Plain),
        ("SET seed = 0.5", Step::Pin(Pin::Setting)),
        ("SET search_path = pg_temp, public", Step::Pin(Pin::Setting)),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            set("default_transaction_read_only", "on"),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            set("default_transaction_isolation", "repeatable read"),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, DEFERRABLE",
            Step::Pin(Pin::Setting),
        ),
    ]);
}

#[test]
fn set_config_is_a_set_where_it_surely_runs_once() {
    check_steps(&[
        ("SELECT set_config('A.b', 'v', false)", set("a.b", "v")),
        ("SELECT pg_catalog.set_config('search_path', 'a, b', false)", set("search_path", "a, b")),
        ("SELECT set_config('a.b', NULL, false)", reset_by_set("a.b")),
        ("SELECT set_config('a.b', 'v', true)", Step::Plain),
        ("SELECT set_config('a.b', $1, true), set_config($2, $3, true)", Step::Plain),
        ("SELECT set_config('a.b', $1, false)", Step::Pin(Pin::Setting)),
        ("SELECT set_config('a.b', 'v', 'f')", Step::Pin(Pin::Setting)),
        ("SELECT set_config('a.b', 'v', false) FROM t", Step::Pin(Pin::Setting)),
        ("SELECT set_config('a.b', 'v', false), 1", Step::Pin(Pin::Setting)),
        ("SELECT set_config('a.b', 'v', false) WHERE false", Step::Pin(Pin::Setting)),
        ("EXPLAIN ANALYZE SELECT set_config('a.b', 'v', false)", Step::Pin(Pin::Setting)),
        ("INSERT INTO t SELECT set_config('a.b', 'v', false)", Step::Pin(Pin::Setting)),
    ]);
}

#[test]
fn what_cannot_move_pins() {
    let temporary = Step::Pin(Pin::TemporaryObject);
    check_steps(&[
        ("CREATE TEMP TABLE t (a int)", temporary.clone()),
        ("CREATE TEMPORARY TABLE t AS SELECT 1", temporary.clone()),
        ("CREATE LOCAL TEMP VIEW v AS SELECT 1", temporary.clone()),
        ("CREATE TEMP SEQUENCE s", temporary.clone()),
        ("CREATE TABLE pg_temp.t (a int)", temporary.clone()),
        ("CREATE TABLE pg_temp.t AS SELECT 1", temporary.clone()),
        ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", temporary.clone()),
        ("CREATE TYPE PG_TEMP.t AS (a int)", temporary.clone()),
        ("SELECT 1 AS a INTO TEMP t", temporary.clone()),
        ("SELECT 1 AS a INTO pg_temp.t", temporary),
        ("CREATE TABLE t (a int)", Step::Defines),
        ("CREATE INDEX ON t (a)", Step::Plain),
        ("SELECT 1 AS a INTO t", Step::Defines),
        ("SELECT pg_advisory_lock(1)", Step::Pin(Pin::AdvisoryLock)),
        ("UPDATE t SET a = 1 WHERE pg_try_advisory_lock(id)", Step::Pin(Pin::AdvisoryLock)),
        ("SELECT pg_advisory_xact_lock(1)", Step::Plain),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Step::Pin(Pin::HoldCursor)),
        ("DECLARE c CURSOR FOR SELECT 1", Step::Plain),
        ("LOAD 'x'", Step::Pin(Pin::Load)),
        ("PREPARE p AS SELECT 1", Step::Pin(Pin::SqlPrepare)),
        ("EXECUTE p", Step::Pin(Pin::SqlPrepare)),
        ("EXPLAIN EXECUTE p", Step::Pin(Pin::SqlPrepare)),
        ("CREATE TEMP TABLE t AS EXECUTE p", Step::Pin(Pin::SqlPrepare)),
        ("TABLE pg_prepared_statements", Step::Pin(Pin::SqlPrepare)),
        ("SELECT nextval('s')", Step::Plain),
        ("SELEC", Step::Hidden),
    ]);
}

#[test]
fn channels_are_named_as_postgresql_folds_and_truncates_them() {
    let [long, umlauts] = ["a".repeat(70), "ü".repeat(40)];
    let listen = |name: &str| Step::Listen(name.into());
    check_steps(&[
        ("LISTEN News", listen("news")),
        ("LISTEN \"New \"\"S\"", listen("New \"S")),
        (&format!("LISTEN {long}"), listen(&long[..63])),
        // 63 bytes are the half of a letter.
        (&format!("LISTEN \"{umlauts}\""), listen(&umlauts[..62])),
        ("UNLISTEN News", Step::Unlisten("news".into())),
        ("UNLISTEN *", Step::UnlistenAll),
        ("UNLISTEN \"*\"", Step::Unlisten("*".into())),
        ("NOTIFY news, 'it is'", Step::Notify),
        ("SELECT pg_notify('news', 'it is')", Step::Notify),
        ("SELECT * FROM pg_listening_channels()", Step::ListsChannels),
        ("SELECT pg_notify('news', mine())", Step::Hidden),
    ]);
}

#[test]
fn the_session_learns_of_transactions_and_resets() {
    check_steps(&[
        ("BEGIN", Step::Begin { read_only: None }),
        ("BEGIN READ ONLY", Step::Begin { read_only: Some(true) }),
        ("START TRANSACTION READ WRITE", Step::Begin { read_only: Some(false) }),
        ("COMMIT", Step::Commit { chain: false }),
        ("COMMIT AND CHAIN", Step::Commit { chain: true }),
        ("END", Step::Commit { chain: false }),
        ("PREPARE TRANSACTION 'x'", Step::Commit { chain: false }),
        ("ROLLBACK", Step::Rollback),
        ("SAVEPOINT \"A b\"", Step::Savepoint("A b".into())),
        ("SAVEPOINT Ab", Step::Savepoint("ab".into())),
        ("RELEASE a", Step::Release("a".into())),
        ("ROLLBACK TO a", Step::RollbackTo("a".into())),
        ("RESET work_mem", Step::Reset("work_mem".into())),
        ("RESET TIME ZONE", Step::Reset("timezone".into())),
        ("RESET ALL", Step::ResetAll),
        ("RESET transaction_isolation", Step::Plain),
        ("DISCARD ALL", Step::DiscardAll),
        ("DISCARD TEMPORARY", Step::DiscardTemp),
        ("DISCARD SEQUENCES", Step::DiscardOther),
        ("DEALLOCATE a", Step::Deallocate("a".into())),
        ("DEALLOCATE PREPARE ALL", Step::DeallocateAll),
        ("SHOW Tidegate.Position", Step::ShowTidegate("tidegate.position".into())),
    ]);
}

#[test]
fn several_statements_have_a_step_each() {
    let found = classifier().analyse(b"BEGIN; SET a.b = 1; SELECT 1; COMMIT", &Catalog::default());
    let begin = Step::Begin { read_only: None };
    assert_eq!(found.steps, [begin, set("a.b", "1"), Step::Plain, Step::Commit { chain: false }]);
    assert_eq!(found.primary, Some(Why::Transaction));
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let classifier = Classifier::new(&Settings { max_statement: 8, ..Settings::default() });
    assert_eq!(classifier.analyse(b"SELECT 1", &Catalog::default()).primary, None);
    let found = classifier.analyse(b"SELECT 12", &Catalog::default());
    assert_eq!((found.primary, &found.steps[..]), (Some(Why::Unseen), &[Step::Hidden][..]));
}

#[test]
fn other_encodings_are_read_but_nothing_is_replayed_from_them() {
    let classifier = classifier();
    for _ in 0..2 {
        assert_eq!(
            word(&classifier.analyse(b"SELECT 'M\xfcnchen' FROM stra\xdfe", &Catalog::default())),
            "read"
        );
        assert_eq!(
            word(&classifier.analyse(b"DELETE FROM stra\xdfe", &Catalog::default())),
            "write"
        );
        assert_eq!(
            word(&classifier.analyse(b"SELECT '\x95\\' FROM stra\xdfe", &Catalog::default())),
            "unparsed"
        );
        let found = classifier.analyse(b"SET a.b = 'M\xfcnchen'", &Catalog::default());
        assert_eq!(found.steps, [Step::Hidden]);
    }
}

#[test]
fn a_refused_read_is_remembered_as_a_write_by_every_thread() {
    let classifier = Arc::new(classifier());
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (answer, answered) = std::sync::mpsc::channel();
    let shared = classifier.clone();
    let other = std::thread::spawn(move || {
        while asked.recv().is_ok() {
            answer
                .send(shared.analyse(b"SELECT * FROM v WHERE a = 1", &Catalog::default()).primary)
                .unwrap();
        }
    });
    ask.send(()).unwrap();
    assert_eq!(answered.recv().unwrap(), None);
    assert!(classifier.remember(b"SELECT * FROM v WHERE a = 2", &Catalog::default()));
    ask.send(()).unwrap();
    assert_eq!(answered.recv().unwrap(), Some(Why::Refused));
    drop(ask);
    other.join().unwrap();
}

#[test]
fn nesting_ends_in_an_answer_and_not_in_a_stack_overflow() {
    let deep = Settings { max_statement: 8 << 20, ..Settings::default() };
    let run = move || {
        let classifier = Classifier::new(&deep);
        let nested = |open: &str, inner: &str, close: &str, times| {
            format!("SELECT {}{inner}{}", open.repeat(times), close.repeat(times))
        };
        for times in [100, 3_000, 100_000] {
            for sql in [
                nested("(", "1", ")", times),
                nested("1+", "1", "", times),
                nested("", "1", "::int", times),
                nested("NOT ", "true", "", times),
                nested("lower(", "'a'", ")", times),
                nested("CASE WHEN true THEN ", "1", " END", times),
                nested("(SELECT ", "1", ")", times),
                nested("1 UNION SELECT ", "1", "", times),
                nested("a[", "1", "]", times),
                nested("/*", "1", "*/", times),
            ] {
                classifier.analyse(sql.as_bytes(), &Catalog::default());
            }
        }
        word(
            &classifier
                .analyse(nested("1+", "nextval('s')", "", 100_000).as_bytes(), &Catalog::default()),
        )
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), "function");
}

/// White space and comments.
fn gap() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec![" ", "\n", "\t", "-- 'x\n", "/* \" */", "/*/**/'*/", "--/*\r"]),
        1..4,
    )
    .prop_map(|parts| parts.concat())
}

fn string() -> impl Strategy<Value = String> {
    ("[a-z;'\"$ \\-/*ü\n]{0,12}", 0..6).prop_map(|(text, kind)| match kind {
        0 => format!("'{}'", text.replace('\'', "''")),
        1 => format!("E'{}\\''", text.replace('\'', "\\'")),
        2 => format!("$quoted${text}$quoted$"),
        3 => format!("U&'{}\\0041'", text.replace('\'', "''")),
        4 => format!("$$ {} $$", text.replace('$', "'")),
        _ => format!("'{}'\n '--'", text.replace('\'', "''")),
    })
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..999_999_999_u32).prop_map(|n| n.to_string()),
        (0..99_u32, 0..99_u32).prop_map(|(a, b)| format!("{a}.{b}e-{b}")),
        Just("0xff".to_owned()),
        Just("0o17".to_owned()),
        (0..999_u32).prop_map(|n| format!("{n}_000")),
        Just("99999999999999999999".to_owned()),
        Just("$7".to_owned()),
    ]
}

/// `~` is a gap, `?` a string, `#` a number.
const TEMPLATES: [(&str, &str); 12] = [
    ("read", "SELECT~a~FROM~t~WHERE~a~=~?~AND~b~=~#"),
    ("read", "~SELECT~?,~#~,-#,~?~LIMIT~#~"),
    ("read", "VALUES~(#,?)~,~(#~,~?)"),
    ("read", "SELECT~*~FROM~t~WHERE~a~IN(?,?,?)~OFFSET~#~;"),
    ("read", "WITH~x~AS(SELECT~?)SELECT~#+#~FROM~x;SELECT~?~;"),
    ("write", "INSERT~INTO~t~VALUES(?,#)"),
    ("write", "UPDATE~t~SET~a~=~?~,b=#~WHERE~c~=~#"),
    ("write", "DELETE~FROM~t~WHERE~a~=~?;"),
    ("locks", "SELECT~?~FROM~t~WHERE~a=#~FOR~UPDATE"),
    ("function", "SELECT~f(?,~#)"),
    ("function", "SELECT~?~,~nextval(?)"),
    ("writing_select", "WITH~x~AS~(DELETE~FROM~t~WHERE~a=?~RETURNING~a)~SELECT~*~FROM~x"),
];

fn filled() -> impl Strategy<Value = (&'static str, String)> {
    let fillers = (
        prop::collection::vec(gap(), 24),
        prop::collection::vec(string(), 4),
        prop::collection::vec(number(), 4),
    );
    (0..TEMPLATES.len(), fillers).prop_map(|(which, (gaps, strings, numbers))| {
        let (word, template) = TEMPLATES[which];
        let (mut gap, mut string, mut number) = (0, 0, 0);
        let mut sql = String::new();
        let next = |from: &[String], at: &mut usize, sql: &mut String| {
            sql.push_str(&from[*at % from.len()]);
            *at += 1;
        };
        for letter in template.chars() {
            match letter {
                '~' => next(&gaps, &mut gap, &mut sql),
                '?' => next(&strings, &mut string, &mut sql),
                '#' => next(&numbers, &mut number, &mut sql),
                letter => sql.push(letter),
            }
        }
        (word, sql)
    })
}

/// Two statements of the corpus cut somewhere and put together, with something in between.
fn spliced() -> impl Strategy<Value = String> {
    let size = corpus().len();
    let between = prop::sample::select(vec![
        "", " ", ";", "'", "''", "\"", "$$", "$a$", "--", "/*", "*/", "\n", "E'", "\\", "1", ".",
        "e5", "U&", "(", ")", "-", "a", "\u{1}", " 'x' ", " $1 ", " true ", "::text",
    ]);
    (0..size, 0..size, 0.0..1.0_f64, 0.0..1.0_f64, between).prop_map(
        |(a, b, cut_a, cut_b, with)| {
            let all = corpus();
            let cut = |sql: &str, at: f64| (0..=sql.len()).nth((sql.len() as f64 * at) as usize);
            let (first, second) = (&all[a].1, &all[b].1);
            let head = &first[..cut(first, cut_a).unwrap_or(0)];
            let tail = &second[cut(second, cut_b).unwrap_or(0)..];
            format!("{head}{with}{tail}")
        },
    )
}

/// A SELECT of pieces that each try to hide the next ones from a careless lexer.
fn hiding() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a",
        "1",
        "nextval(1)",
        "E'\\''",
        "e'\\\\'",
        "'it''s'",
        "''",
        "'\\'",
        "$$'$$",
        "$a$ $$ ' $a$",
        "\"a'b\"",
        "\"\"\"\"",
        "--'\n 1",
        "/*'*/ 1",
        "/*/*'*/*/ 1",
        "'--'",
        "'/*'",
        "U&'\\'",
        "1 - -1",
        "'a'\n'b'",
        "'a'--'\n'b'",
        "x'1'",
        "$1",
        "a$1",
        "a'",
        "$",
    ];
    prop::collection::vec(prop::sample::select(pieces), 1..5)
        .prop_map(|pieces| format!("SELECT {}", pieces.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn literals_comments_and_white_space_never_change_an_answer((expected, sql) in filled()) {
        let found = by_grammar(sql.as_bytes());
        prop_assert_eq!(word(&found), expected);
        let classifier = Classifier::new(&Settings::default());
        for (_, other) in corpus() {
            if other.len() < 20 {
                classifier.analyse(other.as_bytes(), &Catalog::default());
            }
        }
        prop_assert_eq!(&*classifier.analyse(sql.as_bytes(), &Catalog::default()), &found);
        prop_assert_eq!(&*classifier.analyse(sql.as_bytes(), &Catalog::default()), &found);
    }

    #[test]
    fn no_literal_hides_a_function(texts in prop::collection::vec(hiding(), 200)) {
        let classifier = classifier();
        for sql in &texts {
            let found = by_grammar(sql.as_bytes());
            if found.primary != Some(Why::Unparsed) {
                prop_assert_eq!(&*classifier.analyse(sql.as_bytes(), &Catalog::default()), &found, "{}", sql);
            }
        }
    }

    /// All texts share one cache, so a shape that merged two of them would show.
    #[test]
    fn what_is_cached_is_what_the_grammar_says(texts in prop::collection::vec(spliced(), 20)) {
        let classifier = classifier();
        for (_, sql) in corpus() {
            classifier.analyse(sql.as_bytes(), &Catalog::default());
        }
        for sql in &texts {
            let found = by_grammar(sql.as_bytes());
            if found.primary != Some(Why::Unparsed) {
                prop_assert_eq!(&*classifier.analyse(sql.as_bytes(), &Catalog::default()), &found, "{}", sql);
            }
        }
    }
}
