//! From a configuration to running parts: every module's settings are made here.

pub(super) mod mysql;
mod traces;

pub(super) use traces::tracer;

use crate::config::{self, ClientTlsMode, ServerTlsMode};
use crate::dispatch::{self, Dispatch, Live};
use crate::door::gate::Gate;
use crate::failover;
use crate::monitor::{self, Member};
use crate::net::tls::{self, ALPN_POSTGRESQL, Authorities, ClientMode, ServerMode, TlsError};
use crate::pg::auth::scram::{KeyCache, Mock};
use crate::pg::auth::{self, AuthQuery, Listed, Secret, UserTable, Users};
use crate::pg::catalog;
use crate::pg::cluster::{self, Access, Cluster};
use crate::pg::connect::Node;
use crate::pg::engine::{self, Engine};
use crate::pg::govern::Outcomes;
use crate::pg::probe::PgProbe;
use crate::pg::registry::{Registry, ServerEntry};
use crate::route;
use crate::spans::{SpansError, Tracer};
use crate::sql::{Classifier, Mark};
use crate::task::Tasks;
use crate::topology::{Decree, NodeSet};
use std::sync::Arc;
use thiserror::Error;

/// Why the parts could not be put together.
#[derive(Debug, Error)]
pub enum WireError {
    #[error("{key}: {source}")]
    Tls { key: String, source: TlsError },
    #[error("clusters.{cluster}.auth: {source}")]
    Users { cluster: String, source: auth::UsersError },
    #[error("clusters.{cluster}.auth: {source}")]
    MysqlUsers { cluster: String, source: crate::mysql::auth::UsersError },
    #[error("tracing: {0}")]
    Spans(#[from] SpansError),
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// Login keys that are remembered so that nobody computes PBKDF2 twice.
const KEPT_KEYS: usize = 10_000;

/// Builds the PostgreSQL engine and starts its monitors.
pub(super) fn engine(
    settings: &config::Settings,
    tasks: Tasks,
    tracer: &Arc<Tracer>,
) -> Result<Engine, WireError> {
    let mut authorities = Authorities::default();
    let keys = Arc::new(KeyCache::new(KEPT_KEYS));
    let servers: Arc<Registry<ServerEntry>> = Arc::default();
    let mut clusters = Vec::new();
    for (name, cluster) in settings.clusters.iter().filter(|c| c.1.engine.is_postgres()) {
        let shared = (&keys, &servers, tracer);
        clusters.push(Arc::new(one_cluster(name, cluster, shared, &mut authorities, &tasks)?));
    }
    Ok(Engine::new(engine::Parts {
        settings: engine::Settings { login_timeout: settings.listen.login_timeout },
        clusters,
        servers,
        gate: Gate::new(settings.listen.proxy_protocol.clone()),
        acceptor: acceptor(&settings.tls, &mut authorities)?,
        mock: Mock::random().map_err(|_| WireError::NoRandom)?,
        keys,
        tasks,
    }))
}

fn one_cluster(
    name: &str,
    settings: &config::Cluster,
    (keys, servers, tracer): (&Arc<KeyCache>, &Arc<Registry<ServerEntry>>, &Arc<Tracer>),
    authorities: &mut Authorities,
    tasks: &Tasks,
) -> Result<Cluster, WireError> {
    let nodes = nodes(name, settings, (keys, servers), authorities)?;
    let name: Arc<str> = name.into();
    let watched = settings.nodes.iter().zip(&nodes).map(|(configured, node)| {
        let member = Member {
            name: node.name.clone(),
            address: node.address.clone(),
            weight: configured.weight,
            near: is_near(configured, settings),
        };
        (member, probe(node, &settings.monitor))
    });
    let monitor = monitor::start(
        tasks,
        name.clone(),
        &monitor_settings(&settings.monitor),
        watched.collect(),
        first_decree(&settings.failover),
    );
    let users = Users::load(&users(&settings.auth), &Users::default())
        .map_err(|source| WireError::Users { cluster: name.to_string(), source })?;
    let classifier = Classifier::new(&judging(settings));
    let databases = settings.databases.names.iter().map(|d| d.as_str().into()).collect();
    let names = nodes.iter().map(|node| node.name.clone()).collect();
    let live = live(settings, |mark| classifier.mark(mark));
    Ok(Cluster::new(cluster::Parts {
        databases: (!settings.databases.any).then_some(databases),
        nodes,
        access: access(settings),
        classifier: Arc::new(classifier),
        users: UserTable::new(users),
        catalog: catalog::Settings {
            login: monitor_login(&settings.monitor),
            interval: settings.monitor.catalog_interval,
        },
        strict: settings.failover.mode != failover::Mode::Off
            && settings.failover.guarantee == failover::Guarantee::Strict,
        outcomes: outcomes(settings),
        dispatch: dispatch((name, names), settings, monitor, (live, tracer)),
    }))
}

fn outcomes(settings: &config::Cluster) -> Option<Outcomes> {
    let login = monitor_login(&settings.monitor);
    let resolves = settings.failover.commit_outcome == failover::CommitOutcome::Resolve;
    resolves.then(|| Outcomes::new(login, settings.monitor.probe_timeout))
}

/// Until it is known whose term it is, nobody writes.
fn first_decree(settings: &failover::Settings) -> Decree {
    match settings.mode {
        failover::Mode::Off => Decree::Free,
        _ => Decree::Nobody {
            fenced: NodeSet::EMPTY,
            deposed: NodeSet::EMPTY,
            because: "the term of this cluster is not known yet".into(),
        },
    }
}

/// The part of a cluster that decides and lends.
fn dispatch(
    (name, nodes): (Arc<str>, Vec<Arc<str>>),
    settings: &config::Cluster,
    monitor: monitor::Handle,
    (live, tracer): (Live, &Arc<Tracer>),
) -> Dispatch {
    let (places, pool, tracer) = (settings.places(), settings.pool.clone(), tracer.clone());
    Dispatch::new(dispatch::Parts { name, nodes, places, monitor, live, pool, tracer })
}

/// How statements of a cluster are judged.
fn judging(settings: &config::Cluster) -> crate::sql::Settings {
    crate::sql::Settings {
        cache_bytes: settings.classifier.cache.0,
        max_statement: usize::try_from(settings.classifier.max_statement.0).unwrap_or(usize::MAX),
        harmless_functions: settings.route.harmless_functions.clone(),
        harmful_functions: settings.route.harmful_functions.clone(),
        marks: settings.route.rules.iter().flat_map(config::Rule::marks).collect(),
    }
}

/// The nodes of a cluster and how they are reached.
pub(super) fn nodes(
    cluster: &str,
    settings: &config::Cluster,
    (keys, servers): (&Arc<KeyCache>, &Arc<Registry<ServerEntry>>),
    authorities: &mut Authorities,
) -> Result<Vec<Arc<Node>>, WireError> {
    let tls = tls::Connector::new(&server_side(&settings.tls), authorities)
        .map_err(|source| WireError::Tls { key: format!("clusters.{cluster}.tls"), source })?;
    let node = |n: &config::Node| {
        Arc::new(Node {
            cluster: cluster.into(),
            name: n.name.as_str().into(),
            address: n.address.to_string().into(),
            tls: Some(tls.clone()),
            keys: keys.clone(),
            servers: servers.clone(),
        })
    };
    Ok(settings.nodes.iter().map(node).collect())
}

/// What a running cluster takes from a changed configuration; `number`: see [`routing`].
pub(super) fn live(settings: &config::Cluster, number: impl Fn(&Mark) -> Option<u8>) -> Live {
    Live { route: routing(settings, number), hold: settings.failover.hold }
}

pub(super) fn access(settings: &config::Cluster) -> Access {
    let query = |q: &config::AuthQuery| AuthQuery {
        user: q.user.clone(),
        password: q.password.as_ref().map(secret),
        database: q.database.clone(),
        query: q.query.clone(),
    };
    Access {
        replication: settings.replication.clone(),
        auth: Arc::new(auth::Settings {
            method: settings.auth.method,
            rules: settings.auth.rules.clone(),
            throttle: settings.auth.throttle.clone(),
            auth_query: settings.auth.auth_query.as_ref().map(query),
            certificate_map: auth::CertificateMap::default(),
        }),
    }
}

/// `number`: that of a mark, if the classifier knows it.
fn routing(settings: &config::Cluster, number: impl Fn(&Mark) -> Option<u8>) -> route::Settings {
    let places = settings.places();
    let rule = |rule: &config::Rule| {
        // One that the classifier does not know yet waits for the restart that its key asks for.
        let bits = rule.marks().map(|mark| Some(1 << number(&mark)?));
        let marks = bits.sum::<Option<u64>>()?;
        Some(route::Rule {
            user: rule.user.as_deref().map(Into::into),
            database: rule.database.as_deref().map(Into::into),
            application_name: rule.application_name.as_deref().map(Into::into),
            marks,
            wish: route::Wish {
                consistency: rule.consistency,
                // The configuration names places only.
                place: rule.to.as_deref().and_then(|to| places.find(to)),
                max_staleness: rule.max_staleness,
            },
        })
    };
    let config::Route { consistency, max_staleness, read_wait, fallback, rules, .. } =
        &settings.route;
    route::Settings {
        consistency: *consistency,
        max_staleness: *max_staleness,
        read_wait: *read_wait,
        fallback: *fallback,
        rules: rules.iter().filter_map(rule).collect(),
    }
}

/// Nobody says where it is, or it is where this proxy is.
pub(super) fn is_near(node: &config::Node, cluster: &config::Cluster) -> bool {
    match (&node.zone, &cluster.route.zone) {
        (Some(there), Some(here)) => there == here,
        _ => true,
    }
}

/// The users of the configuration, those of its users file included.
pub(super) fn users(settings: &config::Auth) -> Vec<Listed> {
    let listed = settings.users.iter().map(|(name, user)| Listed {
        name: name.clone(),
        password: user.password.as_ref().map(secret),
        server_user: user.server_user.clone(),
        server_password: user.server_password.as_ref().map(secret),
        max_clients: user.max_clients,
    });
    listed.collect()
}

pub(super) fn secret(read: &config::Secret) -> Secret {
    Secret::new(read.expose())
}

fn probe(node: &Arc<Node>, settings: &config::Monitor) -> PgProbe {
    PgProbe::new(node.clone(), monitor_login(settings))
}

/// Who asks the nodes, whatever the question.
pub(super) fn monitor_login(settings: &config::Monitor) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.user(&settings.user).dbname(&settings.database);
    if let Some(password) = &settings.password {
        config.password(password.expose());
    }
    config
}

pub(super) fn monitor_settings(settings: &config::Monitor) -> monitor::Settings {
    monitor::Settings {
        interval: settings.interval,
        idle_interval: settings.idle_interval,
        shortest_interval: settings.shortest_interval,
        probe_timeout: settings.probe_timeout,
        connect_timeout: settings.probe_timeout,
        ..monitor::Settings::default()
    }
}

/// How servers of a cluster are reached.
fn server_side(settings: &config::ServerTls) -> tls::ServerSide {
    tls::ServerSide {
        mode: match settings.mode {
            ServerTlsMode::Disable => ServerMode::Disable,
            ServerTlsMode::Prefer => ServerMode::Prefer,
            ServerTlsMode::Require => ServerMode::Require,
            ServerTlsMode::VerifyCa => ServerMode::VerifyCa,
            ServerTlsMode::VerifyFull => ServerMode::VerifyFull,
        },
        ca_file: settings.ca.clone(),
        cert_file: settings.cert.clone(),
        key_file: settings.key.clone(),
        ..tls::ServerSide::default()
    }
}

/// How clients may use TLS.
pub(super) fn client_side(settings: &config::ClientTls) -> tls::ClientSide {
    tls::ClientSide {
        mode: match settings.mode {
            ClientTlsMode::Off => ClientMode::Off,
            ClientTlsMode::Allow => ClientMode::Allow,
            ClientTlsMode::Require => ClientMode::Require,
            ClientTlsMode::Verify => ClientMode::Verify,
        },
        cert_file: settings.cert.clone(),
        key_file: settings.key.clone(),
        ca_file: settings.ca.clone(),
        alpn: vec![ALPN_POSTGRESQL.to_vec()],
        ..tls::ClientSide::default()
    }
}

/// How administrators may use TLS: without a certificate, not at all.
pub(super) fn console_side(settings: &config::Settings) -> tls::ClientSide {
    let has_certificate = settings.tls.cert.is_some() && settings.tls.key.is_some();
    let mode = match has_certificate {
        true => settings.console.tls,
        false => ClientTlsMode::Off,
    };
    client_side(&config::ClientTls { mode, ca: None, ..settings.tls.clone() })
}

pub(super) fn console_acceptor(settings: &config::Settings) -> Result<tls::Acceptor, WireError> {
    let built = tls::Acceptor::new(console_side(settings), &mut Authorities::default());
    built.map_err(|source| WireError::Tls { key: "console.tls".into(), source })
}

fn acceptor(
    settings: &config::ClientTls,
    authorities: &mut Authorities,
) -> Result<Option<tls::Acceptor>, WireError> {
    let built = tls::Acceptor::new(client_side(settings), authorities);
    built.map(Some).map_err(|source| WireError::Tls { key: "tls".into(), source })
}
