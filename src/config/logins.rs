//! Checks of how clients log in: the method or the rules, the users, and TLS where it is needed.

use super::auth::{Auth, User};
use super::choices::ClientTlsMode;
use super::cluster::Cluster;
use super::reading::{Reading, join};
use super::server::Settings;
use crate::pg::auth::Method;
use crate::pg::auth::rules::{Action, Encryption, Rule};

/// `path`: `clusters.NAME.auth`.
pub(super) fn check(path: &str, cluster: &Cluster, settings: &Settings, reading: &mut Reading<'_>) {
    let auth = &cluster.auth;
    if auth.rules.is_empty() {
        method_of_all(&format!("{path}.method"), auth.method, settings, reading);
    } else {
        rules(path, &auth.rules, settings, reading);
    }
    passwords(path, auth, reading);
}

/// The methods in use, each with its key.
fn methods(path: &str, auth: &Auth) -> Vec<(String, Method)> {
    if auth.rules.is_empty() {
        return vec![(format!("{path}.method"), auth.method)];
    }
    let method = |(number, rule): (usize, &Rule)| match rule.method {
        Action::Prove(method) => Some((format!("{path}.rules[{number}].method"), method)),
        Action::Reject => None,
    };
    auth.rules.iter().enumerate().filter_map(method).collect()
}

/// The key that lets in whoever comes from another machine.
pub(super) fn trusts_others(path: &str, auth: &Auth) -> Option<String> {
    let trust = Action::Prove(Method::Trust);
    if !auth.rules.is_empty() {
        let open = |rule: &Rule| rule.method == trust && rule.from.is_public();
        let number = auth.rules.iter().position(open)?;
        return Some(format!("{path}.rules[{number}].method"));
    }
    (auth.method == Method::Trust).then(|| format!("{path}.method"))
}

fn method_of_all(key: &str, method: Method, settings: &Settings, reading: &mut Reading<'_>) {
    if method == Method::Cert && settings.tls.mode != ClientTlsMode::Verify {
        let hint = "set tls.mode = \"verify\" with tls.cert, tls.key and tls.ca";
        reading.wrong(key, "needs clients that show a certificate", Some(hint.into()));
    }
    if method == Method::Password && may_be_in_the_clear(settings) {
        let hint = "use \"scram\", or tls.mode = \"require\"".to_string();
        reading.warn(key, "passwords may cross the network in the clear", Some(hint));
    }
}

fn may_be_in_the_clear(settings: &Settings) -> bool {
    settings.listen.postgres.is_public() && !is_always_tls(settings)
}

fn is_always_tls(settings: &Settings) -> bool {
    matches!(settings.tls.mode, ClientTlsMode::Require | ClientTlsMode::Verify)
}

/// Passwords are there for whoever may be asked for one.
fn passwords(path: &str, auth: &Auth, reading: &mut Reading<'_>) {
    let asks = |method: Method| matches!(method, Method::Password | Method::Scram);
    let methods = methods(path, auth);
    let Some((_, first)) = methods.iter().find(|(_, method)| asks(*method)) else { return };
    let word = first.name();
    if auth.users.is_empty() && auth.auth_query.is_none() && auth.users_file.is_none() {
        let says = format!("\"{word}\" needs users: users, users_file or auth_query");
        let hint = format!("{path}.users = {{ app = {{ password_file = \"/run/secrets/app\" }} }}");
        reading.wrong(path, says, Some(hint));
    }
    let comes_otherwise = |user: &str| {
        let other = |rule: &Rule| matches!(rule.method, Action::Prove(m) if !asks(m));
        auth.rules.iter().any(|rule| other(rule) && rule.users.has(user))
    };
    let lacks = |name: &str, user: &User| {
        user.password.is_none() && auth.auth_query.is_none() && !comes_otherwise(name)
    };
    for (name, _) in auth.users.iter().filter(|(name, user)| lacks(name, user)) {
        let user = join(&format!("{path}.users"), name);
        missing_password(&user, &format!("\"{word}\" needs a password for each user"), reading);
    }
}

pub(super) fn missing_password(user: &str, says: &str, reading: &mut Reading<'_>) {
    let tried = ["password_file", "password_env", "password"].map(|key| format!("{user}.{key}"));
    if !tried.iter().any(|key| reading.is_wrong(key)) {
        let hint = "add password_file or password_env".to_string();
        reading.wrong(user, says, Some(hint));
    }
}

fn rules(path: &str, rules: &[Rule], settings: &Settings, reading: &mut Reading<'_>) {
    if reading.is_given(&format!("{path}.method")) {
        let hint = "remove it: whom no rule matches is turned away".to_string();
        let says = "counts for nobody where there are rules";
        reading.warn(&format!("{path}.method"), says, Some(hint));
    }
    for (number, rule) in rules.iter().enumerate() {
        let key = format!("{path}.rules[{number}]");
        certificate(&key, rule, settings, reading);
        let in_the_clear = rule.method == Action::Prove(Method::Password)
            && rule.tls != Encryption::Required
            && rule.from.is_public();
        if in_the_clear && may_be_in_the_clear(settings) {
            let says = "passwords may cross the network in the clear";
            let hint = format!("use \"scram\", or {key}.tls = \"required\"");
            reading.warn(&format!("{key}.method"), says, Some(hint));
        }
        if let Some(first) = rules[..number].iter().position(|first| first.covers(rule)) {
            let hint = "move it up, or remove it".to_string();
            let says = format!("never decides: rules[{first}] matches all of it before");
            reading.warn(&key, says, Some(hint));
        } else if let Some(why) = unreachable(rule, settings) {
            let hint = "set it to \"any\", or remove the rule".to_string();
            reading.warn(&format!("{key}.tls"), format!("never matches: {why}"), Some(hint));
        }
    }
}

fn certificate(key: &str, rule: &Rule, settings: &Settings, reading: &mut Reading<'_>) {
    if rule.method != Action::Prove(Method::Cert) {
        return;
    }
    let says = "needs clients that show a certificate";
    if rule.tls == Encryption::Refused {
        let hint = format!("set {key}.tls = \"required\"");
        reading.wrong(&format!("{key}.method"), says, Some(hint));
    } else if settings.tls.mode == ClientTlsMode::Off || settings.tls.ca.is_none() {
        let hint = "set tls.mode = \"allow\" or stronger, with tls.cert, tls.key and tls.ca";
        reading.wrong(&format!("{key}.method"), says, Some(hint.into()));
    }
}

/// Why no connection can be as the rule wants it.
fn unreachable(rule: &Rule, settings: &Settings) -> Option<&'static str> {
    match rule.tls {
        Encryption::Required if settings.tls.mode == ClientTlsMode::Off => {
            Some("tls.mode is \"off\"")
        }
        Encryption::Refused if is_always_tls(settings) => {
            Some("tls.mode lets nobody in without TLS")
        }
        _ => None,
    }
}
