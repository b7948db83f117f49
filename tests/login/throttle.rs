//! What failed logins cost, and whom.

use crate::fixture::{Said, Secrets, refused, reload_with, servers, who};
use crate::support::proxy::{Running, proxy};
use crate::support::{Cluster, ask};
use std::time::{Duration, Instant};

async fn start(servers: &Cluster, secrets: &Secrets, keys: &str) -> Running {
    let users = [secrets.user("app", "pencil"), secrets.user("web", "spider")].join("\n");
    let auth = format!("method = \"scram\"\n{users}\n{keys}");
    proxy(servers).with("auth", &auth).start().await
}

fn throttled(running: &Running) -> u64 {
    running.cluster().counters.throttled_logins.get()
}

/// The first failures cost nothing, the next one is not even tried.
const STRICT: &str = "throttle = { failures = 3, delay = \"1h\", max_delay = \"1h\" }";

/// What an attempt is told that would have to wait too long.
fn too_many(said: &Said, user: &str) -> bool {
    let told = format!("too many failed logins of user \"{user}\" from 127.0.0.1: wait for ");
    said.code == "28000" && said.message.starts_with(&told) && !said.hint.is_empty()
}

#[tokio::test]
async fn failures_hold_up_this_user_from_this_address_only_known_or_not() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let running = start(&servers, &secrets, STRICT).await;
    for user in ["app", "nobody"] {
        let crowd = (0..40).map(|_| who(&running, user, "wrong"));
        let answers = futures_util::future::join_all(crowd).await;
        let (tried, others): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|said| *said == refused(user));
        // All came before the first of them was judged.
        assert_eq!((tried.len(), others.len()), (3, 37));
        for said in others {
            let said = said.expect_err("refused");
            assert!(too_many(&said, user), "{said:?}");
        }
    }
    let said = who(&running, "app", "pencil").await.expect_err("not tried");
    assert!(too_many(&said, "app"), "{said:?}");
    assert_eq!(who(&running, "web", "spider").await, Ok("web".into()));
    assert_eq!(throttled(&running), 75);
}

#[tokio::test]
async fn a_delayed_login_succeeds_in_the_end_and_resets() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let keys = "throttle = { failures = 3, delay = \"2s\", max_delay = \"2s\" }";
    let running = start(&servers, &secrets, keys).await;
    for _ in 0..3 {
        assert_eq!(who(&running, "app", "pen").await, refused("app"));
    }
    assert_eq!(throttled(&running), 0);
    let failed = Instant::now();
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    // A machine that stood still meanwhile has waited for it.
    assert!(failed.elapsed() >= Duration::from_secs(1), "{:?}", failed.elapsed());
    let before = throttled(&running);
    for _ in 0..3 {
        assert_eq!(who(&running, "app", "pen").await, refused("app"));
    }
    assert_eq!(throttled(&running), before);
}

#[tokio::test]
async fn many_names_from_one_address_are_slowed_down_but_not_who_is_known_there() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let keys = "throttle = { failures_per_address = 6, delay = \"1h\", max_delay = \"1h\" }";
    let running = start(&servers, &secrets, keys).await;
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    for n in 0..6 {
        let user = format!("user{n}");
        assert_eq!(who(&running, &user, "wrong").await, refused(&user));
    }
    let said = who(&running, "web", "spider").await.expect_err("slowed down");
    assert!(too_many(&said, "web"), "{said:?}");
    assert_eq!(who(&running, "app", "pencil").await, Ok("app".into()));
    // A reload changes it, and what was counted stays.
    let next = |text: String| text.replace("failures_per_address = 6", "failures_per_address = 0");
    reload_with(&running, next).await;
    assert_eq!(who(&running, "web", "spider").await, Ok("web".into()));
}

#[tokio::test]
async fn nobody_is_held_up_for_longer_than_a_login_may_take() {
    let (servers, secrets) = (servers("scram").start().await.expect("a cluster"), Secrets::new());
    let users = [secrets.user("app", "pencil"), secrets.user("web", "spider")].join("\n");
    let wait = "throttle = { failures = 1, delay = \"5m\", max_delay = \"5m\" }";
    let auth = format!("method = \"scram\"\n{users}\n{wait}");
    let running = proxy(&servers).with("auth", &auth).with("pool", "max_clients = 1").start().await;
    assert_eq!(who(&running, "app", "pen").await, refused("app"));
    let told = async || loop {
        // The place of the one before may be given back a moment after its end was seen.
        match who(&running, "app", "pen").await.expect_err("refused") {
            said if said.code == "53300" => continue,
            said => break said,
        }
    };
    for _ in 0..20 {
        let said = told().await;
        assert!(too_many(&said, "app"), "{said:?}");
    }
    ask::until("a login", || async { who(&running, "web", "spider").await.is_ok() }).await;
}
