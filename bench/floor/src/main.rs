//! Bare TCP forwarders: what a proxy that does nothing costs on this machine.
//!
//! ```text
//! floor epoll LISTEN TARGET      one thread, level-triggered epoll
//! floor tokio LISTEN TARGET      one thread, tokio
//! floor tokio2 LISTEN TARGET     tokio's runtime for several threads, two of them
//! ```

mod by_epoll;
mod by_tokio;

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, listen, target] = arguments.as_slice() else { return usage() };
    let (Ok(listen), Ok(target)) = (listen.parse::<SocketAddr>(), target.parse()) else {
        return usage();
    };
    let ended = TcpListener::bind(listen).and_then(|listener| match kind.as_str() {
        "epoll" => by_epoll::forward(&listener, target),
        "tokio" => by_tokio::forward(listener, target, 1),
        "tokio2" => by_tokio::forward(listener, target, 2),
        other => Err(std::io::Error::other(format!("no such forwarder: {other}"))),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: floor epoll|tokio|tokio2 LISTEN TARGET");
    ExitCode::from(2)
}
