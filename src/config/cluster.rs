//! The options of one cluster: its nodes, how they are watched, routed to and pooled.

use super::addresses::Address;
use super::agent::AgentDoor;
use super::auth::Auth;
use super::backup::Backup;
use super::choices::{Engine, ServerTlsMode};
use super::routing::{Groups, Route};
use super::schema::options;
use super::secret::Secret;
use super::server::{IN_THE_FILE, INSTEAD};
use super::values::{Complaint, Size, Value};
use crate::pg::replication::Destination;
use crate::{failover, pool};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

const SECOND: u64 = 1_000;
pub(super) const HOUR: u64 = 3_600 * SECOND;
pub(super) const DAY: u64 = 24 * HOUR;

options! {
    /// One cluster: a primary and its replicas.
    pub struct Cluster {
        /// What the servers are: "postgres", "mysql" or "mariadb".
        key engine: Engine = "postgres" => .restart();
        /// The names that clients ask for and that lead here; "*" is any name that no other
        /// cluster has. A name belongs to one cluster only.
        key databases: Databases = "\"*\"" => .restart();
        /// The database servers. Which of them is the primary, they say themselves.
        key nodes: Vec<Node> => .shown();
        /// Where replication connections go: "off": they are refused; "primary"; or a node's name.
        /// Each has a server connection of its own, as base backups and receivers of logs need.
        key replication: Destination = "off";
        /// Statements that take as long as this, or longer, are logged (tidegate::slow): by their shape,
        /// without literals, with node, reason and wait; at most ten a second. "0s": none.
        /// SET clusters.NAME.log_slow = '500ms' on the console changes it at once.
        key log_slow: Duration = "0s" => .limits(0, DAY);
        /// How the nodes are watched.
        key monitor: Monitor;
        /// TLS towards the nodes.
        key tls: ServerTls;
        /// Where reads may go.
        key route: Route;
        /// How it is found out what a statement does.
        key classifier: Classifier;
        /// Server connections and how clients share them.
        key pool: pool::Settings;
        /// How clients prove who they are.
        key auth: Auth;
        /// What happens when the primary is gone.
        key failover: failover::Settings;
        /// Base backups, and how long they are kept.
        key backup: Backup;
    }
}

options! {
    /// One database server; 1 to 64 in a cluster.
    pub struct Node {
        /// Its name in logs, metrics and the console: letters, digits, - and _.
        key name: String => .example("a").restart();
        /// Where it listens.
        key address: Address => .example("10.0.0.1:5432").restart();
        /// Its share of reads relative to the other replicas. 0: none.
        key weight: u32 = "1" => .limits(0, 1_000);
        /// Where it is: reads prefer those in the zone of the proxy, route.zone. None: it counts as
        /// near.
        key zone: Option<String> => .example("west-1a").restart();
        /// Groups that it belongs to, for hints and rules. One with weight = 0 serves only those.
        key groups: Groups = "[]" => .restart();
        /// Whether it becomes the primary when it is as good as another: higher is better; 0:
        /// never.
        key priority: u32 = "100" => .limits(0, 1_000).restart();
        /// Marks the replica that backups should be taken from.
        key backup: bool = "false" => .restart();
        /// The agent beside it.
        key agent: Option<AgentDoor>;
    }
}

options! {
    /// How the nodes are watched. The user needs the right to log in and the role pg_monitor:
    /// CREATE ROLE tidegate LOGIN PASSWORD '…' IN ROLE pg_monitor;
    pub struct Monitor {
        /// The user that Tidegate itself logs in as, on every node.
        key user: String => .example("tidegate").restart();
        /// That user's password. None: the servers must trust this machine or its certificate.
        secret password: Option<Secret> => .example("/run/secrets/monitor").shown().restart();
        /// The database that Tidegate itself connects to.
        key database: String = "postgres" => .restart();
        /// How often each node is asked for its role and position.
        key interval: Duration = "100ms" => .limits(10, 60 * SECOND).restart();
        /// How often while nobody uses the cluster: no transaction began for ten seconds. A read
        /// that needs news asks at once.
        key idle_interval: Duration = "1s" => .limits(10, 60 * SECOND).restart();
        /// How often it may be asked when reads wait for news, however many do.
        key shortest_interval: Duration = "1ms" => .limits(0, 60 * SECOND).restart();
        /// How long a node may take to answer before it counts as unreachable.
        key probe_timeout: Duration = "1s" => .limits(10, 60 * SECOND).restart();
        /// How often each database in use is asked what its functions, views and other names
        /// mean. Definitions that pass by are noticed at once, so this finds those that did not.
        /// The user needs the right to connect to the database; without it only PostgreSQL's own
        /// functions count as harmless there.
        key catalog_interval: Duration = "60s" => .limits(SECOND, DAY).restart();
    } refused {
        "password" => IN_THE_FILE, INSTEAD;
    }
}

options! {
    /// TLS towards the nodes, in libpq's words.
    pub struct ServerTls {
        /// "disable": never; "prefer": where the node has it; "require": always, with nothing
        /// verified; "verify-ca": with a certificate that ca signed; "verify-full": one that
        /// names the host too.
        key mode: ServerTlsMode = "prefer" => .restart();
        /// Certificates, in PEM form, of those who may sign the nodes' certificates.
        key ca: Option<PathBuf> => .example("/etc/tidegate/servers-ca.crt").restart();
        /// A certificate to show to the nodes, in PEM form.
        key cert: Option<PathBuf> => .example("/etc/tidegate/client.crt").restart();
        /// The private key of cert, in PEM form.
        key key: Option<PathBuf> => .example("/etc/tidegate/client.key").restart();
    }
}

options! {
    /// How it is found out what a statement does.
    pub struct Classifier {
        /// Memory for what is known of statements without their literals, about.
        key cache: Size = "16MiB" => .limits(0, 1 << 40).restart();
        /// A longer text is not looked at and goes to the primary.
        key max_statement: Size = "64KiB" => .limits(1 << 10, 1 << 30).restart();
    }
}

options! {
    /// Server connections and how clients share them. A pool belongs to one node, user and
    /// database.
    for pool::Settings {
        /// When a client gives its server connection back: after each "transaction", or when
        /// the "session" ends.
        key mode: pool::Mode = "transaction";
        /// Server connections of one pool, at most.
        key size: usize = "20" => .limits(1, 10_000);
        /// Server connections of one pool that stay open even when nobody uses them.
        key min_idle: usize = "0" => .limits(0, 10_000);
        /// Server connections to one node, over all pools of the cluster. 0: no limit.
        key max_per_node: usize = "0" => .limits(0, 100_000);
        /// Clients of the cluster, at most.
        key max_clients: usize = "5000" => .limits(1, 1_000_000);
        /// Clients of the cluster from one address, at most. 0: no limit.
        key max_clients_per_address: usize = "0" => .limits(0, 1_000_000);
        /// Clients of the cluster by one user, at most; auth.users.NAME.max_clients goes before
        /// it. 0: no limit.
        key max_clients_per_user: usize = "0" => .limits(0, 1_000_000);
        /// Clients in one database, at most, where databases has no number of its own. 0: no
        /// limit.
        key max_clients_per_database: usize = "0" => .limits(0, 1_000_000);
        /// Replication connections of the cluster, at most. 0: no limit.
        key max_replication: usize = "10" => .limits(0, 1_000_000);
        /// How long a client waits for a server connection before its statement fails.
        key query_wait: Duration = "30s" => .limits(1, DAY);
        /// How long opening a server connection may take, login included.
        key connect_timeout: Duration = "5s" => .limits(10, HOUR);
        /// A server connection older than this, less up to a tenth by chance, is closed as
        /// soon as nobody uses it.
        key max_lifetime: Duration = "1h" => .limits(SECOND, 365 * DAY);
        /// A server connection that nobody used for so long is closed, down to min_idle.
        key idle_timeout: Duration = "10m" => .limits(SECOND, 365 * DAY);
        /// A server connection that nobody used for so long is asked for a sign of life
        /// before a client gets it.
        key check_after: Duration = "30s" => .limits(0, DAY);
        /// Connections to one node that may be in the middle of opening at the same time.
        key connecting: usize = "4" => .limits(1, 1_000);
        /// Prepared statements kept on one server connection; the least used goes first.
        key max_prepared: usize = "500" => .limits(1, 100_000);
        /// Prepared statements that one client may have at the same time; it may have more of
        /// them than a server connection keeps.
        key max_client_prepared: usize = "10000" => .limits(100, 1_000_000);
        /// Databases with limits of their own.
        key databases: BTreeMap<String, pool::DatabaseLimits> => .example("billing");
    }
}

options! {
    /// What the database of this name may have.
    for pool::DatabaseLimits {
        /// Clients in it, at most. 0: no limit.
        key max_clients: usize => .example("100").limits(0, 1_000_000);
    }
}

/// The database names that lead to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Databases {
    pub names: Vec<String>,
    /// Also every name that no other cluster has.
    pub any: bool,
}

impl Value for Databases {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of names such as [\"orders\", \"billing\"], or \"*\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let mut names = Vec::new();
        match value {
            DeValue::Array(list) => {
                for name in list.iter() {
                    let name = name.get_ref().as_str().filter(|name| !name.is_empty());
                    names.push(name.ok_or_else(complaint)?.to_string());
                }
            }
            DeValue::String(text) if text == "*" => names.push("*".into()),
            DeValue::String(text) => {
                return Err(complaint().hint(format!("a single name is a list too: [{text:?}]")));
            }
            _ => return Err(complaint()),
        }
        if names.is_empty() {
            return Err(complaint());
        }
        let any = names.iter().any(|name| name == "*");
        names.retain(|name| name != "*");
        Ok(Databases { names, any })
    }
    fn show(&self) -> String {
        let star = self.any.then_some("*");
        if self.names.is_empty() {
            return "\"*\"".into();
        }
        format!("{:?}", self.names.iter().map(String::as_str).chain(star).collect::<Vec<_>>())
    }
    fn unset() -> Self {
        Databases { names: Vec::new(), any: false }
    }
}
