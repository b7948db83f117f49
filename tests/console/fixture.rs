//! A console over a proxy that only notes what it is told to do.

use crate::bytes::Raw;
use crate::view_fixture::proxy;
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate::admin::{Control, Credentials, Reloaded, Settings, serve};
use tidegate::failover::{Answer, Wanted};
use tidegate::view::Proxy;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

#[derive(Default)]
struct Noted {
    done: Mutex<Vec<String>>,
    /// What was noted of operators.
    audit: Mutex<Vec<String>>,
}

impl Noted {
    fn note_it(&self, what: String) {
        self.done.lock().expect("not poisoned").push(what);
    }
}

impl Control for Noted {
    fn view(&self) -> Proxy {
        proxy()
    }
    fn reload(&self) -> Result<Reloaded, String> {
        self.note_it("reload".into());
        Ok(Reloaded { changed: Vec::new(), needs_restart: vec!["listen.http".into()] })
    }
    fn pause<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        self.note_it(format!("pause {}", cluster.unwrap_or("None")));
        Box::pin(async { Ok(()) })
    }
    fn resume(&self, cluster: Option<&str>) -> Result<(), String> {
        self.note_it(format!("resume {}", cluster.unwrap_or("None")));
        Ok(())
    }
    fn reconnect(&self, cluster: Option<&str>) -> Result<(), String> {
        self.note_it(format!("reconnect {}", cluster.unwrap_or("None")));
        Ok(())
    }
    fn wait_close<'a>(&'a self, cluster: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        self.note_it(format!("wait_close {}", cluster.unwrap_or("None")));
        Box::pin(async { Ok(()) })
    }
    fn admit(&self, cluster: &str, admits: bool) -> Result<(), String> {
        self.note_it(format!("admit {cluster} {admits}"));
        Ok(())
    }
    fn drain_node<'a>(
        &'a self,
        cluster: &'a str,
        node: &'a str,
        drained: bool,
    ) -> BoxFuture<'a, Result<(), String>> {
        self.note_it(format!("drain {cluster} {node} {drained}"));
        Box::pin(async { Ok(()) })
    }
    fn set(&self, key: &str, value: &str) -> Result<Reloaded, String> {
        self.note_it(format!("set {key} {value}"));
        Ok(Reloaded { changed: vec![key.into()], needs_restart: Vec::new() })
    }
    fn note(&self, operator: &str, command: &str, failed: Option<&str>) {
        assert!(operator.ends_with(')'), "{operator}");
        self.audit.lock().expect("not poisoned").push(match failed {
            None => command.to_owned(),
            Some(why) => format!("{command}: {why}"),
        });
    }
    fn reign<'a>(&'a self, cluster: &'a str, wanted: Wanted, dry: bool) -> BoxFuture<'a, Answer> {
        self.note_it(format!("{wanted:?} {cluster} {dry}"));
        Box::pin(async { Ok(vec!["a line".into()]) })
    }
    fn backup<'a>(&'a self, cluster: &'a str) -> futures_util::future::BoxFuture<'a, Answer> {
        self.note_it(format!("backup {cluster}"));
        Box::pin(async { Ok(vec!["a line".into()]) })
    }
    fn test_backup<'a>(&'a self, cluster: &'a str) -> futures_util::future::BoxFuture<'a, Answer> {
        self.note_it(format!("test backup {cluster}"));
        Box::pin(async { Ok(vec!["a line".into()]) })
    }
    fn kill(&self, client: u64) -> bool {
        let known = proxy().clients.iter().any(|c| c.id == client);
        if known {
            self.note_it(format!("kill {client}"));
        }
        known
    }
    fn shutdown(&self) {
        self.note_it("shutdown".into());
    }
}

pub(crate) struct Console {
    pub(crate) address: SocketAddr,
    noted: Arc<Noted>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

/// A console with these users and their secrets; none: it trusts everyone.
pub(crate) async fn console(users: &[(&str, &str)]) -> Console {
    console_with(Settings { users: credentials(users), ..Settings::default() }).await
}

/// A proxy that nobody asks what it noted.
pub(crate) fn control() -> Arc<dyn Control> {
    Arc::new(Noted::default())
}

pub(crate) fn credentials(users: &[(&str, &str)]) -> Credentials {
    let mut credentials = Credentials::default();
    for (user, secret) in users {
        credentials.add(user, secret).expect("a good secret");
    }
    credentials
}

pub(crate) async fn console_with(settings: Settings) -> Console {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let noted = Arc::new(Noted::default());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, settings, noted.clone(), async {
        let _ = stopped.await;
    }));
    Console { address, noted, stop: Some(stop), task: Some(task) }
}

impl Console {
    pub(crate) fn done(&self) -> Vec<String> {
        self.noted.done.lock().expect("not poisoned").clone()
    }

    /// What was noted of operators.
    pub(crate) fn audit(&self) -> Vec<String> {
        self.noted.audit.lock().expect("not poisoned").clone()
    }

    pub(crate) async fn client(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).dbname("tidegate");
        config.user(user).password(password).connect_timeout(Duration::from_secs(20));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(self.address).await
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().expect("not stopped before").send(()).expect("it runs");
        let ended = self.task.take().expect("not stopped before").await;
        ended.expect("no panic").expect("no error");
    }
}

pub(crate) struct Output {
    pub(crate) ok: bool,
    pub(crate) rows: Vec<String>,
    pub(crate) errors: String,
}

/// Runs one command in psql.
pub(crate) async fn psql(console: &Console, command: &str) -> Output {
    psql_with(console, ("admin", ""), command).await
}

/// The same as another user, or with options of libpq.
pub(crate) async fn psql_with(
    console: &Console,
    (user, options): (&str, &str),
    command: &str,
) -> Output {
    let port = console.address.port().to_string();
    let mut psql = tokio::process::Command::new("psql");
    let target = format!("host=127.0.0.1 port={port} user={user} dbname=tidegate {options}");
    psql.args(["-X", "-At", "-v", "VERBOSITY=verbose", "-d", &target, "-c", command])
        .env("LC_ALL", "C")
        .env("PGPASSWORD", "secret");
    let out = psql.output().await.expect("psql is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    Output {
        ok: out.status.success(),
        rows: text(&out.stdout).lines().map(str::to_string).collect(),
        errors: text(&out.stderr),
    }
}
