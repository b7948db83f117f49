//! The demo as a scripted scenario: what was promised, done and looked at, line by line.
//!
//! No step depends on how fast the machine is: each waits for a state, and judges by counters.

use super::DemoError;
use super::client::Client;
use super::stage::Stage;
use super::workload::CLIENTS;
use crate::view::{self, Node};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long a step may take on a machine that is busy otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);

/// Reads that are enough to tell where reads go: several from every client.
const MANY: u64 = 25 * CLIENTS;

/// What was not as it should be.
#[derive(Debug, Error)]
pub(super) enum Failed {
    #[error("waited {PATIENCE:?} in vain until {what}; the nodes: {nodes}")]
    Waited { what: String, nodes: String },
    #[error("{0}")]
    Wrong(String),
}

/// Runs the scenario, printing what it sees.
pub(super) async fn check(stage: &Stage) -> Result<(), DemoError> {
    let mut script = Script { stage, began: Instant::now() };
    script.start().await?;
    script.write_and_read_back().await?;
    script.stop_and_resume_replay().await?;
    script.kill_and_restart().await?;
    script.verdict()
}

struct Script<'a> {
    stage: &'a Stage,
    began: Instant,
}

impl Script<'_> {
    fn say(&mut self, what: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{:6.1} s  {what}", self.began.elapsed().as_secs_f64())?;
        out.flush()
    }

    async fn start(&mut self) -> Result<(), DemoError> {
        let view = self.until("one primary and two replicas are seen", |view| {
            let count = |role| nodes(view).filter(|n| &*n.role == role).count();
            count("primary") == 1 && count("replica") == 2
        });
        let seen: Vec<String> = nodes(&view.await?)
            .map(|n| format!("{} {} at {}", n.name, n.role, n.address))
            .collect();
        self.say(&format!("ok: {}", seen.join(", ")))?;
        let names = [self.stage.engine.listener().0, "console", "http"];
        let at = names.map(|name| format!("{name} {}", self.stage.address(name)));
        self.say(&format!("ok: the proxy listens: {}", at.join(", ")))?;
        Ok(())
    }

    async fn write_and_read_back(&mut self) -> Result<(), DemoError> {
        let (engine, [door, ..]) = (self.stage.engine, self.stage.doors());
        let mut client = Client::connect(engine, door).await?;
        client.ask("CREATE TABLE notes (text varchar(80))").await?;
        client.ask("INSERT INTO notes VALUES ('high tide')").await?;
        let route = client.ask(engine.last_route()).await?;
        self.expect(route.contains("(write)"), "a write went to the primary", &route)?;
        let read = "SELECT text FROM notes";
        client.ask("BEGIN").await?;
        let found = client.ask(read).await?;
        client.ask("COMMIT").await?;
        self.expect(found == "high tide", "a transaction reads it back from the primary", &found)?;
        self.stage.servers.caught_up().await?;
        let found = client.ask(read).await?;
        self.expect(found == "high tide", "once replayed, a read gives it back", &found)?;
        let route = client.ask(engine.last_route()).await?;
        self.expect(route.contains("(fresh_replica)"), "that read went to a replica", &route)?;
        let share = self.reads_go_to(&["b", "c"], &[]).await?;
        self.say(&format!("ok: reads are spread over both replicas: {share}"))?;
        Ok(())
    }

    async fn stop_and_resume_replay(&mut self) -> Result<(), DemoError> {
        self.say("replay is stopped on c; the workload goes on writing …")?;
        let (c, bound) = (1, Duration::from_secs(1));
        self.stage.servers.pause_replay(c).await?;
        let view = self
            .until("c is staler than reads may be", |view| {
                node(view, "c").is_some_and(|n| n.staleness.is_none_or(|age| age > bound))
            })
            .await?;
        let age = node(&view, "c").and_then(|n| n.staleness);
        self.say(&format!(
            "ok: the data of c are {:.1} s old",
            age.unwrap_or_default().as_secs_f64()
        ))?;
        let share = self.reads_go_to(&["b"], &["c"]).await?;
        self.say(&format!("ok: reads left c: {share}"))?;
        self.stage.servers.resume_replay(c).await?;
        let share = self.reads_go_to(&["b", "c"], &[]).await?;
        self.say(&format!("ok: replay goes on, and reads came back: {share}"))?;
        Ok(())
    }

    async fn kill_and_restart(&mut self) -> Result<(), DemoError> {
        let (before, b) = (self.stage.workload.tally(), 0);
        self.say("b is killed under load …")?;
        self.stage.servers.kill(b);
        self.until("b is known to be gone", |view| {
            node(view, "b").is_some_and(|n| &*n.role == "unknown")
        })
        .await?;
        let share = self.reads_go_to(&["c"], &["b"]).await?;
        let after = self.stage.workload.tally();
        let done = after.reads + after.writes - before.reads - before.writes;
        let errors = after.errors - before.errors;
        let seen = format!("{done} statements meanwhile, {errors} errors; {share}");
        let what = "b is gone, and no client saw an error";
        self.expect(
            errors == 0,
            what,
            &after.last_error.map_or(seen.clone(), |e| format!("{seen}; {e}")),
        )?;
        self.stage.servers.start_again(b).await?;
        let share = self.reads_go_to(&["b", "c"], &[]).await?;
        self.say(&format!("ok: b runs again, and reads came back: {share}"))?;
        Ok(())
    }

    fn verdict(&mut self) -> Result<(), DemoError> {
        let tally = self.stage.workload.tally();
        let seen =
            format!("{} reads, {} writes, {} errors", tally.reads, tally.writes, tally.errors);
        self.expect(tally.errors == 0, "the workload saw it all without an error", &seen)
    }

    fn expect(&mut self, fine: bool, what: &str, seen: &str) -> Result<(), DemoError> {
        if !fine {
            self.say(&format!("FAILED: {what}: {seen}"))?;
            return Err(Failed::Wrong(format!("{what}: it was not so: {seen}")).into());
        }
        self.say(&format!("ok: {what}: {seen}"))?;
        Ok(())
    }

    async fn until(
        &self,
        what: &str,
        mut wanted: impl FnMut(&view::Proxy) -> bool,
    ) -> Result<view::Proxy, Failed> {
        let end = Instant::now() + PATIENCE;
        loop {
            let view = self.stage.view();
            if wanted(&view) {
                return Ok(view);
            }
            if Instant::now() > end {
                let nodes: Vec<String> = nodes(&view).map(describe).collect();
                return Err(Failed::Waited { what: what.into(), nodes: nodes.join(", ") });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until each of `served` has served many more reads, and none of `others` has served
    /// any while they did. Reads that were decided before are let out first.
    async fn reads_go_to(&self, served: &[&str], others: &[&str]) -> Result<String, Failed> {
        self.all_serve(served).await?;
        let before = self.stage.view();
        let after = self.all_serve(served).await?;
        let all = served.iter().chain(others);
        let shares: Vec<String> = all
            .map(|name| format!("{name} {} reads", reads(&after, name) - reads(&before, name)))
            .collect();
        let shares = shares.join(", ");
        match others.iter().all(|name| reads(&after, name) == reads(&before, name)) {
            true => Ok(shares),
            false => {
                Err(Failed::Wrong(format!("reads did not leave {}: {shares}", others.join(", "))))
            }
        }
    }

    /// Waits until each of these has served many reads from now on.
    async fn all_serve(&self, names: &[&str]) -> Result<view::Proxy, Failed> {
        let start = self.stage.view();
        self.until(&format!("{} served {MANY} reads", names.join(" and ")), |view| {
            names.iter().all(|name| reads(view, name) >= reads(&start, name) + MANY)
        })
        .await
    }
}

fn nodes(view: &view::Proxy) -> impl Iterator<Item = &Node> {
    view.clusters.iter().flat_map(|cluster| &cluster.nodes)
}

fn node<'a>(view: &'a view::Proxy, name: &str) -> Option<&'a Node> {
    nodes(view).find(|node| &*node.name == name)
}

fn reads(view: &view::Proxy, name: &str) -> u64 {
    node(view, name).map_or(0, |node| node.served_reads)
}

fn describe(node: &Node) -> String {
    let reason = node.reason.as_deref().map_or_else(String::new, |r| format!(" ({r})"));
    format!("{} {}{reason}, staleness {:?}", node.name, node.role, node.staleness)
}
