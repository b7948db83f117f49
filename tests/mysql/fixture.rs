//! A proxy in front of a throwaway MariaDB cluster, inside the test's own process.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use std::fmt::Write;
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tidegate::app::run::Proxy;
use tidegate::config;
use tidegate::lab::mariadb::Cluster;

pub(crate) const APP: &str = "app";
pub(crate) const PASSWORD: &str = "it's; a secret";

/// How long a test waits for what must come: as long as a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < end, "in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn one_server() -> Cluster {
    servers(0).await
}

/// Numbers of prepared statements start anew with each connection to them.
pub(crate) async fn servers(replicas: usize) -> Cluster {
    let builder = tidegate::lab::mariadb::cluster().user(APP, PASSWORD).replicas(replicas);
    let builder = builder.conf("local-infile", "1").conf("thread-cache-size", "0");
    builder.start().await.unwrap()
}

pub(crate) struct Running {
    pub(crate) proxy: Proxy,
    pub(crate) mysql: SocketAddr,
    _files: tempfile::TempDir,
}

/// A proxy with these further sections of the cluster, such as `[clusters.test.pool]`.
pub(crate) async fn proxy(cluster: &Cluster, pool: &str, more: &str) -> Running {
    proxy_that(cluster, "", pool, more).await
}

/// The same with a further key of `[listen]`.
pub(crate) async fn proxy_that(
    cluster: &Cluster,
    listens: &str,
    pool: &str,
    more: &str,
) -> Running {
    let files = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let password = secret("password", PASSWORD);
    // SELECT PASSWORD('test')
    let stored = secret("stored", "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29");
    let mut text = String::from(
        "[listen]\nmysql = \"127.0.0.1:0\"\nconsole = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n",
    );
    writeln!(text, "{listens}").unwrap();
    text.push_str("[clusters.test]\nengine = \"mariadb\"\nnodes = [\n");
    for node in cluster.nodes() {
        writeln!(text, "{{ name = \"{}\", address = \"{}\" }},", node.name(), node.address())
            .unwrap();
    }
    writeln!(text, "]\nmonitor = {{ user = \"root\" }}").unwrap();
    let mode = if pool.contains("mode = ") { "" } else { "mode = \"session\"\n" };
    writeln!(text, "[clusters.test.pool]\n{mode}{pool}").unwrap();
    writeln!(text, "[clusters.test.auth.users]").unwrap();
    writeln!(text, "{APP} = {{ password_file = \"{password}\" }}").unwrap();
    writeln!(text, "stored = {{ password_file = \"{stored}\" }}\n{more}").unwrap();
    let file = files.path().join("tidegate.toml");
    std::fs::write(&file, &text).unwrap();
    let read = config::load(&file).unwrap_or_else(|p| panic!("{p}\n{text}"));
    let proxy = Proxy::start(read, &file).await.unwrap();
    for cluster in &proxy.console.mysql.clusters {
        cluster.monitor.settled().await;
    }
    let mysql = proxy.address("mysql").expect("an open listener");
    Running { proxy, mysql, _files: files }
}

impl Running {
    pub(crate) fn opts(&self, user: &str, password: &str) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.mysql.port())
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some("test"))
            .prefer_socket(false)
            // Unless it knows these it asks for them.
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(3600))
    }

    pub(crate) async fn connect(&self) -> Conn {
        Conn::new(Opts::from(self.opts(APP, PASSWORD))).await.unwrap()
    }

    /// How many server connections are lent, and how many were ever opened.
    pub(crate) fn servers(&self) -> (usize, u64) {
        let pools = self.proxy.console.mysql.clusters[0].all_pools();
        let counts: Vec<_> = pools.iter().flat_map(|p| &p.nodes).map(|p| p.counts()).collect();
        (counts.iter().map(|c| c.lent).sum(), counts.iter().map(|c| c.opened).sum())
    }

    /// Until no session holds a server connection.
    pub(crate) async fn until_idle(&self) {
        until("idle servers", || async { self.servers().0 == 0 }).await;
    }
}

/// The first column of the first row; empty when there is none.
pub(crate) async fn value(conn: &mut Conn, sql: &str) -> String {
    let found: Option<Option<String>> = conn.query_first(sql).await.unwrap();
    found.flatten().unwrap_or_default()
}
