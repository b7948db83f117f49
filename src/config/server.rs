//! The options of the process: where it listens, what it logs, who may look.

use super::addresses::Door;
use super::choices::{ClientTlsMode, Format, Level};
use super::cluster::Cluster;
use super::schema::options;
use super::secret::Secret;
use crate::door::rules::Networks;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(super) const IN_THE_FILE: &str = "a password does not belong in this file";
pub(super) const INSTEAD: &str = "write password_file = \"/run/secrets/NAME\", a file that holds \
     nothing else, or password_env = \"NAME\", an environment variable";

options! {
    /// Every option of one Tidegate process.
    pub struct Settings {
        /// Folder for what must survive a restart.
        key state_dir: PathBuf = "/var/lib/tidegate" => .restart();
        /// How long running transactions may take to finish after SIGTERM. Clients that are
        /// still busy then are disconnected.
        key shutdown_timeout: Duration = "30s" => .limits(0, DAY);
        /// The user that the process becomes once its ports are open; it must have been started by
        /// root then, and this user must be able to read the configuration and its secrets for
        /// a reload, and to write state_dir. None: it stays who it is.
        key user: Option<String> => .example("tidegate").restart();
        /// Whether the kernel may write the memory of this process, with its secrets, into a file
        /// when it crashes, and debuggers of the same user may look into it.
        key core_dumps: bool = "false" => .restart();
        /// Threads that serve clients, each its own from their first byte to their last. 0: one for
        /// each processor.
        key workers: usize = "0" => .limits(0, 1024).restart();
        /// What Tidegate logs.
        key log: Log;
        /// Where Tidegate listens.
        key listen: Listen;
        /// TLS towards clients.
        key tls: ClientTls;
        /// Who may log in to the console.
        key console: Console;
        /// Who may read metrics and the API.
        key http: Http;
        /// The clusters behind this proxy.
        key clusters: BTreeMap<String, Cluster> => .example("orders").shown();
    }
}

options! {
    /// What Tidegate says on standard error.
    pub struct Log {
        /// The least severe events that are logged.
        key level: Level = "info" => .restart();
        /// Lines for people, or one JSON object for each event.
        key format: Format = "text" => .restart();
    }
}

options! {
    /// Where Tidegate listens. By default only this machine can connect. A listener for other
    /// machines needs authentication: postgres and mysql an auth.method other than "trust" in
    /// every cluster, console its users, http a token. The ports for applications are opened for
    /// the engines that have clusters.
    pub struct Listen {
        /// For applications: PostgreSQL's protocol.
        key postgres: Door = "127.0.0.1:6432" => .restart();
        /// For applications: the protocol of MySQL and MariaDB.
        key mysql: Door = "127.0.0.1:6033" => .restart();
        /// For administrators, with psql and the database name tidegate.
        key console: Door = "127.0.0.1:6433" => .restart();
        /// For machines: /metrics, /healthz and /readyz.
        key http: Door = "127.0.0.1:6480" => .restart();
        /// Connections that the kernel holds until Tidegate accepts them.
        key backlog: u32 = "1024" => .limits(1, 65_535).restart();
        /// Lets a second Tidegate of the same user open the same ports (SO_REUSEPORT), so that
        /// a restart refuses no connection: start the new process, then stop the old one. Who
        /// connects within 0.4 s after that may have to wait for a second. Sockets that systemd
        /// passes (LISTEN_FDS) do without this, and without the wait.
        key reuse_port: bool = "false" => .restart();
        /// Networks of load balancers that say by the PROXY protocol (version 1 or 2) for whom they
        /// connect to postgres and mysql: connections from there have to begin with it, and count
        /// as those of whom it names, for auth.rules and limits, too. None: from nowhere.
        key proxy_protocol: Option<Networks> => .example("[\"10.0.0.0/24\"]").restart();
        /// How long a client may take from its connection to the end of its login.
        key login_timeout: Duration = "15s" => .limits(100, HOUR).restart();
    }
}

options! {
    /// TLS towards clients. Certificate, key and CA are read again on reload.
    pub struct ClientTls {
        /// "off": declined; "allow": a client may use it; "require": a client must use it;
        /// "verify": a client must also show a certificate that ca signed.
        key mode: ClientTlsMode = "off";
        /// This proxy's certificate in PEM form, followed by its intermediate ones.
        key cert: Option<PathBuf> => .example("/etc/tidegate/server.crt");
        /// The private key of cert, in PEM form.
        key key: Option<PathBuf> => .example("/etc/tidegate/server.key");
        /// Certificates, in PEM form, of those who may sign the certificates of clients.
        key ca: Option<PathBuf> => .example("/etc/tidegate/clients-ca.crt");
    }
}

options! {
    /// Who may log in to the console. Without users, whoever reaches it may do everything;
    /// it must be on loopback then.
    pub struct Console {
        /// TLS towards administrators, with the certificate of [tls], if there is one: "off":
        /// declined; "allow": who asks for it has it; "require": nobody comes without it.
        key tls: ClientTlsMode = "allow" => .restart();
        /// Administrators by name.
        key users: BTreeMap<String, ConsoleUser> => .example("admin");
    }
}

options! {
    /// An administrator of this name. The password is checked by SCRAM-SHA-256.
    pub struct ConsoleUser {
        /// This administrator's password.
        secret password: Option<Secret> => .example("/run/secrets/admin").restart();
        /// Whether this user may only look: SHOW, and nothing that changes anything.
        key read_only: bool = "false" => .restart();
    } refused {
        "password" => IN_THE_FILE, INSTEAD;
    }
}

options! {
    /// Who may read metrics and the API. /healthz and /readyz are open to all.
    pub struct Http {
        /// The bearer token that clients must send: "Authorization: Bearer TOKEN".
        secret token: Option<Secret> => .example("/run/secrets/http-token").restart();
    } refused {
        "token" => "a token does not belong in this file",
            "write token_file = \"/run/secrets/NAME\" or token_env = \"NAME\"";
    }
}
