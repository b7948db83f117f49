//! What the demo shows, as text: pure functions of two looks at the proxy.

use super::servers::Engine;
use super::workload::Tally;
use crate::view::{Node, Proxy};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Everything that one frame is made of.
pub(super) struct Scene<'a> {
    pub running: Duration,
    /// Between the two looks.
    pub between: Duration,
    pub before: &'a Proxy,
    pub now: &'a Proxy,
    pub tally: &'a Tally,
    pub engine: Engine,
    /// For applications, the console, HTTP.
    pub doors: [SocketAddr; 3],
    pub folder: &'a Path,
}

/// A node and what it did between the two looks.
struct Row<'a> {
    node: &'a Node,
    reads: u64,
    writes: u64,
    /// Of all reads in this time, in percent.
    share: u64,
}

fn rows<'a>(scene: &Scene<'a>) -> Vec<Row<'a>> {
    let nodes = |proxy: &'a Proxy| proxy.clusters.iter().flat_map(|c| &c.nodes);
    let pairs: Vec<_> = nodes(scene.before).zip(nodes(scene.now)).collect();
    let reads =
        |(before, now): &(&Node, &Node)| now.served_reads.saturating_sub(before.served_reads);
    let all: u64 = pairs.iter().map(reads).sum();
    let row = |pair: &(&'a Node, &'a Node)| Row {
        node: pair.1,
        reads: reads(pair),
        writes: pair.1.served_writes.saturating_sub(pair.0.served_writes),
        share: (reads(pair) * 100 + all / 2).checked_div(all).unwrap_or(0),
    };
    pairs.iter().map(row).collect()
}

fn per_second(count: u64, scene: &Scene<'_>) -> String {
    format!("{:.0}/s", count as f64 / scene.between.as_secs_f64().max(0.001))
}

fn transactions(proxy: &Proxy) -> u64 {
    proxy.stats.iter().map(|s| s.transactions).sum()
}

fn staleness(node: &Node) -> String {
    match (&*node.role, node.staleness) {
        ("primary", _) => "-".into(),
        (_, Some(age)) if age < Duration::from_secs(1) => format!("{} ms", age.as_millis()),
        (_, Some(age)) => format!("{:.1} s", age.as_secs_f64()),
        (_, None) => "unknown".into(),
    }
}

fn bar(share: u64) -> String {
    const CELLS: u64 = 20;
    let full = usize::try_from((share * CELLS + 50) / 100).unwrap_or(0);
    "#".repeat(full)
}

/// The whole view.
pub(super) fn frame(scene: &Scene<'_>) -> Vec<String> {
    let now = scene.now;
    let version = now.clusters.iter().flat_map(|c| &c.nodes).find_map(|n| n.version.as_deref());
    let mut lines = vec![
        format!(
            "tidegate demo, {} {}, {} s; Ctrl-C ends it and leaves nothing behind",
            scene.engine.name(),
            version.unwrap_or("?"),
            scene.running.as_secs()
        ),
        String::new(),
        format!(
            "{:<5}{:<17}{:<9}{:<15}{:>10}{:>9}{:>9}  {}",
            "node", "address", "role", "position", "staleness", "writes", "reads", "share of reads"
        ),
    ];
    for row in rows(scene) {
        let node = row.node;
        lines.push(format!(
            "{:<5}{:<17}{:<9}{:<15}{:>10}{:>9}{:>9}  {:>3}% {}",
            node.name,
            node.address,
            node.role,
            node.position.as_deref().unwrap_or("-"),
            staleness(node),
            per_second(row.writes, scene),
            per_second(row.reads, scene),
            row.share,
            bar(row.share)
        ));
    }
    lines.push(String::new());
    lines.push(totals(scene));
    lines.extend(scene.tally.last_error.iter().map(|error| format!("last error: {error}")));
    lines.push(String::new());
    lines.extend(doors(scene));
    lines
}

fn totals(scene: &Scene<'_>) -> String {
    let (now, done) = (scene.now, transactions(scene.now));
    format!(
        "total: {done} transactions ({}), {} clients on {} server connections, {} client errors",
        per_second(done.saturating_sub(transactions(scene.before)), scene),
        now.clients.len(),
        now.servers.len(),
        scene.tally.errors
    )
}

/// Where to connect, and what to try.
pub(super) fn doors(scene: &Scene<'_>) -> Vec<String> {
    let [proxy, console, http] = scene.doors;
    let psql = |at: SocketAddr| format!("psql -h {} -p {} -U postgres", at.ip(), at.port());
    let mut lines = vec![
        format!(
            "applications: {}    (then: {};)",
            scene.engine.at(proxy),
            scene.engine.last_route()
        ),
        format!("console:      {} tidegate    (then: SHOW HELP;)", psql(console)),
        format!("metrics:      curl http://{http}/metrics    (and /healthz, /readyz)"),
        format!("servers:      {}", scene.folder.display()),
        format!("commands:     {}", commands(scene)),
    ];
    let replica = scene.now.clusters.iter().flat_map(|c| &c.nodes).find(|n| &*n.role == "replica");
    if let Some((name, Ok(at))) = replica.map(|n| (&n.name, n.address.parse())) {
        let (stop, go_on) = scene.engine.replay();
        lines.push(format!("try:          {} {stop}    (reads leave {name};", scene.engine.at(at)));
        lines.push(format!("              {go_on} brings them back)"));
    }
    lines
}

/// What the command line can be asked about this proxy.
fn commands(scene: &Scene<'_>) -> String {
    let change = match scene.engine {
        Engine::Postgres => "    (switchover, backup now, …: --cluster demo)",
        Engine::Mariadb => "",
    };
    format!("tidegate status -c {}/tidegate.toml{change}", scene.folder.display())
}

/// The same in one line, for where nothing can be redrawn.
pub(super) fn line(scene: &Scene<'_>) -> String {
    let nodes = rows(scene).into_iter().map(|row| {
        let Row { node, share, .. } = row;
        let age =
            if &*node.role == "replica" { format!(" {}", staleness(node)) } else { "".into() };
        format!("{} {}{age} {share}% of reads", node.name, node.role)
    });
    let nodes: Vec<String> = nodes.collect();
    format!("{} s: {}; {}", scene.running.as_secs(), nodes.join(", "), totals(scene))
}
