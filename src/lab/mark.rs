//! The System V memory that a killed postmaster leaves behind as its mark.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Frees the mark of the server whose data folder this is, if it is still there.
pub(super) fn remove(data: &Path) {
    let Ok(pidfile) = fs::read_to_string(data.join("postmaster.pid")) else { return };
    let Ok(table) = fs::read_to_string("/proc/sysvipc/shm") else { return };
    if let Some(id) = abandoned(&pidfile, &table) {
        let _ = Command::new("ipcrm").args(["-m", id]).output();
    }
}

/// The same for all servers whose data folders lie directly in `folder`.
pub(super) fn remove_below(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        remove(&entry.path());
    }
}

/// The segment that `pidfile` names, when `table` says that this very server made it and nobody
/// uses it. Numbers are given out again, so the name alone proves nothing.
fn abandoned<'a>(pidfile: &'a str, table: &str) -> Option<&'a str> {
    let server = pidfile.lines().next()?.trim();
    let id = pidfile.lines().nth(6)?.split_whitespace().nth(1)?;
    let unused = table.lines().any(|line| {
        // key shmid perms size cpid lpid nattch …
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields.as_slice(), [_, i, _, _, c, _, "0", ..] if *i == id && *c == server)
    });
    unused.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIDFILE: &str = "4711\n/data\n1\n5432\n/tmp\n127.0.0.1\n  9973  42\nready\n";

    fn table(id: u32, creator: u32, attached: u32) -> String {
        format!(
            "key shmid perms size cpid lpid nattch uid\n\
             9973 {id} 600 56 {creator} 4712 {attached} 101\n"
        )
    }

    #[test]
    fn a_mark_is_removed_when_its_own_server_left_it() {
        assert_eq!(abandoned(PIDFILE, &table(42, 4711, 0)), Some("42"));
    }

    #[test]
    fn a_segment_in_use_or_of_somebody_else_stays() {
        assert_eq!(abandoned(PIDFILE, &table(42, 4711, 1)), None);
        assert_eq!(abandoned(PIDFILE, &table(42, 99, 0)), None);
        assert_eq!(abandoned(PIDFILE, &table(43, 4711, 0)), None);
        assert_eq!(abandoned("", &table(42, 4711, 0)), None);
    }
}
