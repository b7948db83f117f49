//! The MySQL engine's parts.

use super::{WireError, acceptor, dispatch, is_near, live, monitor_settings, secret, server_side};
use crate::config;
use crate::door::Policy;
use crate::door::gate::Gate;
use crate::monitor::{self, Member};
use crate::mysql::auth::{Listed, ServerSecret, UserTable, Users};
use crate::mysql::cluster::{Cluster, Flavour, Parts};
use crate::mysql::connect::{Login, Node};
use crate::mysql::engine::{self, Engine};
use crate::mysql::probe::MyProbe;
use crate::mysql::registry::{FIRST_CLIENT, ServerEntry};
use crate::net::tls::{self, Authorities};
use crate::registry::Registry;
use crate::spans::Tracer;
use crate::sql::mysql::Classifier;
use crate::task::Tasks;
use crate::topology::Decree;
use std::sync::Arc;

/// Builds the engine and starts its monitors.
pub(in crate::app) fn engine(
    settings: &config::Settings,
    tasks: &Tasks,
    tracer: &Arc<Tracer>,
) -> Result<Engine, WireError> {
    let mut authorities = Authorities::default();
    // Beyond the numbers of the other engine's, so that no two are the same.
    let servers = Arc::new(Registry::starting_at(FIRST_CLIENT));
    let mut clusters = Vec::new();
    for (name, cluster) in &settings.clusters {
        let flavour = match cluster.engine {
            config::Engine::Postgres => continue,
            config::Engine::Mysql => Flavour::Mysql,
            config::Engine::Mariadb => Flavour::Mariadb,
        };
        let nodes = nodes(name, cluster, &servers, &mut authorities)?;
        clusters.push(Arc::new(one_cluster(name, cluster, (flavour, nodes), (tasks, tracer))?));
    }
    Ok(Engine::new(engine::Parts {
        login_timeout: settings.listen.login_timeout,
        clusters,
        servers,
        gate: Gate::new(settings.listen.proxy_protocol.clone()),
        acceptor: acceptor(&settings.tls, &mut authorities)?,
    }))
}

fn one_cluster(
    name: &str,
    settings: &config::Cluster,
    (flavour, nodes): (Flavour, Vec<Arc<Node>>),
    (tasks, tracer): (&Tasks, &Arc<Tracer>),
) -> Result<Cluster, WireError> {
    let name: Arc<str> = name.into();
    let login = monitor_login(&settings.monitor);
    let watched = settings.nodes.iter().zip(&nodes).map(|(configured, node)| {
        let member = Member {
            name: node.name.clone(),
            address: node.address.clone(),
            weight: configured.weight,
            near: is_near(configured, settings),
        };
        (member, MyProbe::new(node.clone(), login.clone()))
    });
    let pace = monitor_settings(&settings.monitor);
    let monitor = monitor::start(tasks, name.clone(), &pace, watched.collect(), Decree::Free);
    let users = Users::load(&users(&settings.auth))
        .map_err(|source| WireError::MysqlUsers { cluster: name.to_string(), source })?;
    let databases = settings.databases.names.iter().map(|d| d.as_str().into()).collect();
    let names = nodes.iter().map(|node| node.name.clone()).collect();
    let classifier = Classifier::new(flavour.dialect(), &super::judging(settings));
    let live = live(settings, |mark| classifier.mark(mark));
    Ok(Cluster::new(Parts {
        flavour,
        databases: (!settings.databases.any).then_some(databases),
        nodes,
        users: UserTable::new(users),
        policy: policy(settings),
        classifier,
        dispatch: dispatch((name, names), settings, monitor, (live, tracer)),
    }))
}

/// The nodes of a cluster and how they are reached.
pub(in crate::app) fn nodes(
    cluster: &str,
    settings: &config::Cluster,
    servers: &Arc<Registry<ServerEntry>>,
    authorities: &mut Authorities,
) -> Result<Vec<Arc<Node>>, WireError> {
    let tls = tls::Connector::new(&server_side(&settings.tls), authorities)
        .map_err(|source| WireError::Tls { key: format!("clusters.{cluster}.tls"), source })?;
    let node = |n: &config::Node| {
        let names = (cluster, n.name.as_str(), &*n.address.to_string());
        Arc::new(Node::new(names, Some(tls.clone()), servers.clone()))
    };
    Ok(settings.nodes.iter().map(node).collect())
}

pub(in crate::app) fn policy(settings: &config::Cluster) -> Policy {
    Policy {
        method: settings.auth.method,
        rules: settings.auth.rules.clone(),
        throttle: settings.auth.throttle.clone(),
    }
}

/// The users of the configuration, those of its users file included.
pub(in crate::app) fn users(settings: &config::Auth) -> Vec<Listed> {
    let listed = settings.users.iter().map(|(name, user)| Listed {
        name: name.clone(),
        password: user.password.as_ref().map(secret),
        server_user: user.server_user.clone(),
        server_password: user.server_password.as_ref().map(secret),
        max_clients: user.max_clients,
    });
    listed.collect()
}

/// Who asks the nodes, whatever the question.
pub(in crate::app) fn monitor_login(settings: &config::Monitor) -> Login {
    let password = settings.password.as_ref().map(secret);
    let secret = password.map_or_else(ServerSecret::default, ServerSecret::password);
    Login::plain(&settings.user, secret)
}
