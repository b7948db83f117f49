//! The options of an agent, which has a file of its own; and how the proxy reaches one.

use super::addresses::Door;
use super::checks;
use super::choices::ClientTlsMode;
use super::reading::{self, Reading};
use super::schema::options;
use super::secret::Secret;
use super::server::{ClientTls, Log};
use super::values::{Complaint, Value};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

options! {
    /// Every option of `tidegate agent`, the companion beside one database server. It runs as the
    /// server's own user, and carries out what the keeper of the term orders: stop, start, rewind,
    /// clone, follow. A server that it stopped as a lost primary is ended again whenever it comes back
    /// as one, whoever starts it; REJOIN makes it a standby. A service manager must not restart the
    /// server by itself (systemd: Restart=no).
    pub struct Agent {
        /// Where it takes orders.
        key listen: Door = "127.0.0.1:6490" => .restart();
        /// TLS towards callers: "off"; "verify": each shows a certificate that ca signed; "require":
        /// without one.
        key tls: ClientTls;
        /// The bearer token that callers must send: "Authorization: Bearer TOKEN".
        secret token: Option<Secret> => .example("/run/secrets/agent-token").restart();
        /// Folder for the highest term that was heard of, and for copies of the server's own files
        /// while its data are replaced.
        key state_dir: PathBuf = "/var/lib/tidegate-agent" => .restart();
        /// The switch of a dead man: when the server is the primary, and nobody who keeps the term
        /// was heard of for so long, it is stopped at once. Then the primary ends with its last
        /// proxy. Several times failover.heartbeat; 0s: off.
        key lease: Duration = "0s" => .limits(0, HOUR).restart();
        /// What the agent logs.
        key log: Log;
        /// The server beside it.
        key postgres: Postgres;
    } refused {
        "token" => "a token does not belong in this file",
            "write token_file = \"/run/secrets/NAME\" or token_env = \"NAME\"";
    }
}

options! {
    /// A PostgreSQL server. pg_rewind needs wal_log_hints = on or data checksums; where it cannot
    /// help, the data are copied anew, and the old ones kept beside them.
    pub struct Postgres {
        /// Its data directory. It must not be a mount point itself: it changes its name when its
        /// data are replaced.
        key data_dir: PathBuf => .example("/var/lib/postgresql/15/main").restart();
        /// Where pg_ctl, pg_rewind and the others are.
        key bin_dir: PathBuf => .example("/usr/lib/postgresql/15/bin").restart();
        /// The configuration file, where it is not in the data directory.
        key config_file: Option<PathBuf> => .example("/etc/postgresql/15/main/postgresql.conf").restart();
        /// Options of the server's command line, as pg_ctl -o takes them.
        key options: Option<String> => .example("-c work_mem=8MB").restart();
        /// Where the server writes until its own logging begins.
        key log: PathBuf = "/var/log/postgresql/tidegate-agent.log" => .restart();
        /// How long a clean shutdown, or a start, may take.
        key patience: Duration = "60s" => .limits(SECOND, HOUR).restart();
        /// How pg_rewind logs in to the new primary, host and port left out: a superuser.
        key rewind_conninfo: String = "user=postgres dbname=postgres" => .restart();
        /// How this server as a standby, and pg_basebackup, log in to another one, host and port
        /// left out: a user with the right of replication.
        key replication_conninfo: String = "user=postgres" => .restart();
    }
}

options! {
    /// The agent beside the server, if there is one: it fences for certain, and brings a former
    /// primary back.
    pub struct AgentDoor {
        /// Where it takes orders; with https:// by TLS.
        key url: AgentUrl => .example("https://10.0.0.1:6490").restart();
        /// https: certificates, in PEM form, of those who may sign the agent's certificate.
        key ca: Option<PathBuf> => .example("/etc/tidegate/agents-ca.crt").restart();
        /// https: a certificate to show to the agent, in PEM form.
        key cert: Option<PathBuf> => .example("/etc/tidegate/client.crt").restart();
        /// https: the private key of cert, in PEM form.
        key key: Option<PathBuf> => .example("/etc/tidegate/client.key").restart();
        /// The bearer token that it wants.
        secret token: Option<Secret> => .example("/run/secrets/agent-token").restart();
    } refused {
        "token" => "a token does not belong in this file",
            "write token_file = \"/run/secrets/NAME\" or token_env = \"NAME\"";
    }
}

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentUrl {
    pub tls: bool,
    /// `host:port`
    pub address: String,
}

impl Value for AgentUrl {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a URL such as \"https://10.0.0.1:6490\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        let (scheme, address) = text.split_once("://").ok_or_else(complaint)?;
        let tls = scheme == "https";
        let address = address.trim_end_matches('/');
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(port) if port > 0 && !address.contains('/') && (tls || scheme == "http") => {
                Ok(AgentUrl { tls, address: address.to_owned() })
            }
            _ => Err(complaint()),
        }
    }
    fn show(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("\"{scheme}://{}\"", self.address)
    }
    fn unset() -> Self {
        AgentUrl { tls: false, address: String::new() }
    }
}

pub(super) fn check(agent: &Agent, reading: &mut Reading<'_>) {
    if agent.listen == Door::Off {
        reading.wrong("listen", "an agent that takes no orders is of no use", None);
    }
    checks::client_tls(&agent.tls, reading);
    if agent.tls.mode == ClientTlsMode::Allow {
        let hint = "\"verify\", or \"require\" with a token".to_string();
        reading.wrong("tls.mode", "does not say whether callers speak TLS", Some(hint));
    }
    let verified = agent.tls.mode == ClientTlsMode::Verify;
    if agent.listen.is_public() && agent.token.is_none() && !verified {
        let says = "other machines reach this, but there is no token, so everyone gives orders";
        let hint = "set token_file or tls.mode = \"verify\", or listen on 127.0.0.1";
        reading.wrong("listen", says, Some(hint.into()));
    }
    let lease = agent.lease;
    if !lease.is_zero() && lease < Duration::from_secs(3) {
        let hint = "one late heartbeat is no reason to stop a primary".to_string();
        reading.wrong("lease", "must be 0s or at least 3s", Some(hint));
    }
}

/// `path`: of the door.
pub(super) fn check_door(path: &str, door: &AgentDoor, reading: &mut Reading<'_>) {
    checks::pair(path, &door.cert, &door.key, &door.ca, reading);
    if door.url.tls && door.ca.is_none() {
        let hint = "name the certificates that sign the agent's".to_string();
        reading.wrong(&format!("{path}.url"), "with https needs a ca", Some(hint));
    }
    if !door.url.tls && (door.ca.is_some() || door.cert.is_some()) {
        let hint = "write https://, or remove ca, cert and key".to_string();
        reading.wrong(&format!("{path}.url"), "is without TLS", Some(hint));
    }
}

/// The options, wrong or not.
pub(super) fn read(table: &toml::de::DeTable<'_>, reading: &mut Reading<'_>) -> Agent {
    let agent: Agent = reading::root("", Some(table), reading);
    check(&agent, reading);
    agent
}
