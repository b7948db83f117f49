//! The agent as a process of its own, as the server's user, beside one throwaway server.

use crate::support::ask::until;
use crate::support::{Cluster, Node};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate::orders::{Agent, Door};

pub(crate) const TOKEN: &str = "a-token-of-this-test";

/// A running agent; dropping it ends it, and the server that it started.
pub(crate) struct Companion {
    child: Child,
    pub(crate) address: String,
    data: PathBuf,
    /// The process that the test's cluster takes care of.
    first: Option<u32>,
}

impl Companion {
    /// Beside a server that runs; `keys`: more of the agent's configuration.
    pub(crate) async fn start(servers: &Cluster, node: &Node, keys: &str) -> Companion {
        let (folder, name) = (servers.folder(), node.name());
        let pid = node.pid().expect("a running server");
        let program = fs::read_link(format!("/proc/{pid}/exe")).expect("its program");
        let at = |file: &str| folder.join(format!("agent-{name}{file}")).display().to_string();
        fs::write(at(".token"), TOKEN).expect("a token");
        let text = format!(
            "listen = \"127.0.0.1:0\"\ntoken_file = \"{}\"\nstate_dir = \"{}\"\n{keys}\n[postgres]\n\
             data_dir = \"{}\"\nbin_dir = \"{}\"\noptions = \"-p {}\"\nlog = \"{}\"\n\
             replication_conninfo = \"user=replicator\"\n",
            at(".token"),
            at(".state"),
            node.data().display(),
            program.parent().expect("a folder").display(),
            node.port(),
            at(".server.log"),
        );
        fs::write(at(".toml"), text).expect("a configuration");
        let log = File::create(at(".log")).expect("a log");
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=KILL");
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        command.arg(env!("CARGO_BIN_EXE_tidegate")).args(["agent", "-c", &at(".toml")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let mut child = command.spawn().expect("the program");
        let said = || fs::read_to_string(at(".log")).expect("the log");
        let address = || {
            let said = said();
            let (_, rest) = said.split_once("takes orders address=")?;
            rest.split_whitespace().next().map(str::to_owned)
        };
        until("an agent", || {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {}", said());
            async { address().is_some() }
        })
        .await;
        let address = address().expect("an address");
        Companion { child, address, data: node.data().to_owned(), first: Some(pid) }
    }

    /// For a node in the proxy's configuration.
    pub(crate) fn keys(&self) -> String {
        let (address, token) = (&self.address, self.token());
        let token = token.display();
        format!("agent = {{ url = \"http://{address}\", token_file = \"{token}\" }}")
    }

    /// The file with the token.
    pub(crate) fn token(&self) -> PathBuf {
        self.data.with_file_name(format!("agent-{}.token", self.name()))
    }

    fn name(&self) -> &str {
        self.data.file_name().and_then(|name| name.to_str()).expect("a name")
    }

    pub(crate) fn orders(&self) -> Agent {
        self.orders_with(TOKEN)
    }

    pub(crate) fn orders_with(&self, token: &str) -> Agent {
        let address = self.address.as_str().into();
        Agent::new(Door { address, token: Some(token.into()), tls: None })
    }

    /// Folders that hold what the server's data were before.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let beside = fs::read_dir(self.data.parent().expect("a folder")).expect("a folder");
        let kept = format!("{}.kept-", self.name());
        let is_kept = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&kept))
        };
        beside.flatten().map(|entry| entry.path()).filter(is_kept).collect()
    }

    /// The server that the agent started: nobody else ends it.
    fn end_server(&self) {
        let Some(pid) = postmaster(&self.data).filter(|pid| Some(*pid) != self.first) else {
            return;
        };
        let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        let _ = kill_process(process, Signal::QUIT);
        let end = Instant::now() + Duration::from_secs(10);
        while is_alive(pid) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process(process, Signal::KILL);
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end_server();
    }
}

fn postmaster(data: &Path) -> Option<u32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    let at = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (at == data).then_some(pid)
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
