//! LISTEN without a server connection: who hears what, and when, as with one's own connection.

use crate::shared;
use crate::support::Cluster;
use crate::support::proxy::{Running, proxy};
use crate::wire::*;
use std::sync::Arc;

/// A proxy with this many server connections for each pool, in front of a primary.
async fn stage(size: usize) -> (Arc<Cluster>, Running) {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", &format!("size = {size}")).start().await;
    (servers, running)
}

/// Channel, payload and process id of the notifications among these frames.
pub fn heard(frames: &[Frame]) -> Vec<(String, String, u32)> {
    let one = |frame: &Frame| {
        let pid = u32::from_be_bytes(frame.body[..4].try_into().expect("four bytes"));
        let mut parts = frame.body[4..].split(|b| *b == 0);
        let mut part = || String::from_utf8(parts.next().expect("a part").to_vec()).expect("UTF-8");
        (part(), part(), pid)
    };
    frames.iter().filter(|frame| frame.tag == b'A').map(one).collect()
}

/// Payloads that come with the answer to something harmless: all that was notified before.
pub async fn payloads(wire: &mut Wire) -> Vec<String> {
    let frames = wire.run("SELECT 1").await;
    heard(&frames).into_iter().map(|(_, payload, _)| payload).collect()
}

async fn pins(running: &Running) -> Vec<String> {
    let clients = running.admin("SHOW CLIENTS").await;
    clients.iter().filter_map(|row| row[13].clone()).collect()
}

#[tokio::test]
async fn fifty_clients_listen_over_two_connections() {
    let (_servers, running) = stage(2).await;
    let mut listeners = Vec::new();
    for number in 0..50 {
        let mut wire = Wire::start(running.postgres).await;
        wire.run(&format!("LISTEN fifty; LISTEN fifty_{number}")).await;
        listeners.push(wire);
    }
    assert_eq!(pins(&running).await, [""; 0]);
    let mut notifier = Wire::start(running.postgres).await;
    notifier.run("NOTIFY fifty, 'all'; NOTIFY fifty_7, 'one'").await;
    for (number, wire) in listeners.iter_mut().enumerate() {
        // Nobody asks: it comes by itself.
        let frame = wire.next().await.expect("a notification");
        assert_eq!(heard(&[frame]), [("fifty".into(), "all".into(), notifier.pid)]);
        let more: &[&str] = if number == 7 { &["one"] } else { &[] };
        assert_eq!(payloads(wire).await, more);
    }
    assert!(running.counts(0).opened <= 2);
}

#[tokio::test]
async fn a_notification_of_ones_own_comes_before_the_end_of_the_answer() {
    let (_servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN own").await;
    let mine = |wire: &Wire| vec![("own".to_owned(), "x".to_owned(), wire.pid)];
    for _ in 0..20 {
        let frames = wire.run("NOTIFY own, 'x'").await;
        assert_eq!((tags(&frames), heard(&frames)), ("CAZ".into(), mine(&wire)));
    }
    let frames = wire.run("BEGIN; NOTIFY own, 'x'; COMMIT").await;
    assert_eq!((tags(&frames), heard(&frames)), ("CCCAZ".into(), mine(&wire)));
    let frames = wire.run("BEGIN; SELECT pg_notify('own', 'x')").await;
    assert_eq!(tags(&frames), "CTDCZ");
    let frames = wire.run("COMMIT").await;
    assert_eq!((tags(&frames), heard(&frames)), ("CAZ".into(), mine(&wire)));
    let frames = wire.ask(&[unnamed("NOTIFY own, 'x'"), sync()].concat()).await;
    assert_eq!((tags(&frames), heard(&frames)), ("12CAZ".into(), mine(&wire)));
}

#[tokio::test]
async fn who_asked_for_the_servers_process_id_knows_its_notifications_by_that() {
    let (_servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN own").await;
    let pid: u32 = wire.value("SELECT pg_backend_pid()").await.parse().expect("a number");
    assert_ne!(pid, wire.pid);
    let frames = wire.run("NOTIFY own, 'x'").await;
    assert_eq!(heard(&frames), [("own".to_owned(), "x".to_owned(), pid)]);
}

#[tokio::test]
async fn only_a_transaction_that_commits_listens() {
    let (_servers, running) = stage(1).await;
    let mut notifier = Wire::start(running.postgres).await;
    // What the session did before, what it does then, and whether it listens in the end.
    for (before, does, hears) in [
        ("", "BEGIN; LISTEN roll; ROLLBACK", false),
        ("", "BEGIN; LISTEN roll; COMMIT", true),
        ("", "BEGIN; SAVEPOINT s; LISTEN roll; ROLLBACK TO s; COMMIT", false),
        ("", "BEGIN; SAVEPOINT s; LISTEN roll; RELEASE s; COMMIT", true),
        ("", "BEGIN; LISTEN roll; SELECT 1/0; COMMIT", false),
        ("LISTEN roll", "BEGIN; UNLISTEN roll; ROLLBACK", true),
        ("LISTEN roll", "BEGIN; UNLISTEN roll; COMMIT", false),
        ("LISTEN roll", "BEGIN; UNLISTEN *; LISTEN roll; COMMIT", true),
        ("LISTEN roll", "BEGIN; SAVEPOINT s; UNLISTEN roll; ROLLBACK TO s; COMMIT", true),
        ("LISTEN roll", "UNLISTEN *", false),
        ("LISTEN roll", "DISCARD ALL", false),
        ("LISTEN other", "LISTEN roll", true),
    ] {
        for split in [false, true] {
            let mut wire = Wire::start(running.postgres).await;
            wire.run(before).await;
            let parts = if split { does.split("; ").collect() } else { vec![does] };
            for part in parts {
                wire.ask(&query(part)).await;
            }
            wire.ask(&query("ROLLBACK")).await;
            notifier.run("NOTIFY roll, 'x'").await;
            let expected: &[&str] = if hears { &["x"] } else { &[] };
            assert_eq!(payloads(&mut wire).await, expected, "{does}, split: {split}");
        }
    }
    // An implicit transaction is one, too.
    let mut wire = Wire::start(running.postgres).await;
    assert_eq!(code(&wire.ask(&query("LISTEN roll; SELECT 1/0")).await), "22012");
    notifier.run("NOTIFY roll, 'x'").await;
    assert_eq!(payloads(&mut wire).await, [""; 0]);
    assert_eq!(running.counts(0).opened, 1);
}

#[tokio::test]
async fn whoever_takes_over_the_connection_hears_nothing() {
    let (servers, running) = stage(1).await;
    let mut first = Wire::start(running.postgres).await;
    let mut second = Wire::start(running.postgres).await;
    for _ in 0..10 {
        first.run("LISTEN mine").await;
        let listening = "SELECT count(*) FROM pg_listening_channels()";
        assert_eq!(second.value(listening).await, "0");
        servers.sql("NOTIFY mine, 'x'").await.expect("a notification");
        assert_eq!(payloads(&mut second).await, [""; 0]);
        assert_eq!(payloads(&mut first).await, ["x"]);
    }
    drop(first);
    servers.sql("NOTIFY mine, 'x'").await.expect("a notification");
    assert_eq!(payloads(&mut second).await, [""; 0]);
}

#[tokio::test]
async fn a_session_sees_its_own_channels_and_no_others() {
    let (servers, running) = stage(1).await;
    let mut first = Wire::start(running.postgres).await;
    let mut second = Wire::start(running.postgres).await;
    first.run("LISTEN \"it's\"; LISTEN plain").await;
    second.run("LISTEN second").await;
    let list = "SELECT string_agg(c, ',' ORDER BY c) FROM pg_listening_channels() c";
    for _ in 0..3 {
        assert_eq!(first.value(list).await, "it's,plain");
        assert_eq!(second.value(list).await, "second");
        servers.sql("NOTIFY plain, 'x'").await.expect("a notification");
        assert_eq!(payloads(&mut first).await, ["x"]);
        assert_eq!(payloads(&mut second).await, [""; 0]);
    }
    first.run("UNLISTEN plain").await;
    assert_eq!(first.value(list).await, "it's");
}

#[tokio::test]
async fn a_transaction_hears_nothing_before_its_end() {
    let (servers, running) = stage(2).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN later").await;
    wire.run("BEGIN").await;
    servers.sql("NOTIFY later, 'one'").await.expect("a notification");
    assert_eq!(tags(&wire.run("SELECT 1").await), "TDCZ");
    wire.ask(&query("SELECT 1/0")).await;
    servers.sql("NOTIFY later, 'two'").await.expect("a notification");
    let frames = wire.run("ROLLBACK").await;
    assert_eq!(tags(&frames), "CAAZ");
}

#[tokio::test]
async fn the_order_of_each_notifier_is_kept() {
    const EACH: usize = 250;
    // All over one connection: its process id alone does not tell who it was.
    let (_servers, running) = stage(1).await;
    let mut listeners = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::start(running.postgres).await;
        wire.run("LISTEN \"order\"").await;
        listeners.push(wire);
    }
    let notifiers = (0..4).map(|notifier| {
        let address = running.postgres;
        tokio::spawn(async move {
            let mut wire = Wire::start(address).await;
            for number in 0..EACH {
                wire.run(&format!("NOTIFY \"order\", '{notifier} {number}'")).await;
            }
            wire.pid
        })
    });
    let mut pids = Vec::new();
    for notifier in notifiers.collect::<Vec<_>>() {
        pids.push(notifier.await.expect("a notifier"));
    }
    for wire in &mut listeners {
        let frames = wire.run("SELECT 1").await;
        let mut next = [0; 4];
        for (_, payload, pid) in heard(&frames) {
            let (notifier, number) = payload.split_once(' ').expect("two numbers");
            let notifier: usize = notifier.parse().expect("a number");
            assert_eq!((number.to_owned(), pid), (next[notifier].to_string(), pids[notifier]));
            next[notifier] += 1;
        }
        assert_eq!(next, [EACH; 4]);
    }
}

#[tokio::test]
async fn names_and_payloads_arrive_as_they_were_given() {
    let (servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    let longest = "x".repeat(7999);
    let seventy = "l".repeat(70);
    wire.run(&format!("LISTEN News; LISTEN \"New \"\"S ü\"; LISTEN {seventy}")).await;
    for (channel, payload) in
        [("news", longest.as_str()), ("New \"S ü", "it's"), (&seventy[..63], "")]
    {
        let quoted = channel.replace('"', "\"\"");
        let sql = format!("NOTIFY \"{quoted}\", '{}'", payload.replace('\'', "''"));
        servers.sql(&sql).await.expect("a notification");
        let got = heard(&wire.run("SELECT 1").await);
        let got: Vec<_> = got.iter().map(|(c, p, _)| (c.as_str(), p.as_str())).collect();
        assert_eq!(got, [(channel, payload)]);
    }
    servers.sql("NOTIFY \"News\", 'another'").await.expect("a notification");
    assert_eq!(payloads(&mut wire).await, [""; 0]);
}

#[tokio::test]
async fn the_extended_protocol_listens_too() {
    let (servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    let mut other = Wire::start(running.postgres).await;
    // A pipeline with a Sync behind each statement, sent at once.
    let batch = [unnamed("LISTEN ext"), sync(), unnamed("NOTIFY ext, 'a'"), sync()].concat();
    let frames = wire.ask(&batch).await;
    assert_eq!(tags(&frames), "12CZ");
    assert_eq!(tags(&wire.until_ready().await), "12CAZ");
    wire.ask(&[parse("l", "LISTEN ext_named"), parse("u", "UNLISTEN *"), sync()].concat()).await;
    let run = |name: &str| [bind("", name, &[]), execute("", 0), sync()].concat();
    for _ in 0..2 {
        wire.ask(&run("l")).await;
        assert_eq!(other.value("SELECT 1").await, "1");
        servers.sql("NOTIFY ext_named, 'b'").await.expect("a notification");
        assert_eq!(payloads(&mut wire).await, ["b"]);
        wire.ask(&run("u")).await;
        servers.sql("NOTIFY ext_named, 'c'").await.expect("a notification");
        assert_eq!(payloads(&mut wire).await, [""; 0]);
    }
    // In a batch that fails later nothing is listened to.
    let frames = wire.ask(&[unnamed("LISTEN ext"), unnamed("SELECT 1/0"), sync()].concat()).await;
    assert_eq!(code(&frames), "22012");
    servers.sql("NOTIFY ext, 'd'").await.expect("a notification");
    assert_eq!(payloads(&mut wire).await, [""; 0]);
    assert_eq!(pins(&running).await, [""; 0]);
}

#[tokio::test]
async fn a_pinned_session_hears_each_notification_once() {
    let (servers, running) = stage(1).await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("CREATE TEMP TABLE x (a int)").await;
    wire.run("LISTEN pinned").await;
    wire.run("DO 'BEGIN EXECUTE ''LISTEN by_code''; END'").await;
    for number in 0..10 {
        let sql = format!("NOTIFY pinned, '{number}'; NOTIFY by_code, '{number}'");
        servers.sql(&sql).await.expect("a notification");
        let mut got = Vec::new();
        while got.len() < 2 {
            got.extend(heard(&[wire.next().await.expect("a notification")]));
        }
        got.sort();
        let channels: Vec<_> = got.iter().map(|(channel, ..)| channel.as_str()).collect();
        assert_eq!(channels, ["by_code", "pinned"]);
        assert_eq!(payloads(&mut wire).await, [""; 0]);
    }
    wire.run("DROP TABLE x").await;
    eventually("the pin by code", async || pins(&running).await == ["listen"]).await;
    wire.run("UNLISTEN by_code").await;
    eventually("its end", async || pins(&running).await.is_empty()).await;
    servers.sql("NOTIFY pinned, 'last'; NOTIFY by_code").await.expect("a notification");
    assert_eq!(payloads(&mut wire).await, ["last"]);
}

#[tokio::test]
async fn a_session_in_another_encoding_listens_by_itself() {
    let (servers, running) = stage(1).await;
    let hello = [("user", "postgres"), ("database", "postgres"), ("client_encoding", "LATIN1")];
    let mut wire = Wire::start_with(running.postgres, &startup(0, &hello)).await;
    wire.run("LISTEN latin").await;
    eventually("the pin", async || pins(&running).await == ["listen"]).await;
    servers.sql("NOTIFY latin, 'ü'").await.expect("a notification");
    let frame = wire.next().await.expect("a notification");
    assert_eq!(&frame.body[4..], b"latin\0\xfc\0");
}

#[tokio::test]
async fn a_session_pool_changes_nothing() {
    let servers = shared::single().await;
    let running = proxy(&servers).with("pool", "size = 1\nmode = \"session\"").start().await;
    let mut wire = Wire::start(running.postgres).await;
    wire.run("LISTEN own_server").await;
    servers.sql("NOTIFY own_server, 'x'").await.expect("a notification");
    let frame = wire.next().await.expect("a notification");
    assert_eq!(heard(&[frame])[0].1, "x");
    assert!(running.cluster().hubs.all().is_empty());
}
