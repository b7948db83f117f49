//! What a user is told about rules, limits and throttling of logins, word by word.

use std::io;
use std::path::Path;
use std::time::Duration;
use tidegate::config::{self, Config, Problems, Surroundings};
use tidegate::pg::auth::Method;
use tidegate::pg::auth::rules::{Action, Encryption, Names, Networks};

/// Every file holds `hunter2` and nothing else.
struct AnyFile;

impl Surroundings for AnyFile {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok("hunter2\n".to_owned())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        Some(0o600)
    }
}

/// The least that works, as lines 1 to 4; what is to be tested goes below.
const LEAST: &str = r#"[clusters.orders]
nodes = [{ name = "a", address = "db:5432" }]
monitor.user = "tidegate"
auth.users.app.password_file = "app"
"#;

fn read(more: &str) -> Result<Config, Problems> {
    config::parse_in(&format!("{LEAST}{more}"), "tidegate.toml", &AnyFile)
}

fn told(more: &str) -> String {
    match read(more) {
        Ok(config) => config.warnings.iter().map(|w| format!("{w}\n")).collect(),
        Err(problems) => problems.to_string(),
    }
}

fn rules(rules: &str) -> String {
    told(&format!("auth.rules = [\n{rules}\n]\n"))
}

#[test]
fn rules_are_read_in_their_order_with_their_defaults() {
    let text = r#"
[[clusters.orders.auth.rules]]
users = ["app", "web"]
databases = ["orders"]
from = ["10.0.0.0/8", "fd00::/8"]
tls = "refused"
method = "scram"
[[clusters.orders.auth.rules]]
method = "reject"
"#;
    let config = read(text).unwrap();
    assert_eq!(config.warnings, []);
    let rules = &config.settings.clusters["orders"].auth.rules;
    assert_eq!(rules[0].users, Names::Listed(vec!["app".into(), "web".into()]));
    let nets = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
    assert_eq!(rules[0].from, Networks::Listed(nets.into()));
    assert_eq!(
        (rules[0].tls, rules[0].method),
        (Encryption::Refused, Action::Prove(Method::Scram))
    );
    assert_eq!((&rules[1].users, &rules[1].databases), (&Names::Any, &Names::Any));
    assert_eq!((&rules[1].from, rules[1].tls), (&Networks::Any, Encryption::Any));
    let shown = &config.effective()["clusters.orders.auth.rules[0].from"].value;
    assert_eq!(shown, r#"["10.0.0.0/8", "fd00::/8"]"#);
}

#[test]
fn each_mistake_is_told_with_line_key_and_hint() {
    for (rule, expected) in [
        (
            r#"{ method = "scram", from = ["10.0.0.0/33"] }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].from = […]: \"10.0.0.0/33\" is not a network such as \"10.0.0.0/8\"\n  hint: leave it out for the default, \"*\"",
        ),
        (
            r#"{ method = "scram", from = ["10.0.0.1/8"] }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].from = […]: \"10.0.0.1/8\" has bits beyond its prefix\n  hint: write \"10.0.0.0/8\"",
        ),
        (
            r#"{ method = "scram", from = ["::1"] }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].from = […]: \"::1\" has no prefix length\n  hint: write \"::1/128\"",
        ),
        (
            r#"{ method = "scram", users = "app" }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].users = \"app\": must be a list of names such as [\"app\", \"web\"], or \"*\"\n  hint: one is a list too: [\"app\"]",
        ),
        (
            r#"{ method = "scram", databases = ["*", "a"] }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].databases = […]: must be a list of names such as [\"app\", \"web\"], or \"*\"\n  hint: \"*\" stands alone",
        ),
        (
            r#"{ method = "scam" }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].method = \"scam\": must be \"trust\", \"password\", \"scram\", \"cert\" or \"reject\"\n  hint: did you mean \"scram\"?",
        ),
        (
            r#"{ users = ["app"] }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].method: is missing: \"trust\", \"password\", \"scram\", \"cert\" or \"reject\"\n  hint: for example method = \"scram\"",
        ),
        (
            r#"{ method = "scram", tls = "no" }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].tls = \"no\": must be \"any\", \"required\" or \"refused\"\n  hint: leave it out for the default, \"any\"",
        ),
        (
            r#"{ method = "scram", user = "*" }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].user: there is no such key\n  hint: did you mean users?",
        ),
        (
            r#"{ method = "cert", tls = "required" }"#,
            "tidegate.toml:6: clusters.orders.auth.rules[0].method = \"cert\": needs clients that show a certificate\n  hint: set tls.mode = \"allow\" or stronger, with tls.cert, tls.key and tls.ca",
        ),
    ] {
        let told = rules(rule);
        let of_it = told.split("\ntidegate.toml").next().unwrap();
        assert_eq!(of_it, expected, "{rule}");
    }
}

#[test]
fn a_rule_that_never_decides_is_a_warning() {
    let told = rules(
        "{ method = \"scram\" },\n{ method = \"reject\", users = [\"eve\"], from = [\"10.0.0.0/8\"] }",
    );
    assert_eq!(
        told,
        "tidegate.toml:7: warning: clusters.orders.auth.rules[1] = {…}: never decides: rules[0] matches all of it before\n  hint: move it up, or remove it\n"
    );
    let told = rules(r#"{ method = "scram", tls = "required" }"#);
    assert_eq!(
        told,
        "tidegate.toml:6: warning: clusters.orders.auth.rules[0].tls = \"required\": never matches: tls.mode is \"off\"\n  hint: set it to \"any\", or remove the rule\n"
    );
    let told = told_with_method();
    assert!(
        told.contains("warning: clusters.orders.auth.method = \"scram\": counts for nobody"),
        "{told}"
    );
}

fn told_with_method() -> String {
    told("auth.method = \"scram\"\nauth.rules = [{ method = \"scram\" }]\n")
}

#[test]
fn trust_for_other_machines_is_refused_on_a_listener_that_they_reach() {
    let public = "\n[listen]\npostgres = \"0.0.0.0:6432\"\n";
    let of = |rules: &str| told(&format!("auth.rules = [{rules}]\n{public}"));
    let open = "{ method = \"scram\", users = [\"app\"] }, { method = \"trust\", from = [\"127.0.0.1/32\", \"10.0.0.0/8\"] }";
    assert_eq!(
        of(open),
        "tidegate.toml:8: listen.postgres = \"0.0.0.0:6432\": other machines reach this, but clusters.orders.auth.rules[1].method = \"trust\" lets everyone in\n  hint: set clusters.orders.auth.rules[1].method = \"scram\", or listen on 127.0.0.1"
    );
    let closed = "{ method = \"scram\", users = [\"app\"] }, { method = \"trust\", from = [\"127.0.0.0/8\", \"::1/128\"] }";
    assert_eq!(of(closed), "");
    let clear = of("{ method = \"password\" }");
    assert!(
        clear.contains("rules[0].method = \"password\": passwords may cross the network"),
        "{clear}"
    );
}

#[test]
fn users_need_a_password_only_where_a_rule_asks_for_it() {
    let user = "auth.users.bare.server_user = \"x\"\n";
    let with = |rules: &str| told(&format!("{user}auth.rules = [{rules}]\n"));
    assert!(with("{ method = \"scram\" }").contains("users.bare"), "it has no other way in");
    let by_trust = "{ method = \"trust\", users = [\"bare\"], from = [\"127.0.0.1/32\"] }, { method = \"scram\" }";
    assert_eq!(with(by_trust), "");
}

#[test]
fn limits_and_delays_have_defaults_and_bounds() {
    let config = read("pool.databases.billing.max_clients = 7\nauth.users.app.max_clients = 3\n");
    let settings = config.unwrap().settings;
    let orders = &settings.clusters["orders"];
    assert_eq!(orders.pool.databases["billing"].max_clients, 7);
    assert_eq!(orders.auth.users["app"].max_clients, Some(3));
    assert_eq!((orders.pool.max_clients_per_user, orders.pool.max_clients_per_database), (0, 0));
    let throttle = &orders.auth.throttle;
    assert_eq!((throttle.failures, throttle.failures_per_address), (5, 50));
    assert_eq!(throttle.max_delay, Duration::from_secs(5));
    let told = told("auth.throttle.delay = \"2h\"\npool.databases.billing = 7\n");
    assert!(told.contains("auth.throttle.delay = \"2h\": must be at most 1h"), "{told}");
    assert!(told.contains("pool.databases.billing = 7: must be a table"), "{told}");
}

#[test]
fn replication_goes_nowhere_to_the_primary_or_to_a_node_that_there_is() {
    let of = |value: &str| told(&format!("replication = {value}\n"));
    for good in ["\"off\"", "\"primary\"", "\"a\""] {
        assert_eq!(of(good), "");
    }
    assert_eq!(
        of("\"c\""),
        "tidegate.toml:5: clusters.orders.replication = \"c\": is not a node of this cluster\n  hint: \"off\", \"primary\" or one of: a"
    );
    assert_eq!(
        of("true"),
        "tidegate.toml:5: clusters.orders.replication = true: must be \"off\", \"primary\" or the name of a node\n  hint: leave it out for the default, \"off\""
    );
}
