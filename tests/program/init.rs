//! `tidegate init` on real servers: one address is enough.

use crate::support::cluster;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn tidegate(arguments: &[&str], folder: &Path) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let out = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let out = out.expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (out.status.success(), text(out.stdout), text(out.stderr))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn addresses(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("tidegate.toml")).expect("a configuration");
    let read: toml::Table = text.parse().expect("TOML");
    let nodes = read["clusters"]["main"]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().map(|node| node["address"].as_str().expect("an address").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_postgres_leads_to_its_primary() {
    let servers = cluster().replicas(2).start().await.expect("a cluster");
    servers.streaming(2).await.expect("replicas");
    let home = folder();
    let at = |node: usize| format!("127.0.0.1:{}", servers.ports()[node]);
    let from = at(1);
    let arguments = ["init", "--server", &from, "--user", "postgres"];
    let (done, _, told) = tidegate(&arguments, home.path());
    assert!(done, "{told}");
    assert_eq!(addresses(home.path()), [at(0), at(1)]);
    // The other replica listens where nobody can tell, and is asked for.
    assert!(told.contains("not found: ") && told.contains("by another --server"), "{told}");
    let (fine, _, problems) = tidegate(&["check", "--connect", "-c", "tidegate.toml"], home.path());
    assert!(fine, "{problems}");

    let (again, _, told) = tidegate(&arguments, home.path());
    assert!(!again && told.contains("is there already"), "{told}");
    let all = ["init", "--force", "--server", &from, "--server", &at(2), "--user", "postgres"];
    let (done, _, told) = tidegate(&all, home.path());
    assert!(done && !told.contains("not found"), "{told}");
    assert_eq!(addresses(home.path()), [at(0), at(1), at(2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_mariadb_leads_to_all_others() {
    let servers = tidegate::lab::mariadb::cluster().replicas(2).start().await.expect("a cluster");
    servers.caught_up().await.expect("replicas");
    let home = folder();
    let at = |node: usize| format!("127.0.0.1:{}", servers.ports()[node]);
    let from = at(2);
    let arguments = ["init", "--engine", "mariadb", "--server", &from, "--user", "root"];
    let (done, _, told) = tidegate(&arguments, home.path());
    assert!(done, "{told}");
    let mut found = addresses(home.path());
    assert_eq!(found.first(), Some(&at(0)), "the primary first: {told}");
    found.sort();
    let mut all = vec![at(0), at(1), at(2)];
    all.sort();
    assert_eq!(found, all, "{told}");
    let (fine, _, problems) = tidegate(&["check", "--connect", "-c", "tidegate.toml"], home.path());
    assert!(fine, "{problems}");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let home = folder();
    let (done, _, told) = tidegate(&["init"], home.path());
    assert!(!done && told.contains("--server HOST:PORT is needed"), "{told}");
    let (done, _, told) =
        tidegate(&["init", "--server", "127.0.0.1:1", "--user", "x"], home.path());
    assert!(!done && told.contains("127.0.0.1:1: "), "{told}");
    assert!(!home.path().join("tidegate.toml").exists());
}
