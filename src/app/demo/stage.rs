//! What the demo stands on: three servers in a temporary folder, the proxy, the workload.

use super::DemoError;
use super::servers::{Engine, Servers};
use super::workload::Workload;
use crate::admin::Control;
use crate::app::run::{Proxy, RunError};
use crate::config;
use crate::view;
use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener};

/// The name of the demo's cluster in the configuration.
const CLUSTER: &str = "demo";

/// Everything that runs. The order is that in which the parts are dropped.
pub(super) struct Stage {
    pub workload: Workload,
    proxy: Proxy,
    pub servers: Servers,
    pub engine: Engine,
}

impl Stage {
    /// Starts the servers, the proxy in front of them, and the workload through it.
    pub(super) async fn set(engine: Engine) -> Result<Stage, DemoError> {
        let servers = Servers::start(engine).await?;
        servers.caught_up().await?;
        let proxy = proxy(engine, &servers).await?;
        for cluster in &proxy.console.engine.clusters {
            cluster.monitor.settled().await;
        }
        for cluster in &proxy.console.mysql.clusters {
            cluster.monitor.settled().await;
        }
        let workload = Workload::start(engine, address(&proxy, engine.listener().0));
        Ok(Stage { workload, proxy, servers, engine })
    }

    /// The proxy as it is now.
    pub(super) fn view(&self) -> view::Proxy {
        self.proxy.console.view()
    }

    /// Where applications connect, the console, HTTP.
    pub(super) fn doors(&self) -> [SocketAddr; 3] {
        [self.engine.listener().0, "console", "http"].map(|name| self.address(name))
    }

    /// Where a listener listens.
    pub(super) fn address(&self, listener: &str) -> SocketAddr {
        address(&self.proxy, listener)
    }

    /// Stops the workload, the proxy and the servers, in this order, and removes the folder.
    pub(super) async fn strike(self) {
        self.workload.stop().await;
        self.proxy.stop().await;
        drop(self.servers);
    }
}

fn address(proxy: &Proxy, listener: &str) -> SocketAddr {
    proxy.address(listener).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Starts the proxy; somebody may take a port between the look at it and its use.
async fn proxy(engine: Engine, servers: &Servers) -> Result<Proxy, DemoError> {
    const ATTEMPTS: usize = 5;
    let path = servers.folder().join("tidegate.toml");
    for _ in 1..ATTEMPTS {
        fs::write(&path, configuration(engine, servers))?;
        match Proxy::start(config::load(&path)?, &path).await {
            Err(RunError::Listen(_)) => {}
            started => return Ok(started?),
        }
    }
    fs::write(&path, configuration(engine, servers))?;
    Ok(Proxy::start(config::load(&path)?, &path).await?)
}

/// The least configuration for these servers, as a user would write it, with all that the engine's
/// clusters may have.
fn configuration(engine: Engine, servers: &Servers) -> String {
    let folder = servers.folder().display();
    let mut text = format!("state_dir = \"{folder}/state\"\n[listen]\n");
    for (name, port) in [engine.listener(), ("console", 6433), ("http", 6480)] {
        let _ = writeln!(text, "{name} = \"{}\"", free_or_any(port));
    }
    let _ = writeln!(text, "[clusters.{CLUSTER}]\nengine = \"{}\"\nnodes = [", engine.key());
    for (name, address) in servers.nodes() {
        let _ = writeln!(text, "  {{ name = \"{name}\", address = \"{address}\" }},");
    }
    let user = engine.superuser();
    let _ = writeln!(text, "]\nmonitor = {{ user = \"{user}\" }}\nauth = {{ method = \"trust\" }}");
    if engine == Engine::Postgres {
        // Synchronous standbys would make the workload wait for a replica that the check has stopped.
        text.push_str("failover = { mode = \"manual\", guarantee = \"available\" }\n");
        let _ = writeln!(text, "backup = {{ store = \"file://{folder}/backups\" }}");
    }
    text
}

/// This port on loopback, or port 0 for any when it is taken.
fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_replaced_by_any() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(free_or_any(taken.local_addr().unwrap().port()).port(), 0);
    }
}
