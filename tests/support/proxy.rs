//! The proxy in front of a throwaway cluster, inside the test's own process.

use super::Cluster;
use super::ask::words;
use std::fmt::Write;
use std::net::SocketAddr;
use tidegate::app::run::Proxy;
use tidegate::config;

const ROUTE: &str = "[clusters.test.route]\n";

/// A running proxy; `stop` drains it, dropping it leaves its tasks to the test's runtime.
pub struct Running {
    pub proxy: Proxy,
    pub postgres: SocketAddr,
    pub console: SocketAddr,
    pub http: SocketAddr,
    /// The configuration file, which a test may rewrite before a reload.
    pub file: tempfile::TempPath,
}

/// What a test wants of the proxy; everything else is the default.
pub struct Wanted {
    nodes: Vec<(String, SocketAddr)>,
    weights: Vec<(String, u32)>,
    of_nodes: Vec<(String, String)>,
    sections: String,
    cluster: String,
    top: String,
    state: Option<std::path::PathBuf>,
    monitor: &'static str,
}

/// A proxy in front of `cluster`, all ports of its own, users trusted unless told otherwise.
pub fn proxy(cluster: &Cluster) -> Wanted {
    let nodes = cluster.nodes();
    let nodes: Vec<_> = nodes.iter().map(|node| (node.name(), address(node))).collect();
    proxy_to(&nodes)
}

/// A proxy in front of whatever listens at these addresses.
pub fn proxy_to(nodes: &[(&str, SocketAddr)]) -> Wanted {
    Wanted {
        nodes: nodes.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect(),
        weights: Vec::new(),
        of_nodes: Vec::new(),
        sections: String::new(),
        cluster: String::new(),
        top: String::new(),
        state: None,
        monitor: "postgres",
    }
}

fn address(node: &super::Node) -> SocketAddr {
    node.address().parse().expect("an address")
}

impl Wanted {
    /// These nodes in this order instead.
    pub fn order(mut self, nodes: &[&super::Node]) -> Wanted {
        self.nodes = nodes.iter().map(|n| (n.name().to_owned(), address(n))).collect();
        self
    }

    /// One more node, wherever it comes from.
    pub fn also(mut self, name: &str, node: &super::Node) -> Wanted {
        self.nodes.push((name.to_owned(), address(node)));
        self
    }

    /// A node's share of reads.
    pub fn weight(mut self, node: &str, weight: u32) -> Wanted {
        self.weights.push((node.to_owned(), weight));
        self
    }

    /// Adds keys of a node: `node("b", "zone = \"west\"")`.
    pub fn node(mut self, node: &str, keys: &str) -> Wanted {
        self.of_nodes.push((node.to_owned(), format!(", {keys}")));
        self
    }

    /// Adds keys to a section of the cluster: `with("pool", "size = 2")`.
    pub fn with(mut self, section: &str, keys: &str) -> Wanted {
        let header = format!("[clusters.test.{section}]\n");
        match self.sections.find(&header) {
            Some(at) => self.sections.insert_str(at + header.len(), &format!("{keys}\n")),
            None => writeln!(self.sections, "{header}{keys}").expect("a String"),
        }
        self
    }

    /// Reaches a node somewhere else, through whatever stands between.
    pub fn reached_at(mut self, node: usize, address: SocketAddr) -> Wanted {
        self.nodes[node].1 = address;
        self
    }

    /// Has the nodes watched by this user.
    pub fn monitored_by(mut self, user: &'static str) -> Wanted {
        self.monitor = user;
        self
    }

    /// Adds a key of the cluster itself: `with_cluster("databases = [\"a\"]")`.
    pub fn with_cluster(mut self, key: &str) -> Wanted {
        writeln!(self.cluster, "{key}").expect("a String");
        self
    }

    /// Adds text at the level of the process: `top("[tls]\nmode = \"require\"")`.
    pub fn top(mut self, text: &str) -> Wanted {
        writeln!(self.top, "{text}").expect("a String");
        self
    }

    /// Where it keeps what must survive it.
    pub fn state(mut self, folder: &std::path::Path) -> Wanted {
        self.state = Some(folder.to_owned());
        self
    }

    /// The configuration as a file would hold it.
    pub fn text(&self) -> String {
        let listen = "[listen]\npostgres = \"127.0.0.1:0\"\nconsole = \"127.0.0.1:0\"\n\
                      http = \"127.0.0.1:0\"\n";
        let state = self.state.as_ref().map(|at| format!("state_dir = \"{}\"\n", at.display()));
        let state = state.unwrap_or_default();
        let mut text = format!("{state}{listen}{}[clusters.test]\nnodes = [\n", self.top);
        for (name, address) in &self.nodes {
            let weight = self.weights.iter().find(|(node, _)| node == name).map_or(1, |w| w.1);
            let more: String =
                self.of_nodes.iter().filter(|of| of.0 == *name).map(|of| of.1.as_str()).collect();
            let node = format!("name = \"{name}\", address = \"{address}\", weight = {weight}");
            writeln!(text, "  {{ {node}{more} }},").expect("a String");
        }
        writeln!(text, "]\nmonitor = {{ user = \"{}\" }}", self.monitor).expect("a String");
        text.push_str(&self.cluster);
        text.push_str(&self.sections.replace(ROUTE, &format!("{ROUTE}{}", self.consistency())));
        if !self.sections.contains(ROUTE) {
            text.push_str(&format!("{ROUTE}{}", self.consistency()));
        }
        if !self.sections.contains("[clusters.test.auth]") {
            text.push_str("[clusters.test.auth]\nmethod = \"trust\"\n");
        }
        text
    }

    /// Most tests say what a replica answers by what its data is, and are sure of it only if the
    /// session's own writes do not count.
    fn consistency(&self) -> &'static str {
        match self.sections.contains("consistency = ") {
            true => "",
            false => "consistency = \"bounded\"\n",
        }
    }

    /// Starts it and waits until it knows the roles of its nodes.
    pub async fn start(self) -> Running {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::io::Write::write_all(&mut file, self.text().as_bytes()).expect("writing it");
        let file = file.into_temp_path();
        let read = config::load(&file).unwrap_or_else(|p| panic!("{p}\n{}", self.text()));
        let proxy = Proxy::start(read, &file).await.expect("a running proxy");
        for cluster in &proxy.console.engine.clusters {
            cluster.monitor.settled().await;
        }
        let address = |name: &str| proxy.address(name).expect("an open listener");
        let (postgres, console, http) = (address("postgres"), address("console"), address("http"));
        Running { proxy, postgres, console, http, file }
    }
}

impl Running {
    /// A connection through the proxy as postgres; its task ends with the client.
    pub async fn connect(&self) -> tokio_postgres::Client {
        self.connect_with(&format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres",
            self.postgres.port()
        ))
        .await
        .expect("a connection through the proxy")
    }

    pub async fn connect_with(
        &self,
        url: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// One console command; every row as text.
    pub async fn admin(&self, command: &str) -> Vec<Vec<Option<String>>> {
        self.try_admin(command).await.expect(command)
    }

    /// The same, or what the console says against it.
    pub async fn try_admin(&self, command: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let url = format!("host=127.0.0.1 port={} user=x dbname=tidegate", self.console.port());
        let client = self.connect_with(&url).await.expect("the console");
        let answer = client.simple_query(command).await.map_err(|error| words(&error))?;
        let row = |m: &tokio_postgres::SimpleQueryMessage| match m {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect::<Vec<_>>())
            }
            _ => None,
        };
        Ok(answer.iter().filter_map(row).collect())
    }
}
