//! Random conversations, side by side on a server and through the proxy: the frames must be equal.

use crate::shared;
use crate::support::proxy::proxy;
use crate::wire::*;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Statements of every kind that changes what a session is.
const SQL: &[&str] = &[
    "SELECT 1",
    "SELECT 'two'",
    "SELECT 3",
    "SELECT 4",
    "SELECT 1/0",
    "SELEC",
    "",
    "SELECT generate_series(1, 4)",
    "BEGIN",
    "BEGIN READ ONLY",
    "COMMIT",
    "ROLLBACK",
    "ROLLBACK AND CHAIN",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "SET application_name = 'x'",
    "SET LOCAL application_name = 'y'",
    "SHOW application_name",
    "SET work_mem = '1MB'",
    "SET work_mem = '2MB'",
    "SET LOCAL work_mem = '3MB'",
    "SET work_mem = 'nonsense'",
    "SHOW work_mem",
    "RESET work_mem",
    "RESET ALL",
    "DISCARD ALL",
    "DISCARD PLANS",
    "DEALLOCATE ALL",
    "DEALLOCATE a",
    "DEALLOCATE b",
    "SELECT count(*) FROM pg_prepared_statements WHERE false",
];

const NAMES: &[&str] = &["a", "b", "c", ""];

fn message() -> impl Strategy<Value = Vec<u8>> {
    let pick = |from: &'static [&'static str]| (0..from.len()).prop_map(move |i| from[i]);
    prop_oneof![
        4 => (pick(NAMES), pick(SQL)).prop_map(|(name, sql)| parse(name, sql)),
        4 => pick(SQL).prop_map(unnamed),
        4 => pick(NAMES).prop_map(|name| [bind("", name, &[]), execute("", 0)].concat()),
        1 => pick(NAMES).prop_map(|name| [bind("p", name, &[]), execute("p", 2)].concat()),
        1 => Just(execute("p", 1)),
        1 => Just(describe('P', "p")),
        1 => Just(close('P', "p")),
        2 => pick(NAMES).prop_map(|name| describe('S', name)),
        2 => pick(NAMES).prop_map(|name| close('S', name)),
        1 => Just(flush()),
    ]
}

/// What is answered by one ReadyForQuery.
fn batch() -> impl Strategy<Value = Vec<u8>> {
    let simple = (0..SQL.len(), 0..SQL.len(), 0..4_usize).prop_map(|(a, b, both)| match both {
        // A text that deallocates among others is passed on as it is: see `named_in_sql`.
        0 if !named_in_sql(SQL[a]) && !named_in_sql(SQL[b]) => {
            query(&format!("{};{}", SQL[a], SQL[b]))
        }
        _ => query(SQL[a]),
    });
    let extended = proptest::collection::vec(message(), 0..6);
    prop_oneof![2 => simple, 3 => extended.prop_map(|m| [m.concat(), sync()].concat())]
}

/// It names a prepared statement inside a text of several, where servers know another name.
fn named_in_sql(sql: &str) -> bool {
    sql.starts_with("DEALLOCATE ") && !sql.ends_with("ALL")
}

/// Two names of a session for the same text are one statement on servers, so that a message may
/// mention the other one.
fn told(frames: &[Frame]) -> Vec<String> {
    let names_a_statement = |line: &String| line.contains("prepared statement \"");
    let brief = brief(frames).into_iter();
    brief.map(|l| if names_a_statement(&l) { l[..7].to_owned() } else { l }).collect()
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Two clients in turns, so that each finds its server connection changed by the other.
async fn converse(
    seed: u64,
    rounds: usize,
    server: std::net::SocketAddr,
    through: std::net::SocketAddr,
) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut direct = [Wire::start(server).await, Wire::start(server).await];
    let mut proxied = [Wire::start(through).await, Wire::start(through).await];
    let mut said = Vec::new();
    let strategy = (0..2_usize, batch());
    for _ in 0..rounds {
        let (who, bytes) = strategy.new_tree(&mut runner).expect("a batch").current();
        said.push(format!("{who}: {}", show(&bytes)));
        let expected = told(&direct[who].ask(&bytes).await);
        proxied[who].send(&bytes).await;
        let got =
            tokio::time::timeout(std::time::Duration::from_secs(10), proxied[who].until_ready());
        let got = got.await.map(|frames| told(&frames)).unwrap_or_else(|_| vec!["hangs".into()]);
        let history = || said.join("\n");
        assert_eq!(got, expected, "seed {seed}, left: the proxy, after\n{}", history());
        // A transaction must not keep the other client waiting for the only server connection.
        if expected.last().is_some_and(|l| l != "Z:I") && said.len() % 3 == 0 {
            for wire in [&mut direct[who], &mut proxied[who]] {
                wire.ask(&query("ROLLBACK")).await;
            }
            said.push(format!("{who}: ROLLBACK"));
        }
    }
}

#[tokio::test]
async fn random_conversations_are_the_same_with_and_without_the_proxy() {
    let seeds = std::env::var("TIDEGATE_TEST_SEEDS").ok().and_then(|s| s.parse().ok());
    let first = std::env::var("TIDEGATE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let servers = shared::single().await;
    let server = servers.primary().address().parse().expect("an address");
    let running = proxy(&servers).with("pool", "max_prepared = 2\nsize = 2").start().await;
    for seed in first..first + seeds.unwrap_or(12_u64) {
        converse(seed, 120, server, running.postgres).await;
    }
}
