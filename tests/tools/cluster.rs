//! Starts a throwaway cluster and prints its ports, until standard input closes.
//! Arguments: how many replicas, then settings of the servers as name=value.

use tidegate::lab::postgres::cluster;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let replicas = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut wanted = cluster().replicas(replicas);
    for setting in arguments {
        let (name, value) = setting.split_once('=').expect("name=value");
        wanted = wanted.conf(name, value);
    }
    let cluster = wanted.start().await.expect("a cluster");
    let ports: Vec<String> = cluster.ports().iter().map(u16::to_string).collect();
    println!("{}", ports.join(" "));
    let mut line = String::new();
    let _ = tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await;
}
