//! Writes reach the primary, reads a replica, and a session does not notice.

use crate::support::{cluster, proxy::proxy};

#[tokio::test]
async fn a_write_goes_to_the_primary_and_a_read_to_a_replica() {
    let servers = cluster().replicas(2).start().await.expect("a cluster");
    let running = proxy(&servers).start().await;
    let client = running.connect().await;
    client.batch_execute("CREATE TABLE t (a int)").await.expect("DDL");
    client.execute("INSERT INTO t VALUES ($1)", &[&7]).await.expect("a write");
    let route = client.query_one("SHOW tidegate.last_route", &[]).await.expect("the route");
    assert!(route.get::<_, &str>(0).contains("(write)"), "{}", route.get::<_, &str>(0));
    servers.caught_up().await.expect("replicas that caught up");
    let row = client.query_one("SELECT a FROM t", &[]).await.expect("a read");
    assert_eq!(row.get::<_, i32>(0), 7);
    let route = client.query_one("SHOW tidegate.last_route", &[]).await.expect("the route");
    assert!(route.get::<_, &str>(0).contains("(fresh_replica)"), "{}", route.get::<_, &str>(0));
}
