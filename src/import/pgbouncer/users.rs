//! Who may log in: `auth_type`, `auth_file`, `auth_query`, `[users]`, and the console's users.

use super::File;
use super::databases::Group;
use super::rules::Rule;
use crate::import::Work;
use crate::import::cluster::{number, of};
use crate::import::ini;
use crate::userlist;
use std::path::Path;
use zeroize::Zeroizing;

/// A user of `auth_file`.
pub(super) struct User {
    pub(super) name: String,
    /// The password or its SCRAM verifier; `None`: an md5 hash, or nothing.
    pub(super) secret: Option<Zeroizing<String>>,
}

impl User {
    /// The password itself, where it is known.
    fn plain(&self) -> Option<&str> {
        let secret = self.secret.as_ref()?;
        (!secret.starts_with("SCRAM-SHA-256$")).then_some(secret.as_str())
    }
}

/// What is known of users.
pub(super) struct Users {
    listed: Vec<User>,
    /// Where `auth_file` is, if it was found.
    file: Option<String>,
    /// All of it can be used as it is.
    whole: bool,
    method: &'static str,
    /// Instead of the method, where there are some.
    rules: Vec<Rule>,
}

impl Users {
    fn secret(&self, name: &str) -> Option<&User> {
        self.listed.iter().find(|user| user.name == name && user.secret.is_some())
    }
}

pub(super) fn read(work: &mut Work<'_>, file: &File, rules: Vec<Rule>) -> Users {
    let method = match rules.as_slice() {
        [] => method(work, file),
        rules if rules.iter().any(Rule::asks) => "scram",
        _ => "trust",
    };
    let mut users = Users { listed: Vec::new(), file: None, whole: true, method, rules };
    let Some(setting) = file.get("auth_file") else {
        users.whole = false;
        return users;
    };
    let shown = format!("auth_file = {}", setting.value);
    let Some(found) = (work.source.read)(Path::new(&setting.value)) else {
        let why = "the file cannot be read here.";
        work.note(
            setting.line,
            shown,
            why,
            "Set auth.users_file to it, or let users be looked up in the database (auth_query).",
        );
        users.whole = false;
        return users;
    };
    users.file = Some(found.path);
    for line in userlist::lines(&found.text) {
        let Some((name, secret)) = line.user else {
            let why = format!("line {} is not of the form \"name\" \"password\".", line.number);
            work.note(setting.line, shown.clone(), why, "Mend it there.");
            users.whole = false;
            continue;
        };
        let md5 = userlist::is_md5(&secret);
        if md5 {
            let why = format!(
                "user {name:?} (line {}) has an md5 hash, which proves nothing to SCRAM.",
                line.number
            );
            let todo = "Users who are not listed are looked up in the database; or write the password, or its SCRAM verifier from pg_authid.";
            work.note(setting.line, shown.clone(), why, todo);
            users.whole = false;
        }
        let secret = Some(secret).filter(|secret| !md5 && !secret.is_empty());
        users.listed.push(User { name, secret });
    }
    users
}

fn method(work: &mut Work<'_>, file: &File) -> &'static str {
    let Some(setting) = file.get("auth_type") else { return "scram" };
    let shown = format!("auth_type = {}", setting.value);
    let verified = matches!(file.value("client_tls_sslmode"), Some("verify-ca" | "verify-full"));
    let (why, todo) = match setting.value.as_str() {
        "scram-sha-256" => return "scram",
        "trust" => return "trust",
        "plain" => return "password",
        "cert" if verified => return "cert",
        "any" => {
            let why = "each client is the user that it says, on the servers, too.";
            work.note(setting.line, shown, why, "");
            return "trust";
        }
        "md5" => (
            "md5 is broken, and is not spoken here: it became \"scram\", which PgBouncer's \"md5\" did, too, where it had the password or a SCRAM verifier.",
            "Clients of the last ten years know SCRAM.",
        ),
        "cert" => (
            "certificates are not asked for (client_tls_sslmode).",
            "Set tls.mode = \"verify\" and auth.method = \"cert\".",
        ),
        // Why there are no rules was said of their file.
        "hba" if file.get("auth_hba_file").is_some() => return "scram",
        "hba" => ("there is no auth_hba_file: it became \"scram\" for all.", "Write auth.rules."),
        _ => (
            "it is not there: it became \"scram\".",
            "Users need passwords, in a file or in the database.",
        ),
    };
    work.note(setting.line, shown, why, todo);
    "scram"
}

pub(super) fn of_cluster(work: &mut Work<'_>, file: &File, group: &Group, users: &Users) {
    let auth = ["clusters", group.name.as_str(), "auth"];
    let why = file
        .get("auth_type")
        .map_or("PgBouncer's md5 without a setting".into(), |s| of("auth_type", s.line));
    match users.rules.as_slice() {
        [] => {
            work.draft.table(&auth).set("method", users.method, why);
        }
        rules => rules.iter().for_each(|rule| rule.put(work, &group.name)),
    }
    let asks = matches!(users.method, "scram" | "password");
    let own = file.section("users").next().is_some();
    let as_it_is = users.whole && asks && group.forced.is_none() && !own;
    if let (Some(setting), Some(path), true) = (file.get("auth_file"), &users.file, as_it_is) {
        let why = of("auth_file", setting.line);
        work.draft.table(&auth).set("users_file", path.as_str(), why);
    } else {
        let some = users.listed.iter().filter(|user| user.secret.is_some() || !asks);
        some.for_each(|user| one(work, file, group, (user, asks)));
    }
    let listed = as_it_is || users.listed.iter().any(|user| user.secret.is_some());
    lookup(work, file, group, users, asks && (!users.whole || !listed));
    if let (Some((forced, _)), false) = (&group.forced, users.whole && listed) {
        let line = group.servers.first().map_or(1, |server| server.line);
        let why = "users who are not listed keep their own name on the servers.";
        let todo =
            format!("Add auth.users.NAME with server_user = {forced:?} and server_password_file.");
        work.note(line, format!("{}: user = {forced}", group.name), why, todo);
    }
}

/// Settings of users of whom nothing else is known.
pub(super) fn strangers(work: &mut Work<'_>, file: &File, users: &Users) {
    let is_written = |name: &str| {
        users.listed.iter().any(|user| {
            user.name == name
                && (user.secret.is_some() || !matches!(users.method, "scram" | "password"))
        })
    };
    for setting in file.section("users").filter(|setting| !is_written(&setting.key)) {
        let why = "the user's password is not known, so that it is not listed.";
        let todo = format!(
            "Add auth.users.{} with a password_file and max_clients; pools are set for the cluster.",
            setting.key
        );
        work.note(setting.line, format!("[users] {}", setting.key), why, todo);
    }
}

/// `[clusters.NAME.auth.users.USER]`
fn one(work: &mut Work<'_>, file: &File, group: &Group, (user, asks): (&User, bool)) {
    let path = ["clusters", group.name.as_str(), "auth", "users", user.name.as_str()];
    work.draft.table(&path);
    if let (Some(secret), true) = (&user.secret, asks) {
        let (key, value) = work.secrets.keep("password", &format!("user-{}", user.name), secret);
        work.draft.table(&path).set(&key, value, "auth_file");
    }
    let (server_user, server_password) = match &group.forced {
        Some((forced, password)) => (Some(forced), password.as_deref()),
        None if asks => (None, None),
        None => (None, user.plain()),
    };
    if let Some(forced) = server_user {
        work.draft.table(&path).set("server_user", forced.as_str(), "user= of [databases]");
    }
    if let Some(password) = server_password {
        let name = format!("server-{}", server_user.unwrap_or(&user.name));
        let (key, value) = work.secrets.keep("server_password", &name, password);
        work.draft.table(&path).set(&key, value, "");
    }
    let own = file.section("users").find(|setting| setting.key == user.name);
    let Some(setting) = own else { return };
    for (key, value) in ini::pairs(&setting.value).unwrap_or_default() {
        match (key.as_str(), value.parse::<u64>()) {
            ("max_user_client_connections", Ok(limit)) => {
                let why = of("[users]", setting.line);
                work.draft.table(&path).set("max_clients", number(limit), why);
            }
            _ => {
                let why = "pools are set for the cluster, not for a user.";
                let todo = "pool.size counts for each user and database on each node.";
                work.note(setting.line, format!("{}: {key}", user.name), why, todo);
            }
        }
    }
}

/// `auth_query`: as it was, or because somebody's password is not known.
fn lookup(work: &mut Work<'_>, file: &File, group: &Group, users: &Users, needed: bool) {
    let asker = group.auth_user.as_deref().or(file.value("auth_user"));
    if asker.is_none() && !needed {
        return;
    }
    let path = ["clusters", group.name.as_str(), "auth", "auth_query"];
    let table = work.draft.table(&path);
    table.say(
        "Users who are not listed are looked up in the database, by a user who may see verifiers.",
    );
    match asker {
        Some(user) => table.set("user", user, "auth_user"),
        None => table.set("user", "tidegate", "new: it must be allowed to read pg_shadow"),
    };
    if let Some(database) = group.auth_dbname.as_deref().or(file.value("auth_dbname")) {
        table.set("database", database, "auth_dbname");
    }
    if let Some(setting) = file.get("auth_query") {
        table.set("query", setting.value.as_str(), of("auth_query", setting.line));
    }
    let password = asker.and_then(|name| users.secret(name)?.plain().map(|p| (name, p)));
    match password {
        Some((name, password)) => {
            let (key, value) = work.secrets.keep("password", &format!("user-{name}"), password);
            work.draft.table(&path).set(&key, value, "auth_file");
        }
        None => {
            let table = work.draft.table(&path);
            table.propose(
                "password_file",
                "/run/secrets/auth-query",
                "unless the servers trust this machine",
            );
        }
    }
}

pub(super) fn console(work: &mut Work<'_>, file: &File, users: &Users) {
    for (key, read_only) in [("admin_users", false), ("stats_users", true)] {
        let Some(setting) = file.get(key) else { continue };
        for name in setting.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Some(secret) = users.secret(name).and_then(|user| user.secret.as_ref()) else {
                let why = format!("the password of {name:?} is not known.");
                let todo = format!("Add [console.users.{name}] with a password_file.");
                work.note(setting.line, key, why, todo);
                continue;
            };
            let (kept, value) = work.secrets.keep("password", &format!("user-{name}"), secret);
            let table = work.draft.table(&["console", "users", name]);
            table.set(&kept, value, of(key, setting.line));
            if read_only {
                table.set("read_only", true, "");
            }
        }
    }
}
