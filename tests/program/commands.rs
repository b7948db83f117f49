//! `tidegate status`, `nodes`, `routes`, `events`, `explain`, `console`, `top`, `doctor`: asked of a
//! running proxy in front of real servers.

use crate::support::ask::until;
use crate::support::program::Program;
use crate::support::proxy::proxy;
use crate::support::{Cluster, cluster};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

/// Starts a proxy; its configuration then says where it really listens.
async fn start(servers: &Cluster) -> Program {
    let text = proxy(servers).text();
    let program = Program::start(&text).await;
    let mut real = text;
    for listener in ["postgres", "console"] {
        let any = format!("{listener} = \"127.0.0.1:0\"");
        assert!(real.contains(&any), "{real}");
        real = real.replace(&any, &format!("{listener} = \"{}\"", program.address(listener)));
    }
    std::fs::write(program.config(), real).expect("a configuration");
    program
}

/// Runs the program with `-c` of the running one.
fn run(program: &Program, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).arg("-c").arg(program.config()).stdin(Stdio::null());
    command.output().expect("the program")
}

fn said(program: &Program, arguments: &[&str]) -> String {
    let out = run(program, arguments);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(out.stdout).expect("UTF-8")
}

fn json(program: &Program, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&said(program, &all)).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_proxy_is_looked_at_and_told_from_the_command_line() {
    let servers = cluster().replicas(1).start().await.expect("a cluster");
    let program = start(&servers).await;
    let client = program.connect().await;
    for _ in 0..3 {
        client.simple_query("SELECT 42").await.expect("a read");
    }
    until("the replica's role", || async { said(&program, &["nodes"]).contains("replica") }).await;
    let nodes = json(&program, &["nodes"]);
    assert_eq!(
        (nodes[0]["node"].as_str(), nodes[0]["role"].as_str()),
        (Some("a"), Some("primary"))
    );
    assert!(nodes[0]["weight"] == 1, "numbers are numbers: {nodes}");

    let status = said(&program, &["status"]);
    assert!(status.starts_with("Tidegate 0.1.0, up ") && status.contains("serving"), "{status}");
    assert_eq!(json(&program, &["status"])["well"], true);
    let routes = json(&program, &["routes", "--limit", "1"]);
    assert_eq!(routes.as_array().map(Vec::len), Some(1), "{routes}");
    assert!(said(&program, &["events"]).contains("test.b: replica instead of unknown"));
    let top = said(&program, &["top"]);
    assert!(top.contains("test.b") && top.contains("SELECT"), "{top}");

    let read = said(&program, &["explain", "SELECT 1", "--user", "postgres"]);
    assert!(read.contains("Route: b ("), "{read}");
    let write = said(&program, &["explain", "DELETE FROM pg_class", "--user", "postgres"]);
    assert!(write.contains("Route: a ("), "{write}");

    assert_eq!(said(&program, &["console", "DRAIN", "test.b"]), "");
    let drained = json(&program, &["console", "SHOW NODES WHERE reason LIKE 'drained%'"]);
    assert_eq!(drained[0]["node"], "b");
    let wrong = run(&program, &["console", "SHOW NODE"]);
    let errors = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        !wrong.status.success() && errors.contains("hint: Did you mean SHOW NODES?"),
        "{errors}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_a_primary_is_not_well_and_one_that_is_not_there_is_told() {
    let servers = cluster().start().await.expect("a server");
    let program = start(&servers).await;
    servers.primary().kill();
    until("no primary", || async { !run(&program, &["status"]).status.success() }).await;
    let out = run(&program, &["status"]);
    let status = String::from_utf8_lossy(&out.stdout);
    assert!(status.contains("cluster test has no primary"), "{status}");
    let gone = tempfile::tempdir().expect("a folder");
    let file = gone.path().join("tidegate.toml");
    let told = |port: u16| {
        let door = format!("console = \"127.0.0.1:{port}\"");
        let text = proxy(&servers).text().replacen("console = \"127.0.0.1:0\"", &door, 1);
        std::fs::write(&file, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let out = command.arg("nodes").arg("-c").arg(&file).output().expect("the program");
        String::from_utf8(out.stderr).expect("UTF-8")
    };
    // One that accepts and says nothing, then one that is closed.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let reached = format!("the console at 127.0.0.1:{port} cannot be reached: ");
    let errors = told(port);
    assert!(errors.contains(&format!("{reached}no answer within 10s")), "{errors}");
    drop(silent);
    let errors = told(port);
    assert!(errors.contains(&format!("{reached}Connection refused")), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_what_would_be_better_and_how() {
    let servers = cluster().replicas(1).conf("hot_standby_feedback", "off").start().await;
    let servers = servers.expect("a cluster");
    let program = start(&servers).await;
    let told = said(&program, &["doctor"]);
    assert!(told.contains("advice: test.b: hot_standby_feedback is off"), "{told}");
    let hint = "  hint: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();";
    assert!(told.lines().any(|line| line == hint), "{told}");
    assert!(!told.contains("test.a: hot_standby_feedback"), "{told}");
    // What it says, copied into psql, mends what it named.
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
    psql.args(["-h", "127.0.0.1", "-p", &servers.replica(0).port().to_string()]);
    let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql");
    let said_to_it = hint.trim_start().trim_start_matches("hint: ").as_bytes().to_vec();
    psql.stdin.take().expect("its input").write_all(&said_to_it).expect("a command");
    assert!(psql.wait().expect("an end").success());
    until("a doctor who is content", || async {
        !said(&program, &["doctor"]).contains("hot_standby_feedback")
    })
    .await;
    let shells =
        Command::new(env!("CARGO_BIN_EXE_tidegate")).args(["completions", "bash"]).output();
    let shells = String::from_utf8(shells.expect("the program").stdout).expect("UTF-8");
    assert!(shells.contains("complete -F _tidegate"), "{shells}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_screen_ends_with_a_key_and_without_a_terminal_it_is_said_once() {
    let servers = cluster().start().await.expect("a server");
    let program = start(&servers).await;
    let once = said(&program, &["top"]);
    assert!(once.contains("test.a") && !once.contains('\x1b'), "{once}");
    // A terminal of util-linux's.
    let asked = format!("{} top -c {}", env!("CARGO_BIN_EXE_tidegate"), program.config().display());
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &asked, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().expect("script, of util-linux");
    let mut shown = terminal.stdout.take().expect("its output");
    let mut seen = String::new();
    while seen.matches("q ends").count() < 2 {
        let mut chunk = [0; 4096];
        let read = shown.read(&mut chunk).expect("a screen");
        assert!(read > 0, "it ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    assert!(seen.contains("\x1b[?25l"), "the cursor is in the way: {seen}");
    let mut keys = terminal.stdin.take().expect("its keys");
    keys.write_all(b"xq").expect("keys");
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("the end");
    assert!(rest.contains("\x1b[?25h"), "the cursor does not come back: {rest}");
    assert!(terminal.wait().expect("an end").success());
}
