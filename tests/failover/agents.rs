//! With an agent beside a server: it is ended for certain, and comes back as a standby.

use crate::authority::{Authority, Pair};
use crate::companion::{Companion, TOKEN, is_alive};
use crate::load::{Told, Writers};
use crate::scene::{DEPOSED, PRIMARY, Scene};
use crate::support::ask::{until, value};
use crate::support::proxy::proxy;
use crate::support::{Cluster, cluster};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tidegate::app::connect;
use tidegate::config;
use tidegate::net::tls::{Authorities, Connector, ServerMode, ServerSide};
use tidegate::orders::{Agent, AgentError, Door, How, Name, Source, Why};

/// Three servers, agents beside those named, and the proxy that knows of them.
async fn scene(hints: &str, named: &[&str], keys: &str) -> (Scene, Vec<Companion>) {
    let servers = servers(hints).await;
    let mut companions = Vec::new();
    let state = tempfile::tempdir().unwrap();
    let mut wanted = proxy(&servers).with("failover", keys).state(state.path());
    for node in servers.nodes().iter().filter(|node| named.contains(&node.name())) {
        let companion = Companion::start(&servers, node, "").await;
        wanted = wanted.node(node.name(), &companion.keys());
        companions.push(companion);
    }
    let running = wanted.start().await;
    let scene = Scene::of(servers, running, state, keys);
    scene.until_well().await;
    (scene, companions)
}

async fn servers(hints: &str) -> Cluster {
    let servers = cluster().replicas(2).conf("wal_log_hints", hints);
    servers.sql("CREATE TABLE told (n int8)").start().await.unwrap()
}

/// `a` follows, and is let in again.
async fn back(scene: &Scene, name: &str) {
    until("a former primary that follows", || async { scene.term(DEPOSED).await.is_empty() }).await;
    let streams = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_replication
                         WHERE application_name = '{name}' AND state = 'streaming')"
    );
    let primary = scene.node(&scene.term(PRIMARY).await);
    primary.until("a standby that streams", &streams).await.unwrap();
}

fn only_unknown(told: &Told) {
    let other: Vec<_> = told.errors.iter().filter(|words| !words.starts_with("08007")).collect();
    assert!(other.is_empty(), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_primary_is_ended_by_its_agent_where_nothing_else_can_prove_it() {
    let keys = "mode = \"automatic\"\nguarantee = \"available\"";
    let (scene, companions) = scene("on", &["a"], keys).await;
    let writers = Writers::start(&scene.running, 8);
    writers.go_on(200).await;
    scene.node("a").freeze().unwrap();
    let primary = scene.settled_in("2").await;
    assert_ne!(primary.name(), "a");
    writers.go_on(200).await;
    only_unknown(&writers.stop().await);
    let failovers = scene.running.admin("SHOW FAILOVERS").await;
    let steps = failovers[0][11].clone().unwrap();
    assert!(steps.contains("stopped by its agent: it was killed"), "{steps}");
    let status = companions[0].orders().status().await.unwrap();
    assert_eq!((status.pid, status.term, status.stopped), (None, 2, true));
    // Whoever starts it again starts nothing that lasts.
    scene.node("a").start().await.ok();
    until("the end of what must not run", || async { scene.node("a").pid().is_none() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_rewound_rejoins_and_reigns_again_and_nothing_is_lost() {
    let keys = "mode = \"automatic\"";
    let (scene, _companions) = scene("on", &["a", "b", "c"], keys).await;
    let writers = Writers::start(&scene.running, 8);
    writers.go_on(200).await;
    scene.node("a").kill();
    writers.go_on(200).await;
    assert_ne!(scene.settled_in("2").await.name(), "a");
    let url =
        format!("host=127.0.0.1 port={} user=x dbname=tidegate", scene.running.console.port());
    let console = scene.running.connect_with(&url).await.unwrap();
    console.batch_execute("REJOIN test.a DRY RUN").await.unwrap();
    assert_eq!(scene.term(DEPOSED).await, "a");
    console.batch_execute("REJOIN test.a").await.unwrap();
    back(&scene, "a").await;
    writers.go_on(200).await;
    until("a switchover back", || async {
        console.batch_execute("SWITCHOVER test TO a").await.is_ok()
    })
    .await;
    let primary = scene.settled_in("3").await;
    assert_eq!(primary.name(), "a");
    writers.go_on(200).await;
    let told = writers.stop().await;
    assert_eq!(told.hold_against(primary).await, Vec::<i64>::new());
    only_unknown(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rewound_is_copied_and_the_old_data_are_kept() {
    let keys = "mode = \"automatic\"\nguarantee = \"available\"\nrejoin = \"automatic\"";
    let (scene, companions) = scene("off", &["a"], keys).await;
    let writers = Writers::start(&scene.running, 4);
    writers.go_on(100).await;
    scene.node("a").kill();
    scene.settled_in("2").await;
    back(&scene, "a").await;
    writers.go_on(100).await;
    drop(writers.stop().await);
    let [kept] = companions[0].kept().try_into().expect("one folder");
    assert!(kept.join("PG_VERSION").exists());
    let status = companions[0].orders().status().await.unwrap();
    assert!(status.standby && status.pid.is_some() && !status.stopped, "{status:?}");
}

fn why(error: AgentError) -> Why {
    match error {
        AgentError::Refused { said, .. } => said.why,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_obeys_the_newest_term_and_whoever_knows_the_token() {
    let servers = servers("on").await;
    let (a, b) = (servers.node(0), servers.node(1));
    let companion = Companion::start(&servers, a, "").await;
    let stranger = companion.orders_with("a-guess").status().await.unwrap_err();
    assert!(matches!(stranger, AgentError::Stranger { .. }), "{stranger}");
    for (token, says) in [(TOKEN, None), ("a-guess", Some("does not know our token"))] {
        std::fs::write(companion.token(), token).unwrap();
        let keys = ("failover", "mode = \"manual\"");
        let text = proxy(&servers).with(keys.0, keys.1).node("a", &companion.keys()).text();
        let settings = config::parse(&text, "test.toml").unwrap().settings;
        let reports = connect::look(&settings).await.unwrap();
        let problems = reports[0].problems().into_iter().map(|problem| problem.says);
        let of_agents = problems.filter(|says| says.contains("agent")).collect::<Vec<_>>();
        assert_eq!(of_agents.len(), usize::from(says.is_some()), "{of_agents:?}");
        assert!(says.is_none_or(|says| of_agents[0].contains(says)), "{of_agents:?}");
    }
    let agent = companion.orders();
    let system = agent.status().await.unwrap().system;
    let of = |term| Name { term, system };
    agent.renew(of(5)).await.unwrap();
    let source = Source { address: b.address(), follower: "a".into() };
    assert_eq!(why(agent.stop(of(4), How::Immediate).await.unwrap_err()), Why::OldTerm);
    assert_eq!(why(agent.copy(of(5), source.clone()).await.unwrap_err()), Why::NotAllowed);
    let other = Name { term: 6, system: system ^ 1 };
    assert_eq!(why(agent.stop(other, How::Immediate).await.unwrap_err()), Why::NotAllowed);
    assert!(a.pid().is_some());
    agent.stop(of(6), How::Immediate).await.unwrap();
    assert!(a.pid().is_none());
    // It would be the primary of a term that is another's.
    assert_eq!(why(agent.start(of(6), false).await.unwrap_err()), Why::NotAllowed);
    agent.start(of(6), true).await.unwrap();
    assert_eq!(why(agent.rewind(of(7), source).await.unwrap_err()), Why::NotAllowed);
    a.sql("INSERT INTO told VALUES (1)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_outlives_a_server_that_its_agent_has_stopped() {
    let servers = servers("on").await;
    let a = servers.primary();
    let companion = Companion::start(&servers, a, "").await;
    let client = a.connect().await.unwrap();
    let session = value(&client, "SELECT pg_backend_pid()").await.parse().unwrap();
    let busy = tokio::spawn(async move {
        client.batch_execute("SELECT count(*) FROM generate_series(1, 1e15)").await
    });
    let runs = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%1e15%'
                 AND state = 'active' AND pid <> pg_backend_pid())";
    a.until("a busy session", runs).await.unwrap();
    // The postmaster alone: its port is closed, and whoever computes goes on.
    let postmaster = Pid::from_raw(a.pid().unwrap().cast_signed()).unwrap();
    kill_process(postmaster, Signal::KILL).unwrap();
    until("the end of the postmaster", || async { a.pid().is_none() }).await;
    assert!(is_alive(session));
    let agent = companion.orders();
    let system = agent.status().await.unwrap().system;
    let says = agent.stop(Name { term: 1, system }, How::Immediate).await.unwrap();
    assert!(!is_alive(session), "{says}");
    assert!(busy.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tls_an_agent_hears_those_whose_certificate_it_knows() {
    let servers = servers("on").await;
    let authority = Authority::new();
    let (of_agent, ours) = (authority.issue(&["127.0.0.1"]), authority.user("proxy"));
    let given = |path: &Path| {
        let to = servers.folder().join(path.file_name().unwrap());
        std::fs::copy(path, &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o644)).unwrap();
        to.display().to_string()
    };
    let (cert, key, ca) = (given(&of_agent.cert), given(&of_agent.key), given(&authority.ca()));
    let tls =
        format!("tls = {{ mode = \"verify\", cert = \"{cert}\", key = \"{key}\", ca = \"{ca}\" }}");
    let companion = Companion::start(&servers, servers.primary(), &tls).await;
    let agent = |shown: Option<&Pair>, ca: &Path| {
        let side = ServerSide {
            mode: ServerMode::VerifyFull,
            ca_file: Some(ca.to_owned()),
            cert_file: shown.map(|pair| pair.cert.clone()),
            key_file: shown.map(|pair| pair.key.clone()),
            ..ServerSide::default()
        };
        let tls = Connector::new(&side, &mut Authorities::default()).unwrap();
        let (address, token) = (companion.address.as_str().into(), Some(TOKEN.into()));
        Agent::new(Door { address, token, tls: Some(tls) })
    };
    let status = agent(Some(&ours), &authority.ca()).status().await.unwrap();
    assert!(status.pid.is_some() && !status.standby);
    let stranger = Authority::new();
    let nobody = [
        agent(None, &authority.ca()),
        agent(Some(&stranger.user("proxy")), &authority.ca()),
        agent(Some(&ours), &stranger.ca()),
        companion.orders(),
    ];
    for agent in nobody {
        let error = agent.status().await.unwrap_err();
        assert!(matches!(error, AgentError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_nobody_renews_is_ended_if_its_agent_is_told_so() {
    let servers = servers("on").await;
    let companion = Companion::start(&servers, servers.primary(), "lease = \"3s\"").await;
    let agent = companion.orders();
    let status = agent.status().await.unwrap();
    agent.renew(Name { term: 1, system: status.system }).await.unwrap();
    assert!(servers.primary().pid().is_some());
    until("the end of the primary", || async { servers.primary().pid().is_none() }).await;
}
