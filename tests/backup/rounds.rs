//! Rounds of chance: a workload whose every answer is noted, a backup in the middle of it, kills and a
//! promotion, a restore to a moment that chance picks. What comes back is what was acknowledged then, or the
//! round ends with a refusal in words; `TIDEGATE_TEST_ROUNDS` and `TIDEGATE_TEST_SEED` say how many, and which.

use crate::archive::archived;
use crate::scene::{Scene, filled, said, scene};
use crate::support::Node;
use crate::support::dice::Dice;
use crate::support::proxy::{Running, proxy};
use std::time::Duration;
use tokio_postgres::Client;

/// In CI.
const ROUNDS: u64 = 2;

/// Transactions before a backup, and behind it.
const BEFORE: usize = 20;
const BEHIND: usize = 40;

/// What tells two states of the table apart.
const STATE: &str = "SELECT count(*) || ' ' || coalesce(md5(string_agg(n || filler, ',' ORDER BY n, filler)), '') FROM t";

/// What disturbs a round, in the middle of the backup.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Nothing,
    /// The replica that is copied dies, and comes back.
    ReplicaDies,
    /// The process that takes the backup is killed.
    BackupDies,
    /// The proxy that archives the log starts anew.
    ProxyRestarts,
    /// The primary dies, and a replica takes its place.
    Promotion,
}

const TROUBLES: [Trouble; 5] = [
    Trouble::Nothing,
    Trouble::ReplicaDies,
    Trouble::BackupDies,
    Trouble::ProxyRestarts,
    Trouble::Promotion,
];

/// An acknowledged transaction, and what the table held then.
struct Ack {
    xid: String,
    state: String,
}

struct Round {
    scene: Scene,
    running: Running,
    keys: String,
    dice: Dice,
    /// Which node is the primary.
    primary: usize,
    acks: Vec<Ack>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_what_was_acknowledged() {
    let rounds = number("TIDEGATE_TEST_ROUNDS").unwrap_or(ROUNDS);
    let from = number("TIDEGATE_TEST_SEED").unwrap_or(1);
    let mut refused = 0;
    for seed in from..from + rounds {
        // Each trouble comes in turn.
        let trouble = TROUBLES[(seed % TROUBLES.len() as u64) as usize];
        eprintln!("round {seed}: {trouble:?}");
        refused += play(seed, trouble).await;
    }
    eprintln!("{rounds} rounds, all equal; {refused} backups were refused and taken again");
}

/// Answers with how many backups failed before one was there.
async fn play(seed: u64, trouble: Trouble) -> u64 {
    let mut dice = Dice::new(seed);
    let builder = filled(200 + dice.below(800) as u32).replicas(2);
    // Every other round is encrypted.
    let sealed = seed.is_multiple_of(2);
    let mut scene = scene(builder, "").await;
    let key = scene.place("key");
    std::fs::write(&key, format!("{seed:064x}\n")).unwrap();
    let keys = match sealed {
        true => format!("keys = [{{ key_file = \"{}\" }}]\n", key.display()),
        false => String::new(),
    };
    scene.reconfigure(&format!("{keys}max_rate = \"16MiB\"\n"));
    let running = archiving(&scene, &keys).await;
    let mut round = Round { scene, running, keys, dice, primary: 0, acks: Vec::new() };
    round.write(BEFORE).await;
    let refused = round.back_up(trouble).await;
    let first = round.acks.len();
    round.write(BEHIND).await;
    archived(&round.scene, round.node()).await;
    let picked = first + round.dice.below(round.acks.len() - first);
    let ack = &round.acks[picked];
    let server = round.scene.restored("again", &["--xid", &ack.xid]).await;
    let state = server.node().value(STATE).await.unwrap();
    assert_eq!(state, ack.state, "seed {seed}, {trouble:?}, transaction {picked}, xid {}", ack.xid);
    drop(server);
    round.running.proxy.stop().await;
    refused
}

async fn archiving(scene: &Scene, keys: &str) -> Running {
    let store = format!("store = \"file://{}\"\n{keys}", scene.place("store").display());
    proxy(&scene.servers).with("backup", &store).start().await
}

impl Round {
    fn node(&self) -> &Node {
        self.scene.servers.node(self.primary)
    }

    async fn write(&mut self, transactions: usize) {
        let client = self.node().connect().await.unwrap();
        for _ in 0..transactions {
            self.write_one(&client).await;
        }
    }

    /// One transaction of chance; noted when it is acknowledged.
    async fn write_one(&mut self, client: &Client) {
        let n = self.dice.below(4_000);
        let change = match self.dice.below(4) {
            0 => format!("DELETE FROM t WHERE n % 97 = {}", n % 97),
            1 => format!("UPDATE t SET filler = md5(filler) WHERE n % 31 = {}", n % 31),
            2 => format!("INSERT INTO t SELECT g, 'new' FROM generate_series({n}, {n} + 20) AS g"),
            _ => format!("INSERT INTO t VALUES ({n}, repeat('x', {n}))"),
        };
        let ask = |sql: &'static str| async move {
            client.query_one(sql, &[]).await.unwrap().get::<_, String>(0)
        };
        client.batch_execute(&format!("BEGIN; {change}")).await.unwrap();
        let xid = ask("SELECT pg_current_xact_id()::text").await;
        let state = ask(STATE).await;
        client.batch_execute("COMMIT").await.unwrap();
        self.acks.push(Ack { xid, state });
    }

    /// Until there is a backup; the writer goes on meanwhile.
    async fn back_up(&mut self, trouble: Trouble) -> u64 {
        let before = self.scene.objects().await.len();
        let mut child = self.scene.start(&["backup", "now"]);
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while self.scene.objects().await.len() <= before + 1 && std::time::Instant::now() < end {
            self.write(1).await;
        }
        match trouble {
            Trouble::Nothing => {}
            Trouble::ReplicaDies => {
                // Nobody is busy, so it is the first one.
                self.scene.servers.replica(0).kill();
                self.scene.servers.replica(0).start().await.unwrap();
            }
            Trouble::BackupDies => child.start_kill().unwrap(),
            Trouble::ProxyRestarts => {
                let new = archiving(&self.scene, &self.keys).await;
                std::mem::replace(&mut self.running, new).proxy.stop().await;
            }
            Trouble::Promotion => self.promote().await,
        }
        self.write(5).await;
        let mut done = said(child).await;
        let mut refused = 0;
        while !done.ok {
            refused += 1;
            let is_told = done.err.contains("tidegate: ");
            let was_killed = matches!(trouble, Trouble::BackupDies);
            assert!(refused < 5 && (is_told || was_killed), "{trouble:?}: {done:?}");
            done = self.scene.run(&["backup", "now"]).await;
        }
        refused
    }

    /// The other replica than the one that is copied takes over; nothing acknowledged is lost.
    async fn promote(&mut self) {
        self.scene.servers.caught_up().await.unwrap();
        let [a, b, c] = [0, 1, 2].map(|n| self.scene.servers.node(n));
        a.kill();
        c.promote().await.unwrap();
        b.follow(c).await.unwrap();
        self.primary = 2;
    }
}
