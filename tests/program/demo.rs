//! `tidegate demo` as a user runs it: the real binary, and what it leaves behind.

use crate::support::cluster;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A folder for temporary files that only this demo uses, so that what it leaves is its own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = tempfile::tempdir().expect("a folder");
        // The servers run as another user, who has to get through.
        fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a folder open to all");
        Place(place)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("demo").args(arguments).env("TMPDIR", self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// No file, and no process that works in this folder or was told of it.
    fn assert_empty(&self) {
        let files: Vec<_> = fs::read_dir(self.path()).expect("the folder").flatten().collect();
        assert!(files.is_empty(), "left behind: {files:?}");
        let here = self.path().to_str().expect("UTF-8");
        for process in fs::read_dir("/proc").expect("/proc").flatten() {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            let works_in = fs::read_link(process.path().join("cwd")).unwrap_or_default();
            let ours = arguments.contains(here) || works_in.starts_with(here);
            assert!(!ours, "process {:?} is still there: {arguments}", process.file_name());
        }
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("a child to signal");
}

/// Everything the process says and how it ends; `first` was read already.
fn ended(child: Child, first: &str) -> (Output, String) {
    let output = child.wait_with_output().expect("a child that ends");
    let text = format!(
        "{first}{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, text)
}

fn check(engine: &str) {
    let place = Place::new();
    let (output, text) =
        ended(place.command(&[engine, "--check"]).spawn().expect("the program"), "");
    assert!(output.status.success(), "{text}");
    for seen in ["reads left c", "reads came back", "no client saw an error", " 0 errors"] {
        assert!(text.contains(seen), "no {seen:?} in:\n{text}");
    }
    place.assert_empty();
}

#[test]
fn the_check_passes_and_leaves_nothing_behind() {
    check("postgres");
}

#[test]
fn the_check_of_mariadb_passes_and_leaves_nothing_behind() {
    check("mariadb");
}

#[test]
fn without_a_terminal_a_line_a_second_is_shown_until_an_interrupt() {
    let place = Place::new();
    let mut child = place.command(&[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut text = String::new();
    let live = lines.by_ref().find(|line| {
        text.push_str(&format!("{line}\n"));
        line.contains("% of reads")
    });
    if live.is_some() {
        signal(&child, rustix::process::Signal::INT);
    }
    text.extend(lines.map(|line| format!("{line}\n")));
    let (output, text) = ended(child, &text);
    assert!(output.status.success(), "{text}");
    for seen in ["psql -h 127.0.0.1 -p ", "/metrics", "a primary", "b replica", "transactions"] {
        assert!(text.contains(seen), "no {seen:?} in:\n{text}");
    }
    place.assert_empty();
}

/// Waits for the first file of the servers, then ends the demo in the middle of its start.
#[test]
fn a_demo_that_is_ended_while_it_starts_leaves_nothing_behind() {
    let has_begun: [fn(&Path) -> bool; 3] = [
        |path| path.join("data").exists(),
        |path| path.join("data/base/1").exists(),
        |path| path.join("b").exists(),
    ];
    for begun in has_begun {
        let place = Place::new();
        let mut child = place.command(&["--check"]).spawn().unwrap();
        let folders = || fs::read_dir(place.path()).unwrap().flatten();
        while !folders().any(|folder| begun(&folder.path())) {
            let over = child.try_wait().unwrap();
            assert!(over.is_none(), "it ended before it began: {over:?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        signal(&child, rustix::process::Signal::TERM);
        let (output, text) = ended(child, "");
        assert!(!output.status.success() && text.contains("interrupted"), "{text}");
        place.assert_empty();
    }
}

#[tokio::test]
async fn a_demo_whose_defaults_are_taken_listens_elsewhere() {
    // Whoever holds these ports now, they are taken.
    let _taken: Vec<_> = [6432, 6433, 6480]
        .iter()
        .filter_map(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).ok())
        .collect();
    let place = Place::new();
    let mut child = place.command(&["--check"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut lines = lines;
    let shown = lines.by_ref().find(|line| line.contains("the proxy listens"));
    signal(&child, rustix::process::Signal::TERM);
    let rest: Vec<String> = lines.collect();
    let (_, text) = ended(child, &rest.join("\n"));
    let shown = shown.unwrap_or_else(|| panic!("no ports are shown:\n{text}"));
    for port in [":6432", ":6433", ":6480"] {
        assert!(!shown.contains(port), "{shown}");
    }
    place.assert_empty();
}

#[test]
fn without_postgresql_it_says_how_to_get_it() {
    let place = Place::new();
    let output = place.command(&["--check"]).env("TIDEGATE_PG_BIN", "/nowhere").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("apt-get install -y postgresql"), "{text}");
    place.assert_empty();
}

/// The servers of the demo are in process groups of their own, so a terminal's Ctrl-C ends them
/// in order, by the demo alone.
#[tokio::test]
async fn servers_are_not_in_the_process_group_of_this_process() {
    let servers = cluster().start().await.unwrap();
    let pid = i32::try_from(servers.primary().pid().unwrap()).unwrap();
    let group = |pid| rustix::process::getpgid(pid).unwrap();
    assert_ne!(group(rustix::process::Pid::from_raw(pid)), group(None));
}

#[test]
fn output_that_nobody_reads_ends_the_demo() {
    let place = Place::new();
    let mut child = place.command(&[]).spawn().unwrap();
    let mut first = [0; 1];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).unwrap();
    drop(out);
    let (_, text) = ended(child, "");
    assert!(!text.contains("panicked"), "{text}");
    place.assert_empty();
}
