//! What clusters of MySQL and MariaDB do not have, or not yet.

use super::cluster::Cluster;
use super::reading::Reading;
use crate::door::Method;
use crate::door::rules::Action;
use crate::pg::replication::Destination;

/// `path`: `clusters.NAME`.
pub(super) fn check(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    if cluster.engine.is_postgres() {
        return;
    }
    let says = "is not for MySQL and MariaDB";
    let method = format!("{path}.auth.method");
    if reading.is_given(&method) && is_foreign(cluster.auth.method) {
        let hint = "\"password\" is what these engines do: mysql_native_password, or \
                    caching_sha2_password"
            .to_string();
        reading.wrong(&method, says, Some(hint));
    }
    for (number, rule) in cluster.auth.rules.iter().enumerate() {
        if matches!(rule.method, Action::Prove(method) if is_foreign(method)) {
            let hint = "set \"password\", \"trust\" or \"reject\"".to_string();
            reading.wrong(&format!("{path}.auth.rules[{number}].method"), says, Some(hint));
        }
    }
    if cluster.auth.auth_query.is_some() {
        let hint = "list the users in users or users_file".to_string();
        reading.wrong(&format!("{path}.auth.auth_query"), says, Some(hint));
    }
    if cluster.replication != Destination::Off {
        let hint = "replicas connect to the servers themselves".to_string();
        reading.wrong(&format!("{path}.replication"), says, Some(hint));
    }
}

fn is_foreign(method: Method) -> bool {
    matches!(method, Method::Scram | Method::Cert)
}
