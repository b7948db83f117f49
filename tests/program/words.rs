//! What the program says of itself: errors by their numbers, manual pages, exit codes.

use std::process::{Command, Output, Stdio};

fn tidegate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program")
}

fn said(arguments: &[&str]) -> String {
    let out = tidegate(arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

#[test]
fn an_error_is_explained_by_its_number() {
    let told = said(&["explain", "TG0203"]);
    assert!(told.starts_with("TG0203: no server connection became free"), "{told}");
    assert!(told.contains("SQLSTATE 53300, MySQL 1040"), "{told}");
    assert!(told.contains("cause: ") && told.contains("cure:  "), "{told}");
    let all = said(&["explain", "--errors"]);
    assert!(all.contains("\n## TG0101\n") && all.contains("\n## TG0915\n"));
    let unknown = tidegate(&["explain", "TG9999"]);
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.status.code() == Some(1) && told.contains("--errors prints all"), "{told}");
    let alone = tidegate(&["explain", "SELECT 1"]);
    let told = String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.code() == Some(1) && told.contains("hint: name its file by -c"), "{told}");
}

#[test]
fn manual_pages_have_the_commands_and_the_exit_codes() {
    let page = said(&["man"]);
    for part in [".TH tidegate 1", ".SH SUBCOMMANDS", "EXIT STATUS", "0  done", ".SH FILES"] {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
    let page = said(&["man", "backup", "now"]);
    assert!(
        page.contains("tidegate\\-backup\\-now") || page.contains("tidegate-backup-now"),
        "{page}"
    );
    assert_eq!(tidegate(&["man", "nonsense"]).status.code(), Some(1));
}

#[test]
fn exit_codes_are_what_help_says() {
    let help = said(&["--help"]);
    assert!(help.contains("Exit codes:\n  0  done"), "{help}");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let code = |arguments: &[&str]| tidegate(arguments).status.code();
    assert_eq!(code(&["version"]), Some(0));
    assert_eq!(code(&["reference"]), Some(0));
    assert_eq!(code(&["check", "-c", path]), Some(1), "a configuration without clusters");
    assert_eq!(code(&["run", "-c", path]), Some(1));
    assert_eq!(code(&["status", "-c", "/nowhere"]), Some(1));
    assert_eq!(code(&["nonsense"]), Some(2));
    assert_eq!(code(&["run"]), Some(2), "without a configuration");
    assert_eq!(code(&["wal", "fetch", "-c", path, "--cluster", "x", "f", "t"]), Some(200));
}
