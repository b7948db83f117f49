//! The files that users start from: what the README says, the container, the systemd units.

use std::io;
use std::path::Path;
use tidegate::config::{self, Config, Problems, Surroundings};

/// Every secret is there, whether as a file or as a variable.
struct Complete;

impl Surroundings for Complete {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok("hunter2\n".into())
    }
    fn variable(&self, _: &str) -> Option<String> {
        Some("hunter2".into())
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        Some(0o600)
    }
}

/// No variable is set.
struct Bare;

impl Surroundings for Bare {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        None
    }
}

fn read(text: &str, surroundings: &dyn Surroundings) -> Result<Config, Problems> {
    config::parse_in(text, "example.toml", surroundings)
}

#[test]
fn the_configuration_of_the_readme_works() {
    let readme = include_str!("../README.md");
    let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let config = read(block.unwrap(), &Complete).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.settings.clusters["orders"].nodes.len(), 2);
}

#[test]
fn the_containers_take_their_secrets_from_the_environment() {
    let postgres = (
        include_str!("../docker/postgres/tidegate.toml"),
        include_str!("../docker/postgres/compose.yaml"),
        ["MONITOR_PASSWORD", "APP_PASSWORD", "AGENT_TOKEN"].as_slice(),
    );
    let mariadb = (
        include_str!("../docker/mariadb/tidegate.toml"),
        include_str!("../docker/mariadb/compose.yaml"),
        ["MONITOR_PASSWORD", "APP_PASSWORD"].as_slice(),
    );
    for (text, compose, variables) in [postgres, mariadb] {
        assert_eq!(read(text, &Complete).unwrap().warnings, []);
        let told = read(text, &Bare).unwrap_err().to_string();
        let proxy = compose.split("\n  tidegate:\n").nth(1).unwrap();
        for variable in variables {
            assert!(told.contains(&format!("variable {variable} is not set")), "{told}");
            assert!(proxy.contains(&format!("{variable}: ${{{variable}:?}}")));
        }
    }
}

#[test]
fn the_configurations_in_kubernetes_work() {
    let files = [
        include_str!("../docker/kubernetes/tidegate.yaml"),
        include_str!("../docker/kubernetes/sidecar.yaml"),
    ];
    for manifest in files {
        let (_, text) = manifest.split_once("  tidegate.toml: |\n").expect("a ConfigMap");
        let (text, _) = text.split_once("---").expect("the next manifest");
        let config = read(text, &Complete).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(config.warnings, []);
        assert_eq!(config.settings.clusters["orders"].nodes.len(), 3);
    }
}

#[test]
fn the_sockets_of_systemd_are_the_default_ports() {
    let least = "[clusters.a]\nnodes = [{ name = \"a\", address = \"db:5432\" }]\n\
                 monitor.user = \"m\"\nauth.users.app.password_file = \"app\"";
    let listen = read(least, &Complete).unwrap().settings.listen;
    let doors = [listen.postgres, listen.console, listen.http];
    let expected: Vec<String> = doors.map(|door| door.address().unwrap().to_string()).into();
    let unit = include_str!("../config/tidegate.socket");
    let found: Vec<&str> = unit.lines().filter_map(|l| l.strip_prefix("ListenStream=")).collect();
    assert_eq!(found, expected);
}
