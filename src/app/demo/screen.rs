//! What the demo shows, as text: pure functions of two looks at the proxy.

use super::servers::Engine;
use super::workload::Tally;
use crate::app::line::{Line, Paint, bar};
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

/// Cells of a bar that is full.
const BAR: usize = 20;

/// The whole view.
pub(super) fn frame(scene: &Scene<'_>) -> Vec<Line> {
    let now = scene.now;
    let version = now.clusters.iter().flat_map(|c| &c.nodes).find_map(|n| n.version.as_deref());
    let mut lines = vec![
        Line::default()
            .and(Paint::Strong, format!("tidegate demo, {} ", scene.engine.name()))
            .and(Paint::Plain, format!("{}, {} s", version.unwrap_or("?"), scene.running.as_secs()))
            .and(Paint::Faint, "; Ctrl-C ends it and leaves nothing behind"),
        Line::default(),
        Line::default().and(
            Paint::Strong,
            format!(
                "{:<5}{:<17}{:<9}{:<15}{:>10}{:>9}{:>9}  {}",
                "node",
                "address",
                "role",
                "position",
                "staleness",
                "writes",
                "reads",
                "share of reads"
            ),
        ),
    ];
    lines.extend(rows(scene).iter().map(|row| line_of(row, scene)));
    lines.push(Line::default());
    lines.push(totals(scene).into());
    let error = scene.tally.last_error.iter();
    lines.extend(error.map(|e| Line::default().and(Paint::Bad, format!("last error: {e}"))));
    lines.push(Line::default());
    lines.extend(doors(scene).into_iter().map(Line::from));
    lines
}

fn line_of(row: &Row<'_>, scene: &Scene<'_>) -> Line {
    let node = row.node;
    let role = match &*node.role {
        "primary" => Paint::Good,
        "replica" => Paint::Plain,
        _ => Paint::Bad,
    };
    let position = node.position.as_deref().unwrap_or("-");
    Line::default()
        .and(Paint::Plain, format!("{:<5}{:<17}", node.name, node.address))
        .and(role, format!("{:<9}", node.role))
        .and(Paint::Plain, format!("{position:<15}{:>10}", staleness(node)))
        .and(Paint::Plain, format!("{:>9}", per_second(row.writes, scene)))
        .and(Paint::Plain, format!("{:>9}  {:>3}% ", per_second(row.reads, scene), row.share))
        .and(Paint::Bar, bar(row.share, 100, BAR))
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
