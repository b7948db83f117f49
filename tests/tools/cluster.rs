//! Starts a throwaway cluster and prints its ports, until standard input closes.

use tidegate::lab::postgres::cluster;

#[tokio::main]
async fn main() {
    let replicas = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2);
    let cluster = cluster().replicas(replicas).start().await.expect("a cluster");
    let ports: Vec<String> = cluster.ports().iter().map(u16::to_string).collect();
    println!("{}", ports.join(" "));
    let mut line = String::new();
    let _ = tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await;
}
