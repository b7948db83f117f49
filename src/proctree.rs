//! A server process and its children. PostgreSQL puts every child into a session of its own, so
//! a process group does not reach them: the tree is read from `/proc`.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::time::{Duration, Instant};

/// Parent and process group. `None` when there is no such process, or it is dead and only waits to
/// be reaped.
fn kin(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces and parentheses itself.
    let mut after = stat.rsplit_once(')')?.1.split_whitespace();
    let state = after.next()?;
    let kin = (after.next()?.parse().ok()?, after.next()?.parse().ok()?);
    (state != "Z" && state != "X").then_some(kin)
}

fn parent(pid: u32) -> Option<u32> {
    kin(pid).map(|(parent, _)| parent)
}

pub(crate) fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

pub(crate) fn is_alive(pid: u32) -> bool {
    parent(pid).is_some()
}

/// The direct children of a process, as far as they are alive.
pub(crate) fn children(of: u32) -> Vec<u32> {
    all().filter(|pid| parent(*pid) == Some(of)).collect()
}

/// Sends a signal; one who is gone already needs none.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Stops a process and its children where they stand. The parent first: it makes no more then.
pub(crate) fn freeze(root: u32) {
    signal(root, Signal::STOP);
    for child in children(root) {
        signal(child, Signal::STOP);
    }
}

pub(crate) fn thaw(root: u32) {
    for child in children(root) {
        signal(child, Signal::CONT);
    }
    signal(root, Signal::CONT);
}

/// Kills a process and its children at once, as a power cut would. Answers with the children,
/// who may take a moment to vanish.
pub(crate) fn kill(root: u32) -> Vec<u32> {
    signal(root, Signal::STOP);
    let all = children(root);
    for child in &all {
        signal(*child, Signal::KILL);
    }
    signal(root, Signal::KILL);
    all
}

/// Kills the process group of this leader; its processes are gone when this returns.
pub(crate) fn kill_group(leader: u32) {
    let group = i32::try_from(leader).ok().and_then(Pid::from_raw);
    if group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok()) {
        let members: Vec<u32> =
            all().filter(|pid| kin(*pid).is_some_and(|(_, group)| group == leader)).collect();
        wait_gone(&members, Duration::from_secs(5));
    }
}

/// Waits until none of these processes is alive; false when `within` did not suffice.
pub(crate) fn wait_gone(pids: &[u32], within: Duration) -> bool {
    let end = Instant::now() + within;
    while pids.iter().any(|pid| is_alive(*pid)) {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
