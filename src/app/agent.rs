//! `tidegate agent`, wired from its configuration, until it is told to stop.

use super::run::{RunError, log_as, runtime, told_to_stop};
use super::wire;
use crate::agent::{self, Postgres, Settings};
use crate::config;
use crate::net::tls::ClientSide;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The protocol's name for ALPN.
const ALPN_HTTP: &[u8] = b"http/1.1";

/// Runs the agent until it is told to stop; the server beside it goes on.
pub(super) fn run(settings: config::Agent) -> ExitCode {
    match try_run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(configured: config::Agent) -> Result<(), RunError> {
    log_as(&configured.log)?;
    runtime()?.block_on(async {
        let Some(settings) = settings(configured) else { return Ok(()) };
        let listening = agent::listen(settings).await?;
        tracing::info!(address = %listening.address, "the agent takes orders");
        let (acceptor, stop) = (listening.acceptor(), told_to_stop()?);
        let mut hangup = signal(SignalKind::hangup())?;
        let mut serving = std::pin::pin!(listening.serve(stop));
        loop {
            // Both are cancel-safe.
            tokio::select! {
                ended = &mut serving => return Ok(ended?),
                _ = hangup.recv() => match acceptor.reload() {
                    Ok(()) => tracing::info!("certificate, key and CA were read again"),
                    Err(error) => tracing::error!(%error, "not reloaded"),
                },
            }
        }
    })
}

/// `None`: it takes no orders, which the configuration refuses.
fn settings(configured: config::Agent) -> Option<Settings> {
    let postgres = configured.postgres;
    Some(Settings {
        listen: configured.listen.address()?,
        tls: ClientSide { alpn: vec![ALPN_HTTP.to_vec()], ..wire::client_side(&configured.tls) },
        token: configured.token.map(|token| token.expose().into()),
        state_dir: configured.state_dir,
        lease: configured.lease,
        postgres: Postgres {
            data_dir: postgres.data_dir,
            bin_dir: postgres.bin_dir,
            config_file: postgres.config_file,
            options: postgres.options,
            log: postgres.log,
            patience: postgres.patience,
            rewind_conninfo: postgres.rewind_conninfo,
            replication_conninfo: postgres.replication_conninfo,
        },
    })
}
