//! What the process may do and what it tells: its user, core dumps, slow statements.

use crate::support::cluster;
use crate::support::program::Program;
use crate::support::proxy::proxy;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

fn of_process(program: &Program, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", program.pid())).expect("the process")
}

/// The words of a line of `/proc/PID/FILE`.
fn line(program: &Program, file: &str, start: &str) -> Vec<String> {
    let text = of_process(program, file);
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("{start}: {text}")).split_whitespace().map(Into::into).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_root_started_becomes_its_user_and_leaves_no_core() {
    let servers = cluster().start().await.expect("a server");
    let text = proxy(&servers).text();
    let program = Program::start(&format!("user = \"nobody\"\n{text}")).await;
    assert_eq!(line(&program, "status", "Uid:"), ["65534"; 4]);
    assert!(!line(&program, "status", "Groups:").contains(&"0".to_owned()));
    assert_eq!(line(&program, "limits", "Max core file size")[0], "0");
    // What is not dumpable belongs to root.
    let owner = std::fs::metadata(format!("/proc/{}/maps", program.pid())).expect("a file").uid();
    assert_eq!(owner, 0);
    let client = program.connect().await;
    client.simple_query("SELECT 1").await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_become_another_is_told_so() {
    let servers = cluster().start().await.expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("a folder that all may read");
    let file = folder.path().join("tidegate.toml");
    let told = |user: &str, as_whom: &str| {
        let text = format!("user = \"{user}\"\n{}", proxy(&servers).text());
        std::fs::write(&file, text).expect("a configuration");
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={as_whom}"), "--clear-groups", "--"]);
        command.arg(env!("CARGO_BIN_EXE_tidegate")).args(["run", "-c"]).arg(&file);
        let out = command.stdin(Stdio::null()).output().expect("the program");
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let why = told("daemon", "nobody");
    assert!(why.contains("user = \"daemon\" needs a start as root"), "{why}");
    assert!(why.contains("hint: leave user out"), "{why}");
    let why = told("nobody-of-this-name", "root");
    assert!(why.contains("there is no such user on this machine"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_statements_are_logged_by_their_shape_once_somebody_asks_for_it() {
    let servers = cluster().start().await.expect("a server");
    let program = Program::start(&proxy(&servers).text()).await;
    let client = program.connect().await;
    let asked = "SELECT pg_sleep(0.05), 'my secret'";
    client.simple_query(asked).await.expect("an answer");
    assert!(!program.said().contains("slow statement"), "{}", program.said());
    program.admin("SET clusters.test.log_slow = '1ms'").await;
    client.simple_query(asked).await.expect("an answer");
    program.until_said("slow statement").await;
    let said = program.said();
    let line = said.lines().find(|line| line.contains("slow statement")).expect("a line");
    for part in
        ["cluster=\"test\"", "node=\"a\"", "reason=", "wait_ms=", "user=\"postgres\"", "pg_sleep"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!said.contains("my secret"), "{said}");
}
