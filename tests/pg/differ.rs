//! The same bytes to a server and to the proxy: the answers must be the same frames.

use crate::shared;
use crate::support::proxy::{Running, proxy};
use crate::wire::*;
use std::net::SocketAddr;

/// Bytes to send, and the tag that ends the answer, so many times.
pub struct Step {
    pub bytes: Vec<u8>,
    pub ends: u8,
    pub times: usize,
}

/// Bytes that are answered by one ReadyForQuery.
pub fn step(parts: &[Vec<u8>]) -> Step {
    Step { bytes: parts.concat(), ends: b'Z', times: 1 }
}

/// Bytes that are answered by frames up to the `times`th one with tag `ends`.
pub fn until(ends: u8, times: usize, parts: &[Vec<u8>]) -> Step {
    Step { bytes: parts.concat(), ends, times }
}

pub fn q(sql: &str) -> Step {
    step(&[query(sql)])
}

/// Sends the steps one after the other; answers with a line for each frame.
async fn play(wire: &mut Wire, steps: &[Step]) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps {
        wire.send(&step.bytes).await;
        for _ in 0..step.times {
            lines.extend(brief(&wire.until(&[step.ends]).await));
        }
        lines.push("--".into());
    }
    lines
}

/// Plays the steps on the server and through the proxy and compares; answers with the lines.
pub async fn same(server: SocketAddr, running: &Running, steps: &[Step]) -> Vec<String> {
    let mut direct = Wire::start(server).await;
    let expected = play(&mut direct, steps).await;
    drop(direct);
    let mut through = Wire::start(running.postgres).await;
    let got = play(&mut through, steps).await;
    assert_eq!(got, expected, "left: through the proxy, right: direct");
    assert!(through.is_alive().await);
    got
}

/// One scenario on a primary alone.
async fn check(steps: &[Step]) -> Vec<String> {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "max_prepared = 2").start().await;
    let server = servers.primary().address().parse().expect("an address");
    same(server, &running, steps).await
}

fn has(lines: &[String], what: &str) {
    assert!(lines.iter().any(|l| l.starts_with(what)), "no {what} in {lines:?}");
}

#[tokio::test]
async fn an_empty_query_and_a_comment() {
    let lines = check(&[
        q(""),
        q(";"),
        q("-- nothing"),
        step(&[unnamed(""), sync()]),
        step(&[sync()]),
        q("SELECT 1; ; SELECT 2"),
    ])
    .await;
    has(&lines, "I:");
}

#[tokio::test]
async fn flush_without_sync() {
    let lines = check(&[
        until(b'1', 1, &[parse("", "SELECT 1"), flush()]),
        until(b'2', 1, &[bind("", "", &[]), flush()]),
        until(b'T', 1, &[describe('P', ""), flush()]),
        until(b'C', 1, &[execute("", 0), flush()]),
        step(&[sync()]),
        until(b'E', 1, &[parse("", "SELEC 1"), flush()]),
        step(&[parse("x", "SELECT 3"), bind("", "x", &[]), execute("", 0), sync()]),
        step(&[bind("", "x", &[]), execute("", 0), sync()]),
    ])
    .await;
    has(&lines, "C:SELECT 1");
}

#[tokio::test]
async fn answers_that_the_proxy_gives_by_itself_on_a_held_server() {
    let lines = check(&[
        step(&[parse("a", "SELECT 1"), sync()]),
        q("BEGIN"),
        until(b'3', 1, &[close('S', "nothing"), flush()]),
        until(b'3', 2, &[close('S', "a"), close('P', "a"), flush()]),
        until(b'1', 1, &[parse("a", "SELECT 1"), flush()]),
        until(b'1', 1, &[parse("b", "SELECT 1"), flush()]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        q("COMMIT"),
    ])
    .await;
    has(&lines, "3:");
}

#[tokio::test]
async fn what_follows_an_error_without_a_sync_is_skipped_however_it_comes() {
    let lines = check(&[
        step(&[parse("", "SELEC"), query("SELECT 1"), sync()]),
        until(b'E', 1, &[parse("", "SELEC"), flush()]),
        step(&[query("SELECT 1"), parse("x", "SELECT 2"), copy_done(), sync()]),
        step(&[bind("", "x", &[]), sync()]),
        until(b'E', 1, &[parse("", "SELEC"), flush()]),
        step(&[parse("x", "SELECT 2"), flush(), function(2077, "x"), sync()]),
        step(&[parse("x", "SELECT 2"), bind("", "x", &[]), execute("", 0), sync()]),
    ])
    .await;
    has(&lines, "E:26000");
}

#[tokio::test]
async fn several_syncs_in_flight() {
    let one = [unnamed("SELECT 1"), sync()].concat();
    let bad = [unnamed("SELECT 1/0"), unnamed("SELECT 5"), sync()].concat();
    let lines = check(&[until(
        b'Z',
        6,
        &[one.clone(), bad.clone(), one.clone(), sync(), bad, query("SELECT 2")],
    )])
    .await;
    has(&lines, "E:22012");
}

#[tokio::test]
async fn an_error_skips_to_sync() {
    check(&[
        step(&[
            parse("a", "SELEC"),
            parse("b", "SELECT 2"),
            bind("", "b", &[]),
            execute("", 0),
            describe('S', "b"),
            close('S', "b"),
            sync(),
        ]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        step(&[parse("b", "SELECT 2"), bind("", "b", &[]), execute("", 0), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn a_statement_that_was_skipped_is_not_there_even_if_the_server_has_its_like() {
    check(&[
        step(&[parse("x", "SELECT 2"), sync()]),
        step(&[parse("a", "SELEC"), parse("b", "SELECT 2"), sync()]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        step(&[parse("b", "SELECT 2"), bind("", "b", &[]), execute("", 0), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn a_close_that_was_skipped_closed_nothing() {
    check(&[
        step(&[parse("b", "SELECT 2"), sync()]),
        step(&[parse("", "SELEC"), close('S', "b"), sync()]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        step(&[parse("", "SELECT 7"), sync()]),
        step(&[parse("z", "SELEC"), parse("", "SELECT 8"), sync()]),
        step(&[bind("", "", &[]), execute("", 0), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn portals_with_row_limits() {
    let many = "SELECT generate_series(1, 5)";
    let lines = check(&[
        until(b's', 1, &[parse("", many), bind("p", "", &[]), execute("p", 2), flush()]),
        until(b's', 1, &[execute("p", 2), flush()]),
        until(b'C', 1, &[execute("p", 2), flush()]),
        step(&[execute("p", 0), sync()]),
        step(&[execute("p", 0), sync()]),
        q("BEGIN"),
        step(&[parse("", many), bind("p", "", &[]), execute("p", 2), sync()]),
        step(&[execute("p", 2), sync()]),
        step(&[close('P', "p"), execute("p", 1), sync()]),
        q("ROLLBACK"),
    ])
    .await;
    has(&lines, "s:");
    has(&lines, "E:34000");
}

#[tokio::test]
async fn describe_and_close() {
    check(&[
        step(&[describe('S', "nothing"), sync()]),
        step(&[close('S', "nothing"), close('P', "nothing"), sync()]),
        step(&[parse("a", "SELECT $1::int AS x"), describe('S', "a"), sync()]),
        step(&[describe('S', "a"), sync()]),
        step(&[bind("", "a", &["7"]), describe('P', ""), execute("", 0), sync()]),
        step(&[bind("", "a", &["x"]), execute("", 0), sync()]),
        step(&[bind("", "a", &[]), execute("", 0), sync()]),
        step(&[close('S', "a"), describe('S', "a"), sync()]),
        step(&[parse("a", "SELECT 1"), parse("a", "SELECT 2"), sync()]),
        step(&[parse("a", "SELECT 3"), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn the_unnamed_statement() {
    check(&[
        step(&[parse("", "SELECT 1"), sync()]),
        step(&[bind("", "", &[]), execute("", 0), sync()]),
        step(&[bind("", "", &[]), execute("", 0), sync()]),
        q("SELECT 2"),
        step(&[bind("", "", &[]), execute("", 0), sync()]),
        step(&[parse("", "SELECT 3"), close('S', ""), bind("", "", &[]), sync()]),
        step(&[parse("", "SELECT 4"), sync()]),
        step(&[parse("", "SELEC"), sync()]),
        step(&[bind("", "", &[]), execute("", 0), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn more_statements_than_a_server_keeps() {
    let all = ["a", "b", "c", "d"];
    let mut steps = vec![];
    for name in all {
        steps.push(step(&[parse(name, &format!("SELECT '{name}'")), sync()]));
    }
    steps.push(step(&[parse("e", "SELEC"), sync()]));
    for _ in 0..2 {
        for name in all {
            steps.push(step(&[bind("", name, &[]), execute("", 0), sync()]));
        }
        let every = all.map(|name| [bind("", name, &[]), execute("", 0)].concat());
        steps.push(step(&[every.concat(), sync()]));
        steps.push(step(&[parse("", "SELEC"), every.concat(), sync()]));
        steps.push(step(&[parse("e", "SELECT nothing"), every.concat(), sync()]));
    }
    check(&steps).await;
}

#[tokio::test]
async fn deallocate() {
    check(&[
        step(&[parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), sync()]),
        q("DEALLOCATE a"),
        q("DEALLOCATE a"),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        step(&[unnamed("DEALLOCATE b"), sync()]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
        step(&[parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), sync()]),
        q("DEALLOCATE ALL"),
        step(&[bind("", "a", &[]), execute("", 0), sync()]),
        step(&[parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), parse("c", "SELECT 3"), sync()]),
        q("BEGIN"),
        q("SELECT 1/0"),
        q("DEALLOCATE a"),
        step(&[unnamed("DEALLOCATE b"), sync()]),
        q("ROLLBACK"),
        step(&[bind("", "a", &[]), execute("", 0), sync()]),
        step(&[bind("", "b", &[]), execute("", 0), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn deallocate_all_and_discard_all_inside_a_pipeline() {
    for all in ["DEALLOCATE ALL", "DISCARD ALL"] {
        check(&[
            step(&[parse("a", "SELECT 'a'"), parse("b", "SELECT 'b'"), sync()]),
            step(&[
                unnamed(all),
                parse("a", "SELECT 'b'"),
                bind("", "a", &[]),
                execute("", 0),
                sync(),
            ]),
            step(&[bind("", "a", &[]), execute("", 0), sync()]),
            step(&[bind("", "b", &[]), execute("", 0), sync()]),
            step(&[unnamed("SELECT 1/0"), unnamed(all), sync()]),
            q("SET work_mem = '1MB'"),
            step(&[unnamed(all), bind("", "nothing", &[]), sync()]),
            q("SHOW work_mem"),
            q("RESET work_mem"),
            step(&[bind("", "a", &[]), execute("", 0), sync()]),
            q("BEGIN"),
            step(&[unnamed(all), sync()]),
            step(&[bind("", "a", &[]), execute("", 0), sync()]),
            q("ROLLBACK"),
            step(&[bind("", "a", &[]), execute("", 0), sync()]),
            step(&[parse("a", "SELECT 'c'"), sync()]),
            step(&[bind("", "a", &[]), execute("", 0), sync()]),
        ])
        .await;
    }
}

#[tokio::test]
async fn copy_in_by_the_simple_protocol() {
    let begin = query("COPY copied FROM STDIN");
    let lines = check(&[
        q("CREATE TEMP TABLE copied (a int)"),
        step(&[begin.clone(), copy_data("1\n"), copy_data("2\n3\n"), copy_done()]),
        step(&[begin.clone(), copy_data("4\n"), copy_fail("enough")]),
        step(&[begin.clone(), copy_data("5\n"), flush(), sync(), copy_data("6\n"), copy_done()]),
        step(&[begin.clone(), copy_data("x\n"), copy_data("7\n"), copy_data("8\n"), copy_done()]),
        q("SELECT sum(a), count(*) FROM copied"),
        step(&[query("COPY copied FROM STDIN; SELECT 9"), copy_data("9\n"), copy_done()]),
        until(b'G', 1, std::slice::from_ref(&begin)),
        step(&[copy_data("1\n"), copy_done()]),
        // Outside of a COPY its messages mean nothing.
        step(&[copy_data("1\n"), copy_done(), copy_fail("no"), query("SELECT 1")]),
    ])
    .await;
    has(&lines, "C:COPY 3");
    has(&lines, "E:57014");
    has(&lines, "E:22P02");
}

#[tokio::test]
async fn copy_in_by_the_extended_protocol() {
    let begin = unnamed("COPY copied FROM STDIN");
    check(&[
        q("CREATE TEMP TABLE copied (a int)"),
        until(b'G', 1, &[begin.clone(), flush()]),
        step(&[copy_data("1\n"), copy_done(), sync()]),
        // This Sync arrives in copy mode and is ignored.
        until(b'G', 1, &[begin.clone(), sync()]),
        step(&[copy_data("2\n"), sync(), copy_data("3\n"), flush(), copy_done(), sync()]),
        until(b'G', 1, &[begin.clone(), sync()]),
        step(&[copy_data("4\n"), copy_fail("enough"), sync()]),
        until(b'G', 1, &[begin.clone(), sync()]),
        step(&[copy_data("x\n"), copy_data("5\n"), copy_done(), sync()]),
        step(&[begin.clone(), copy_data("6\n"), copy_done(), sync()]),
        step(&[begin.clone(), copy_data("7\n"), copy_done(), unnamed("SELECT 8"), sync()]),
        q("SELECT sum(a), count(*) FROM copied"),
    ])
    .await;
}

#[tokio::test]
async fn copy_out() {
    let lines = check(&[
        q("COPY (SELECT generate_series(1, 3)) TO STDOUT"),
        step(&[unnamed("COPY (SELECT generate_series(1, 3)) TO STDOUT"), sync()]),
        q("COPY (SELECT 3 / (2 - x) FROM generate_series(1, 3) x) TO STDOUT"),
        q("COPY (SELECT repeat('x', 100000) FROM generate_series(1, 5)) TO STDOUT"),
    ])
    .await;
    has(&lines, "E:22012");
}

#[tokio::test]
async fn a_function_call() {
    // 2077: current_setting(text)
    let lines = check(&[
        step(&[function(2077, "server_version_num")]),
        step(&[function(2077, "no_such_parameter")]),
        step(&[function(1, "x")]),
        q("BEGIN"),
        step(&[function(2077, "no_such_parameter")]),
        q("ROLLBACK"),
    ])
    .await;
    has(&lines, "V:");
}

#[tokio::test]
async fn transaction_status() {
    let lines = check(&[
        q("BEGIN"),
        q("SELECT 1/0"),
        q("SELECT 1"),
        step(&[unnamed("SELECT 1"), sync()]),
        q("ROLLBACK AND CHAIN"),
        q("SELECT 1"),
        q("COMMIT AND CHAIN"),
        q("SELECT 1/0"),
        q("COMMIT"),
        q("COMMIT"),
        q("BEGIN; SELECT 1; COMMIT; SELECT 2"),
        q("BEGIN; SELECT 1/0; COMMIT; SELECT 2"),
        q("ROLLBACK"),
        q("PREPARE TRANSACTION 'x'"),
        q("SELECT 1; SELECT 1/0; SELECT 2"),
    ])
    .await;
    has(&lines, "Z:E");
}

#[tokio::test]
async fn parameters_and_transactions() {
    let show = || q("SELECT current_setting('work_mem'), current_setting('application_name')");
    let steps = [
        "SET work_mem = '2MB'",
        "BEGIN",
        "SET LOCAL work_mem = '3MB'",
        "SET application_name = 'inside'",
        "ROLLBACK",
        "BEGIN",
        "SET work_mem = '5MB'",
        "SAVEPOINT s",
        "SET work_mem = '6MB'",
        "SET application_name = 'after'",
        "ROLLBACK TO s",
        "COMMIT",
        "SET work_mem = '7MB'; SELECT 1/0",
        "BEGIN; SET work_mem = '8MB'; ROLLBACK AND CHAIN",
        "SET application_name TO DEFAULT",
        "COMMIT",
        "SELECT set_config('work_mem', '9MB', true)",
        "SELECT set_config('work_mem', '10MB', false)",
        "RESET work_mem",
        "SET work_mem = '11MB'",
        "BEGIN",
        "RESET ALL",
        "SELECT 1/0",
        "COMMIT",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "INSERT INTO nothing VALUES (1)",
        "SET my.own = 'x'",
        "SELECT current_setting('my.own')",
        "RESET ALL",
        "SELECT current_setting('my.own', true), current_setting('transaction_read_only')",
        "SET work_mem = 'nonsense'",
        "SET TIME ZONE 'UTC'",
        "SET client_encoding = 'LATIN1'",
        "SELECT 'ä'",
        "DISCARD ALL",
        "SHOW timezone",
        "SET search_path = \"$user\", public, 'a b'",
        "SHOW search_path",
        "SET datestyle = 'German'",
        "SET datestyle = 'ISO'",
        "SHOW datestyle",
    ];
    let steps: Vec<Step> = steps.iter().flat_map(|sql| [q(sql), show()]).collect();
    check(&steps).await;
}

#[tokio::test]
async fn notices_and_reports_in_the_middle() {
    let lines = check(&[
        q("DO $$ BEGIN RAISE NOTICE 'a'; RAISE WARNING 'b'; END $$"),
        q("SET application_name = 'x'; DO $$ BEGIN RAISE NOTICE 'c'; END $$; SET datestyle = 'SQL'"),
        step(&[unnamed("DO $$ BEGIN RAISE NOTICE 'd'; END $$"), unnamed("ROLLBACK"), sync()]),
        q("LISTEN here"),
        q("NOTIFY here, 'once'; SELECT 1"),
        q("UNLISTEN *"),
    ])
    .await;
    has(&lines, "N:");
    has(&lines, "S:application_name");
}

#[tokio::test]
async fn long_messages() {
    let long = "x".repeat(200_000);
    let wide = format!("SELECT length('{long}')");
    check(&[
        q(&wide),
        step(&[unnamed(&wide), sync()]),
        step(&[parse("w", &wide), sync()]),
        step(&[bind("", "w", &[]), execute("", 0), sync()]),
        step(&[
            parse("", "SELECT length($1::text)"),
            bind("", "", &[&long]),
            execute("", 0),
            sync(),
        ]),
        step(&[parse("l", "SELECT length($1::text)"), sync()]),
        step(&[bind("", "l", &[&long]), execute("", 0), sync()]),
        q("SELECT repeat('y', 3000000)"),
        q(&format!("DO $$ BEGIN RAISE EXCEPTION '{long}'; END $$")),
        q(&format!("DO $$ BEGIN RAISE NOTICE '{long}'; END $$")),
        q(&format!("SET my.long = '{long}'")),
        q("SELECT length(current_setting('my.long'))"),
    ])
    .await;
}

#[tokio::test]
async fn an_error_at_the_very_end_of_an_implicit_transaction() {
    check(&[
        q("CREATE TEMP TABLE once (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
        q("INSERT INTO once VALUES (1), (1)"),
        step(&[
            unnamed("SET application_name = 'gone'"),
            unnamed("INSERT INTO once VALUES (2), (2)"),
            sync(),
        ]),
        q("SHOW application_name"),
        q("BEGIN; INSERT INTO once VALUES (3), (3)"),
        q("COMMIT"),
        q("SELECT count(*) FROM once"),
    ])
    .await;
}

#[tokio::test]
async fn sql_level_statements_and_cursors() {
    check(&[
        q("PREPARE p AS SELECT 1"),
        q("EXECUTE p"),
        step(&[unnamed("EXECUTE p"), sync()]),
        step(&[bind("", "p", &[]), execute("", 0), sync()]),
        q("DEALLOCATE p"),
        q("DECLARE c CURSOR FOR SELECT 1"),
        q("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT"),
        q("FETCH 2 FROM c"),
        q("CLOSE c"),
        q("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 3)"),
        step(&[execute("c", 2), sync()]),
        q("FETCH ALL FROM c"),
        q("COMMIT"),
    ])
    .await;
}
