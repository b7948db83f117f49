//! What goes wrong meanwhile.

use crate::relay::{Network, Relay};
use crate::support::Cluster;
use crate::support::dice::Dice;
use std::time::Duration;
use tokio::time::sleep;

/// What can be cut: the replicas' way to the primary, and the proxies' way to one replica.
pub struct Wires {
    pub replication: Relay,
    pub to_replica: Relay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    Pause,
    PauseBoth,
    Throttle,
    Restart,
    ReplicationSilent,
    ReplicationBroken,
    ReplicaSilent,
    ReplicaBroken,
}

impl Fault {
    pub const ALL: [Fault; 8] = [
        Fault::Pause,
        Fault::PauseBoth,
        Fault::Throttle,
        Fault::Restart,
        Fault::ReplicationSilent,
        Fault::ReplicationBroken,
        Fault::ReplicaSilent,
        Fault::ReplicaBroken,
    ];

    /// Lets it happen for a while, and mends it.
    pub async fn happen(self, cluster: &Cluster, wires: &Wires, dice: &mut Dice) {
        let one = dice.below(2);
        let while_it_lasts = Duration::from_millis(100 + dice.below(500) as u64);
        match self {
            Fault::Pause => pause(cluster, &[one], while_it_lasts).await,
            Fault::PauseBoth => pause(cluster, &[0, 1], while_it_lasts).await,
            Fault::Throttle => {
                apply_delay(cluster, one, "50ms").await;
                sleep(while_it_lasts).await;
                apply_delay(cluster, one, "0").await;
            }
            Fault::Restart => cluster.replica(one).restart().await.expect("a restart"),
            Fault::ReplicationSilent => {
                cut(&wires.replication, Network::Silent, while_it_lasts).await;
            }
            Fault::ReplicationBroken => {
                cut(&wires.replication, Network::Broken, while_it_lasts).await;
            }
            Fault::ReplicaSilent => cut(&wires.to_replica, Network::Silent, while_it_lasts).await,
            Fault::ReplicaBroken => cut(&wires.to_replica, Network::Broken, while_it_lasts).await,
        }
    }
}

async fn pause(cluster: &Cluster, replicas: &[usize], time: Duration) {
    for replica in replicas {
        cluster.replica(*replica).pause_replay().await.expect("a pause");
    }
    sleep(time).await;
    for replica in replicas {
        cluster.replica(*replica).resume_replay().await.expect("its end");
    }
}

async fn apply_delay(cluster: &Cluster, replica: usize, delay: &str) {
    let node = cluster.replica(replica);
    let set = format!("ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'");
    node.sql(&set).await.expect("a setting");
    node.sql("SELECT pg_reload_conf()").await.expect("a reload");
}

async fn cut(relay: &Relay, how: Network, time: Duration) {
    relay.set(how);
    sleep(time).await;
    relay.set(Network::Whole);
}
