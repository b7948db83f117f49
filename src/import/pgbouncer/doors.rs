//! Where PgBouncer listens, and TLS on both sides.

use super::File;
use super::rules::Rule;
use crate::import::Work;
use crate::import::cluster::of;
use std::path::Path;

pub(super) fn listen(work: &mut Work<'_>, file: &File, rules: &[Rule]) {
    let port = file.value("listen_port").and_then(|port| port.parse::<u16>().ok()).unwrap_or(6432);
    let Some(setting) = file.get("listen_addr") else {
        let why = "there was no listen_addr, so Unix sockets only";
        work.draft.table(&["listen"]).set("postgres", format!("127.0.0.1:{port}"), why);
        return;
    };
    let (line, mut hosts) = (setting.line, setting.value.split(',').map(str::trim));
    let first = hosts.next().unwrap_or_default();
    let mut host = match first {
        "*" => "0.0.0.0",
        "localhost" | "" => "127.0.0.1",
        host => host,
    };
    if host.parse::<std::net::IpAddr>().is_err() {
        let why = "listeners have IP addresses.";
        work.note(
            line,
            format!("listen_addr = {host}"),
            why,
            "Set listen.postgres to the address of that name.",
        );
        host = "127.0.0.1";
    }
    if hosts.next().is_some() {
        let why = "there is one listener for each protocol: the first address was taken.";
        work.note(line, "listen_addr", why, "\"0.0.0.0:PORT\" or \"[::]:PORT\" is all addresses.");
    }
    let trusts = matches!(file.value("auth_type"), Some("any" | "trust"))
        || rules.iter().any(Rule::trusts_others);
    let local = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if trusts && !local {
        let why =
            "a listener for other machines that lets everybody in is refused: it became 127.0.0.1.";
        work.note(
            line,
            format!("listen_addr = {host}"),
            why,
            "Set \"scram\" as auth.method, or in the rule that trusts, and the address again.",
        );
        host = "127.0.0.1";
    }
    let door =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let table = work.draft.table(&["listen"]);
    table.set("postgres", door, of("listen_addr", line));
    table.say("The console has a port of its own: listen.console, 127.0.0.1:6433 by default.");
    if file.value("so_reuseport").is_some_and(|value| value != "0") {
        table.set("reuse_port", true, "so_reuseport");
    }
}

pub(super) fn client_tls(work: &mut Work<'_>, file: &File) {
    let Some(setting) = file.get("client_tls_sslmode") else { return };
    let mode = match setting.value.as_str() {
        "allow" | "prefer" => "allow",
        "require" => "require",
        "verify-ca" | "verify-full" => "verify",
        _ => return,
    };
    let why = of("client_tls_sslmode", setting.line);
    work.draft.table(&["tls"]).set("mode", mode, why);
    let files = [
        ("cert", "client_tls_cert_file"),
        ("key", "client_tls_key_file"),
        ("ca", "client_tls_ca_file"),
    ];
    paths(work, file, &["tls"], files);
}

pub(super) fn server_tls(work: &mut Work<'_>, file: &File, cluster: &str) {
    let path = ["clusters", cluster, "tls"];
    if let Some(setting) = file.get("server_tls_sslmode") {
        let mode = match setting.value.as_str() {
            "allow" => "prefer",
            mode => mode,
        };
        let why = of("server_tls_sslmode", setting.line);
        work.draft.table(&path).set("mode", mode, why);
    }
    let files = [
        ("ca", "server_tls_ca_file"),
        ("cert", "server_tls_cert_file"),
        ("key", "server_tls_key_file"),
    ];
    paths(work, file, &path, files);
}

fn paths(work: &mut Work<'_>, file: &File, table: &[&str], files: [(&str, &str); 3]) {
    for (key, name) in files {
        let Some(setting) = file.get(name) else { continue };
        let found = (work.source.read)(Path::new(&setting.value));
        if found.is_none() {
            let why = "the file cannot be read here.";
            let todo = "Put it there before Tidegate starts.";
            work.note(setting.line, format!("{name} = {}", setting.value), why, todo);
        }
        let why = of(name, setting.line);
        let path = found.map_or_else(|| setting.value.clone(), |found| found.path);
        work.draft.table(table).set(key, path, why);
    }
}
