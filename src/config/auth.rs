//! How clients prove who they are, and how the servers are told.

use super::schema::options;
use super::secret::Secret;
use super::server::{IN_THE_FILE, INSTEAD};
use crate::pg::auth::rules::{Action, Encryption, Names, Networks, Rule};
use crate::pg::auth::{Method, throttle};
use crate::userlist;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

options! {
    /// How clients prove who they are. With "scram" the client's own proof opens the server
    /// too, so that Tidegate needs no more than the verifier; with "password" the password is
    /// used on the server as well.
    pub struct Auth {
        /// "trust": not at all; "password": the password itself, to be used over TLS only;
        /// "scram": SCRAM-SHA-256; "cert": a certificate whose common name is the user.
        key method: Method = "scram";
        /// Users by name.
        key users: BTreeMap<String, User> => .example("app").shown();
        /// A file with more users, one in a line: "name" "password", where the password may be
        /// a SCRAM verifier (SCRAM-SHA-256$…). The form of PgBouncer's userlist.txt.
        key users_file: Option<PathBuf> => .example("/etc/tidegate/userlist.txt");
        /// Looks up other users in the database.
        key auth_query: Option<AuthQuery>;
        /// Who may log in to what, from where and how, instead of method for everybody.
        key rules: Vec<Rule>;
        /// What failed logins cost.
        key throttle: throttle::Settings;
    }
}

options! {
    /// Rules as in pg_hba.conf: they are tried in their order, the first that matches decides,
    /// and whom none matches is turned away. Without rules everybody logs in by auth.method.
    for Rule {
        /// "trust", "password", "scram" or "cert", as auth.method; "reject": turned away.
        key method: Action => .example("scram");
        /// The users it is for.
        key users: Names = "\"*\"";
        /// The databases it is for. "replication" is physical replication, which "*" leaves out.
        key databases: Names = "\"*\"";
        /// The clients' networks, such as ["10.0.0.0/8", "::1/128"].
        key from: Networks = "\"*\"";
        /// Connections by TLS and others ("any"), only those by TLS ("required"), or only the
        /// others ("refused").
        key tls: Encryption = "any";
    }
}

options! {
    /// Failed logins by password. Those of one user from one address are counted together;
    /// what another user does there, or the same elsewhere, is not affected.
    for throttle::Settings {
        /// Failures in a row that cost nothing. 0: none ever costs anything.
        key failures: usize = "5" => .limits(0, 1_000_000);
        /// The same over all users of one address, beyond which only users who have logged in
        /// from there before are not affected. 0: no number of them.
        key failures_per_address: usize = "50" => .limits(0, 1_000_000);
        /// How long the attempt after them waits; it doubles with each further failure. An
        /// attempt that would have to wait longer than max_delay, or than half of
        /// listen.login_timeout, is refused.
        key delay: Duration = "250ms" => .limits(1, 3_600_000);
        /// The longest wait.
        key max_delay: Duration = "5s" => .limits(1, 3_600_000);
        /// Without a failure for so long, all is forgotten. A login that succeeds forgets its
        /// own failures.
        key forget_after: Duration = "10m" => .limits(1_000, 86_400_000);
    }
}

options! {
    /// A user of this name.
    pub struct User {
        /// The password, or a SCRAM verifier as pg_authid.rolpassword has it.
        secret password: Option<Secret> => .example("/run/secrets/app").shown();
        /// The user towards the servers, when it is another one.
        key server_user: Option<String> => .example("app");
        /// The password towards the servers, for when the client's own proof cannot be passed
        /// on: with "trust" and "cert", or with a server_user.
        secret server_password: Option<Secret> => .example("/run/secrets/app-on-server");
        /// Clients of this user, at most, instead of pool.max_clients_per_user. 0: no limit.
        key max_clients: Option<usize> => .example("50").limits(0, 1_000_000);
    } refused {
        "password" => IN_THE_FILE, INSTEAD;
        "server_password" => IN_THE_FILE, "write server_password_file = \"/run/secrets/NAME\", \
            a file that holds nothing else, or server_password_env = \"NAME\", an environment \
            variable";
    }
}

options! {
    /// Looks up users that are not listed, in the database itself. An answer is believed for
    /// ten seconds; after a failed login it is asked anew.
    pub struct AuthQuery {
        /// The user that asks.
        key user: String => .example("tidegate");
        /// That user's password.
        secret password: Option<Secret> => .example("/run/secrets/auth-query");
        /// The database that is asked.
        key database: String = "postgres";
        /// Yields one row for the user $1: the name, then the verifier or null.
        key query: String = "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1";
    } refused {
        "password" => IN_THE_FILE, INSTEAD;
    }
}

/// Why a line of a users file was not understood; never the line itself, it holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    pub(super) says: &'static str,
}

/// Reads the form of PgBouncer's `userlist.txt`.
pub(super) fn users_of_file(text: &str) -> (BTreeMap<String, User>, Vec<BadLine>) {
    let (mut users, mut bad) = (BTreeMap::new(), Vec::new());
    for line in userlist::lines(text) {
        let says = match &line.user {
            None => "is not of the form \"name\" \"password\"",
            Some((name, _)) if name.is_empty() => "has an empty name",
            Some((name, _)) if users.contains_key(name) => "names a user for the second time",
            Some((_, password)) if userlist::is_md5(password) => {
                "has an md5 hash, which proves nothing to SCRAM: write the password or its SCRAM verifier"
            }
            Some(_) => "",
        };
        match line.user {
            Some((name, password)) if says.is_empty() => {
                let password =
                    Some(Secret::new(password.as_str())).filter(|p| !p.expose().is_empty());
                users.insert(
                    name,
                    User { password, server_user: None, server_password: None, max_clients: None },
                );
            }
            _ => bad.push(BadLine { line: line.number, says }),
        }
    }
    (users, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_reads_as_pgbouncer_reads_it() {
        let text =
            "; comment\n\n\"app\" \"se\"\"cret\"\n  \"ro\" \"SCRAM-SHA-256$4096:x$y:z\" more\n";
        let (users, bad) = users_of_file(text);
        assert_eq!(bad, []);
        assert_eq!(users["app"].password, Some(Secret::new("se\"cret")));
        assert_eq!(users["ro"].password, Some(Secret::new("SCRAM-SHA-256$4096:x$y:z")));
    }

    #[test]
    fn bad_lines_are_named_by_number_only() {
        let text =
            "app secret\n\"a\" \"b\"\n\"a\" \"c\"\n\"m\" \"md500000000000000000000000000000000\"";
        let lines: Vec<usize> = users_of_file(text).1.iter().map(|b| b.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }
}
