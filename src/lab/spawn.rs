//! Starts programs that must not outlive this process, not even when it is killed.
//!
//! The kernel's parent-death signal follows the *thread* that forked the child, so every child
//! is started by one thread that lives as long as the process does.

use super::{LabError, tree};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    started: oneshot::Sender<io::Result<Child>>,
}

/// A command that dies with this process: `program` as user `user`, or as the own one.
pub(super) fn bound(program: &std::path::Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if let Some(user) = user {
        command.args([format!("--reuid={user}"), format!("--regid={user}")]);
        command.arg("--init-groups");
    }
    command.arg(program);
    command
}

/// Starts `command` from the thread that never ends, in a process group of its own: Ctrl-C in a
/// terminal reaches this process, which then ends its children in order.
pub(super) async fn start(mut command: Command) -> io::Result<Child> {
    command.process_group(0);
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for mut order in queue {
                // Whoever asked may be gone; then the child is reaped right here.
                if let Err(Ok(mut child)) = order.started.send(order.command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        orders
    });
    let (started, answer) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts programs is gone");
    starter.send(Order { command, started }).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// Runs `command` to its end; what it said is the answer, or the error's text when it fails.
pub(super) async fn run(mut command: Command) -> Result<String, LabError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let child = start(command).await.map_err(LabError::io(format!("run {shown}")))?;
    let group = Group(Some(child.id()));
    let waited = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    group.ended();
    let output = waited
        .map_err(io::Error::other)
        .and_then(|output| output)
        .map_err(LabError::io(format!("wait for {shown}")))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(LabError::Command {
            command: shown,
            status: output.status.to_string(),
            output: text,
        }),
    }
}

/// The process group of a program that is killed when nobody waits for its end any more, so that
/// it writes nothing into a folder that is about to be removed.
struct Group(Option<u32>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            tree::kill_group(leader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_is_gone_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = bound(Path::new("/bin/sh"), None);
        command.current_dir(folder.path()).args(["-c", "sleep 600 & echo $! >child; wait"]);
        let file = folder.path().join("child");
        let started = async {
            while !std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = run(command) => panic!("it ended: {ended:?}"),
            () = started => {}
        }
        let child = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert!(!tree::is_alive(child));
    }
}
