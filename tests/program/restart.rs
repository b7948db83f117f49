//! Stop, restart and reload of the real binary, with clients that are there all the time.

use crate::support::{Cluster, cluster};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config, NoTls};

const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration file that belongs to a cluster.
struct Setup {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// `top` goes before the tables, `listen` into `[listen]`.
fn setup(servers: &Cluster, top: &str, listen: &str) -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup { file: folder.path().join("tidegate.toml"), _folder: folder };
    setup.write(servers, top, listen, "");
    setup
}

impl Setup {
    fn write(&self, servers: &Cluster, top: &str, listen: &str, cluster: &str) {
        let nodes: Vec<String> = servers
            .nodes()
            .iter()
            .map(|n| format!("{{ name = \"{}\", address = \"{}\" }}", n.name(), n.address()))
            .collect();
        let text = format!(
            "{top}\n[listen]\n{listen}\n[clusters.test]\nnodes = [{}]\n{cluster}\n\
             monitor = {{ user = \"postgres\" }}\nauth = {{ method = \"trust\" }}\n",
            nodes.join(", ")
        );
        std::fs::write(&self.file, text).expect("a file");
    }

    fn run(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["run", "-c"]).arg(&self.file);
        Running::start(command)
    }

    /// Passes a listening socket on, as systemd does.
    fn run_with(&self, socket: &TcpListener, notify: &str) -> Running {
        let mut command = Command::new("sh");
        let inherit = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        command.args(["-c", inherit, "sh", env!("CARGO_BIN_EXE_tidegate"), "run", "-c"]);
        command.arg(&self.file).env("NOTIFY_SOCKET", notify);
        let socket = socket.try_clone().expect("a second handle");
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
        Running::start(command)
    }
}

/// A running proxy; killed when a test fails.
struct Running {
    child: Child,
    log: std::sync::mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a process");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (line, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|l| line.send(l)));
        Running { child, log, seen: Vec::new() }
    }

    /// Waits for a line of the log.
    fn says(&mut self, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("it never said {what:?}, but:\n{}", self.seen.join("\n"))
            };
            self.seen.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Where it listens for applications, or as the console.
    fn listening(&mut self, listener: &str) -> SocketAddr {
        let line = self.says(&format!("listening name=\"{listener}\""));
        let address = line.rsplit_once("address=").expect("an address").1;
        address.trim().parse().expect("an address")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a running process");
    }

    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Waits for the end without holding up the clients of this test.
    async fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn connect(address: SocketAddr) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port()).user("postgres").dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Connects, asks, leaves, again and again, until told to stop.
struct Callers {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Result<(), String>>>,
}

impl Callers {
    fn start(address: SocketAddr) -> Callers {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let call = || {
            let (stop, calls) = (stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let client = connect(address).await.map_err(|e| format!("login: {e:?}"))?;
                    let row = client.query_one("SELECT 1 + 1", &[]).await;
                    let row = row.map_err(|e| format!("query: {e:?}"))?;
                    assert_eq!(row.get::<_, i32>(0), 2);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let tasks = (0..4).map(|_| call()).collect();
        Callers { stop, calls, tasks }
    }

    /// Waits until this many more calls were answered.
    async fn more(&mut self, calls: u64) {
        let (wanted, end) = (self.calls.load(Ordering::Relaxed) + calls, Instant::now() + PATIENCE);
        while self.calls.load(Ordering::Relaxed) < wanted {
            if let Some(at) = self.tasks.iter().position(|task| task.is_finished()) {
                panic!("a caller was refused: {:?}", self.tasks.swap_remove(at).await);
            }
            assert!(Instant::now() < end, "the callers are stuck");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The first of all that was refused.
    async fn refused(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.map_err(|e| e.to_string())??;
        }
        Ok(())
    }
}

const OWN_PORTS: &str =
    "postgres = \"127.0.0.1:0\"\nconsole = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"";

fn code(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(|code| code.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_transactions_finish_and_tells_everybody_else() {
    let servers = cluster().start().await.unwrap();
    let setup = setup(&servers, "", OWN_PORTS);
    let mut proxy = setup.run();
    let at = proxy.listening("postgres");
    let (idle, busy) = (connect(at).await.unwrap(), connect(at).await.unwrap());
    busy.batch_execute("CREATE TABLE t (n int); BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    proxy.terminate();
    proxy.says("shutting down");

    // Idle for so long that it must be told, however new it was.
    let told = async {
        while !idle.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("an idle client is sent away");
    let late = connect(at).await.expect_err("no new client");
    assert_eq!(code(&late), Some("57P01"), "{late:?}");

    busy.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    busy.batch_execute("COMMIT").await.unwrap();
    assert!(proxy.ended().await.success(), "{:?}", proxy.seen);
    assert_eq!(servers.primary().value("SELECT count(*) FROM t").await.unwrap(), "2");
    assert!(busy.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_cut_and_told_why() {
    let servers = cluster().start().await.unwrap();
    let setup = setup(&servers, "shutdown_timeout = \"200ms\"", OWN_PORTS);
    let mut proxy = setup.run();
    let at = proxy.listening("postgres");
    let busy = connect(at).await.unwrap();
    busy.batch_execute("BEGIN").await.unwrap();
    let sleeping = tokio::spawn(async move { busy.simple_query("SELECT pg_sleep(600)").await });
    let asleep = "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' \
                  AND state = 'active' AND pid <> pg_backend_pid()";
    servers.primary().until("a sleeping statement", asleep).await.unwrap();
    proxy.terminate();
    let cut = sleeping.await.unwrap().expect_err("the statement is cut");
    assert_eq!(code(&cut), Some("57P01"), "{cut:?}");
    assert!(proxy.ended().await.success(), "{:?}", proxy.seen);
    let gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' \
                AND pid <> pg_backend_pid()";
    servers.primary().until("the end of the statement", gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_takes_the_ports_over_and_nobody_is_refused() {
    let servers = cluster().replicas(1).start().await.unwrap();
    // Reserves the port without listening on it.
    let place = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    place.set_reuse_port(true).unwrap();
    place.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let at = place.local_addr().unwrap().as_socket().unwrap();
    let listen = format!(
        "postgres = \"{at}\"\nconsole = \"off\"\nhttp = \"off\"\nreuse_port = true\nbacklog = 64"
    );
    let setup = setup(&servers, "", &listen);
    let mut old = setup.run();
    assert_eq!(old.listening("postgres"), at);
    let mut callers = Callers::start(at);
    for _ in 0..3 {
        callers.more(50).await;
        let mut new = setup.run();
        new.listening("postgres");
        callers.more(50).await;
        old.terminate();
        assert!(old.ended().await.success(), "{:?}", old.seen);
        old = new;
    }
    callers.more(50).await;
    assert_eq!(callers.refused().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_systemd_outlives_the_process_and_nobody_is_refused() {
    let servers = cluster().replicas(1).start().await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let setup =
        setup(&servers, "", &format!("postgres = \"{at}\"\nconsole = \"off\"\nhttp = \"off\""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let notified = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let state = || {
        let mut text = [0; 64];
        let len = notified.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    };
    let notify = path.to_str().unwrap();

    let mut callers = Callers::start(at);
    let mut proxy = setup.run_with(&socket, notify);
    assert_eq!(state(), "READY=1");
    for _ in 0..2 {
        callers.more(50).await;
        proxy.terminate();
        assert_eq!(state(), "STOPPING=1");
        assert!(proxy.ended().await.success(), "{:?}", proxy.seen);
        proxy = setup.run_with(&socket, notify);
        assert_eq!(state(), "READY=1");
    }
    callers.more(50).await;
    assert_eq!(callers.refused().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_no_option_names_is_refused() {
    let servers = cluster().start().await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = setup(&servers, "", OWN_PORTS);
    let mut proxy = setup.run_with(&socket, "");
    proxy.says(&format!("no option of [listen] is {}", socket.local_addr().unwrap()));
    assert!(!proxy.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_a_hint() {
    let servers = cluster().start().await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("postgres = \"{}\"", socket.local_addr().unwrap());
    let setup = setup(&servers, "", &listen);
    let mut proxy = setup.run();
    proxy.says("listen.postgres: cannot listen on");
    proxy.says("hint: somebody listens there; listen.reuse_port");
    assert!(!proxy.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_file_again_and_a_bad_one_changes_nothing() {
    let servers = cluster().start().await.unwrap();
    let setup = setup(&servers, "", OWN_PORTS);
    let mut proxy = setup.run();
    let at = proxy.listening("postgres");
    let client = connect(at).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();

    let mut file = std::fs::OpenOptions::new().append(true).open(&setup.file).unwrap();
    file.write_all(b"pool = { size = 0 }\n").unwrap();
    proxy.signal(rustix::process::Signal::HUP);
    proxy.says("not reloaded");
    proxy.says("clusters.test.pool.size = 0");

    setup.write(&servers, "", OWN_PORTS, "pool = { size = 7 }");
    proxy.signal(rustix::process::Signal::HUP);
    let line = proxy.says("reloaded changed=");
    assert!(line.contains("clusters.test.pool.size"), "{line}");
    // The client of before is still in its transaction.
    client.batch_execute("COMMIT").await.unwrap();
    drop(client);
    proxy.terminate();
    assert!(proxy.ended().await.success());
}
