//! `auth_hba_file`: its lines as `auth.rules`. A line that cannot be said is named; a rejection that
//! cannot be said in full rejects more.

use super::File;
use super::hba::{self, Name, Record};
use crate::import::Work;
use crate::import::ini::Setting;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use toml::Value;

/// One of `auth.rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    /// `None`: all.
    users: Option<Vec<String>>,
    databases: Option<Vec<String>>,
    from: Option<IpNet>,
    tls: &'static str,
    /// In its file.
    line: usize,
}

/// Why a line is not carried over, and what to do.
struct Lost(&'static str, &'static str);

const NO_PROOF: Lost = Lost(
    "there is no such way to prove who one is.",
    "Use \"scram\": auth.users or auth.auth_query.",
);
const GROUPS: Lost =
    Lost("groups are not known here.", "Write a rule with the names of its members.");

impl Rule {
    /// Lets clients of other machines in, whoever they say they are.
    pub(super) fn trusts_others(&self) -> bool {
        let loopback = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
        self.method == "trust" && !self.from.as_ref().is_some_and(loopback)
    }

    pub(super) fn asks(&self) -> bool {
        matches!(self.method, "scram" | "password")
    }

    /// Into `[[clusters.NAME.auth.rules]]`.
    pub(super) fn put(&self, work: &mut Work<'_>, cluster: &str) {
        let list =
            |names: &[String]| Value::Array(names.iter().map(|n| n.as_str().into()).collect());
        let table = work.draft.element(&["clusters", cluster, "auth", "rules"]);
        table.set("method", self.method, format!("auth_hba_file, its line {}", self.line));
        if let Some(users) = &self.users {
            table.set("users", list(users), "");
        }
        if let Some(databases) = &self.databases {
            table.set("databases", list(databases), "");
        }
        if let Some(from) = &self.from {
            table.set("from", list(&[from.to_string()]), "");
        }
        if self.tls != "any" {
            table.set("tls", self.tls, "");
        }
    }
}

/// The rules of `auth_type = hba`; none: there are no such rules, or none could be read.
pub(super) fn read(work: &mut Work<'_>, file: &File) -> Vec<Rule> {
    let Some(setting) = file.get("auth_hba_file") else { return Vec::new() };
    if file.value("auth_type") != Some("hba") {
        let why = "PgBouncer reads it only with auth_type = hba, so it counted for nothing.";
        work.note(setting.line, format!("auth_hba_file = {}", setting.value), why, "");
        return Vec::new();
    }
    let Some(found) = (work.source.read)(Path::new(&setting.value)) else {
        let shown = format!("auth_hba_file = {}", setting.value);
        let why = "the file cannot be read here: \"scram\" is asked of all.";
        let todo = "Import again where it is, or write its lines as auth.rules.";
        work.note(setting.line, shown, why, todo);
        return Vec::new();
    };
    let shows_certificates = file.get("client_tls_ca_file").is_some()
        && file.value("client_tls_sslmode").is_some_and(|mode| mode != "disable");
    let mut rules = Vec::new();
    for record in hba::records(&found.text) {
        match rule(work, setting, &record, shows_certificates) {
            Ok(rule) => rules.push(rule),
            Err(Lost(why, todo)) => note(work, setting, &record, why, todo),
        }
    }
    if rules.is_empty() {
        let why = "none of its lines could be carried over: \"scram\" is asked of all.";
        work.note(setting.line, "auth_hba_file", why, "Write auth.rules.");
    }
    rules
}

fn note(work: &mut Work<'_>, setting: &Setting, record: &Record, why: &str, todo: &str) {
    // What follows the method may hold a password.
    let shown: Vec<&str> =
        (0..4).map(|field| record.word(field)).filter(|w| !w.is_empty()).collect();
    let shown = format!("auth_hba_file, its line {} ({} …)", record.line, shown.join(" "));
    work.note(setting.line, shown, why, todo);
}

fn rule(
    work: &mut Work<'_>,
    setting: &Setting,
    record: &Record,
    shows_certificates: bool,
) -> Result<Rule, Lost> {
    let tls = match record.word(0) {
        "host" | "hostnogssenc" => "any",
        "hostssl" => "required",
        "hostnossl" => "refused",
        "local" => {
            let todo = "Local clients come from 127.0.0.1 or ::1: give those a rule.";
            return Err(Lost("there are no Unix sockets here.", todo));
        }
        "hostgssenc" => return Err(Lost("there is no GSSAPI.", "")),
        _ => return Err(Lost("it is no line that this importer knows.", "Look at it.")),
    };
    let (from, method_at) = address(record);
    let method = method(work, setting, record, method_at);
    let rejects = matches!(method, Ok("reject"));
    // What cannot be said of a rejection is left open, so that it rejects more.
    let mut widened = None;
    let from = or_all(from, rejects, &mut widened)?;
    let databases = or_all(names_of(work, record, 1, "database"), rejects, &mut widened)?;
    let users = or_all(names_of(work, record, 2, "user"), rejects, &mut widened)?;
    let method = method?;
    if databases.as_deref().is_some_and(|names| names == ["pgbouncer"]) {
        let todo = "console.users has who may log in there.";
        return Err(Lost("it is about the console, which has users of its own.", todo));
    }
    if method == "cert" && (!shows_certificates || tls == "refused") {
        let todo = "Set tls.mode = \"verify\" with tls.ca, and write the rule.";
        return Err(Lost("certificates are not asked for (client_tls_sslmode).", todo));
    }
    if let Some(why) = widened {
        let why = format!("{why} Now it rejects whatever else it says.");
        note(work, setting, record, &why, "Write it as it was meant.");
    }
    Ok(Rule { method, users, databases, from, tls, line: record.line })
}

/// All, where that is safe and nothing else can be said.
fn or_all<T>(
    said: Result<Option<T>, Lost>,
    rejects: bool,
    widened: &mut Option<&'static str>,
) -> Result<Option<T>, Lost> {
    match said {
        Err(Lost(why, _)) if rejects => {
            *widened = Some(why);
            Ok(None)
        }
        said => said,
    }
}

/// The address, and the field of the method behind it.
fn address(record: &Record) -> (Result<Option<IpNet>, Lost>, usize) {
    let word = record.word(3);
    if word == "all" {
        return (Ok(None), 4);
    }
    if let Ok(net) = word.parse::<IpNet>() {
        return (Ok(Some(net.trunc())), 4);
    }
    if let (Ok(ip), Ok(mask)) = (word.parse::<IpAddr>(), record.word(4).parse::<IpAddr>()) {
        let net = IpNet::with_netmask(ip, mask).map(|net| Some(net.trunc()));
        return (net.map_err(|_| Lost("its mask is none.", "Look at it.")), 5);
    }
    if let Ok(ip) = word.parse::<IpAddr>() {
        return (Ok(Some(IpNet::from(ip))), 4);
    }
    let todo = "Write a rule with the network's address.";
    (Err(Lost("rules have addresses, not names of machines.", todo)), 4)
}

fn method(
    work: &mut Work<'_>,
    setting: &Setting,
    record: &Record,
    at: usize,
) -> Result<&'static str, Lost> {
    let options = record.fields.get(at + 1..).unwrap_or_default();
    let known = match record.word(at) {
        "trust" => "trust",
        "reject" => "reject",
        "scram-sha-256" => "scram",
        "password" | "plain" => "password",
        "cert" => "cert",
        "md5" => {
            let why = "md5 is broken, and is not spoken here: it became \"scram\".";
            note(work, setting, record, why, "Clients of the last ten years know SCRAM.");
            "scram"
        }
        "peer" => return Err(Lost("there are no Unix sockets here.", "")),
        _ => return Err(NO_PROOF),
    };
    match options.is_empty() {
        true => Ok(known),
        false if known == "cert" => {
            let why = "names are not mapped: the certificate's name must be the user's.";
            note(work, setting, record, why, "");
            Ok(known)
        }
        false => Err(Lost("its options have no meaning here.", "Write the rule as it should be.")),
    }
}

/// The names of a field; `None`: all.
fn names_of(
    work: &Work<'_>,
    record: &Record,
    field: usize,
    kind: &str,
) -> Result<Option<Vec<String>>, Lost> {
    let listed = record.fields.get(field).map(Vec::as_slice).unwrap_or_default();
    let mut names = Vec::new();
    for name in listed {
        for name in included(work, name)? {
            match name.text.as_str() {
                "all" if !name.quoted => return Ok(None),
                "sameuser" | "samerole" | "samegroup" if !name.quoted && kind == "database" => {
                    let why = "a rule does not compare the database with the user.";
                    return Err(Lost(why, "Write a rule for each user."));
                }
                text if text.starts_with('+') && !name.quoted => return Err(GROUPS),
                text if text.starts_with('/') && !name.quoted => {
                    return Err(Lost("names are no regular expressions.", "Write the names."));
                }
                text => names.push(text.to_owned()),
            }
        }
    }
    match names.is_empty() {
        true => Err(Lost("it has no names.", "Look at it.")),
        false => Ok(Some(names)),
    }
}

/// The name, or those of the file that it means: `@admins`.
fn included(work: &Work<'_>, name: &Name) -> Result<Vec<Name>, Lost> {
    let Some(path) = name.text.strip_prefix('@').filter(|_| !name.quoted) else {
        return Ok(vec![name.clone()]);
    };
    let found = (work.source.read)(Path::new(path));
    let found = found.ok_or(Lost("a file of names cannot be read here.", "Write the names."))?;
    Ok(hba::names(&found.text))
}
