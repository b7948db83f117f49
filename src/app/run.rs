//! `tidegate run`: the proxy, wired from its configuration, until it is told to stop.

use super::control::Console;
use super::listeners::{self, Engines, Heirs, Inherited};
use super::{notify, wire};
use crate::config::{self, Config, Settings};
use crate::net::tls::Acceptor;
use crate::task::{Crew, Tasks};
use crate::{admin, http, privilege, telemetry};
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Why the proxy does not run.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    #[error(transparent)]
    Listen(#[from] listeners::ListenError),
    #[error(transparent)]
    Privilege(#[from] privilege::PrivilegeError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the log: {0}")]
    Log(#[from] telemetry::logs::LogError),
    #[error(transparent)]
    Reign(#[from] super::reign::ReignError),
    #[error(transparent)]
    Agent(#[from] crate::agent::AgentFailure),
    #[error("console.users.{user}: {cause}")]
    ConsoleUser { user: String, cause: String },
    #[error("backups: {0}")]
    Backup(#[from] crate::backup::StoreError),
}

/// Runs the proxy until it is told to stop. `path` is read again on reload.
pub(super) fn run(config: Config, path: &Path) -> ExitCode {
    match try_run(config, path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(config: Config, path: &Path) -> Result<(), RunError> {
    log_as(&config.settings.log)?;
    if !config.settings.core_dumps {
        privilege::forbid_core_dumps()?;
    }
    runtime()?.block_on(async {
        let proxy = Proxy::start_with(config, path, Inherited::from_env()?).await?;
        notify::tell(notify::READY);
        until_told(&proxy).await?;
        notify::tell(notify::STOPPING);
        proxy.stop().await;
        Ok(())
    })
}

pub(super) fn log_as(log: &config::Log) -> Result<(), telemetry::logs::LogError> {
    let format = match log.format {
        config::Format::Text => telemetry::logs::Format::Text,
        config::Format::Json => telemetry::logs::Format::Json,
    };
    let level = format!("{:?}", log.level).to_lowercase();
    telemetry::logs::init(&level, format)
}

/// For everything but the clients, whom a crew serves. A second thread, so that what one computes
/// keeps nobody else waiting.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("tidegate").build()
}

/// A running proxy.
pub struct Proxy {
    pub console: Arc<Console>,
    heirs: Heirs,
    /// The listener for applications: it may have to end before anything else does.
    door: Tasks,
    /// The other listeners, which leave at the same time but may take longer.
    desks: Tasks,
    tasks: Tasks,
    crew: Arc<Crew>,
}

impl Proxy {
    /// Opens the listeners and starts everything behind them.
    pub async fn start(config: Config, path: &Path) -> Result<Proxy, RunError> {
        Proxy::start_with(config, path, Inherited::default()).await
    }

    /// The same, on sockets that this process inherited where they are those of the settings.
    async fn start_with(
        config: Config,
        path: &Path,
        inherited: Inherited,
    ) -> Result<Proxy, RunError> {
        let [tasks, door, desks] = [Tasks::new(), Tasks::new(), Tasks::new()];
        let settings = config.settings.clone();
        let is_postgres = |c: &config::Cluster| c.engine.is_postgres();
        let engines = Engines {
            postgres: settings.clusters.values().any(is_postgres),
            mysql: !settings.clusters.values().all(is_postgres),
        };
        let open = listeners::open(&settings.listen, engines, inherited)?;
        // Nothing was made yet that has to belong to the user.
        if let Some(user) = &settings.user {
            privilege::become_user(user)?;
            tracing::info!(user, "the privileges of root are given up");
        }
        let crew = Arc::new(Crew::start(settings.workers)?);
        let engine = Arc::new(wire::engine(&settings, tasks.clone())?);
        let mysql = Arc::new(wire::mysql::engine(&settings, &tasks)?);
        let reigns = super::reign::start(&settings, &engine, &tasks)?;
        let backups = super::backup::start(&settings, &engine, &tasks)?;
        let both = (engine.clone(), mysql.clone());
        let kept = (reigns, backups);
        let secured = Arc::new(wire::console_acceptor(&settings)?);
        let parts = (both, kept, secured);
        let console = Arc::new(Console::new(config, path, parts, open.addresses()));
        console.call_slow(&settings);
        for (name, address) in &console.listening {
            tracing::info!(name, %address, "listening");
        }
        if let Some(listener) = open.postgres {
            let (engine, crew) = (engine.clone(), crew.clone());
            door.spawn("postgres listener", |stop| engine.listen(listener, crew, stop));
        }
        if let Some(listener) = open.mysql {
            let crew = crew.clone();
            door.spawn("mysql listener", |stop| mysql.listen(listener, crew, stop));
        }
        tasks.spawn("pool upkeep", |stop| super::upkeep::tend_pools(console.clone(), stop));
        for cluster in &engine.clusters {
            let (name, cluster) = (format!("catalogs {}", cluster.name), cluster.clone());
            tasks.spawn(name, |stop| cluster.keep_catalogs(stop));
        }
        tasks.spawn("samples", |stop| super::sampling::sample(console.clone(), stop));
        tasks.spawn("events", |stop| super::sampling::follow_events(console.clone(), stop));
        tasks.spawn("role changes", |stop| super::upkeep::follow_roles(console.clone(), stop));
        if let Some(listener) = open.console {
            let tls = console.door.clone();
            let (settings, control) = (console_settings(&settings, tls)?, console.clone());
            desks.spawn("console", |mut stop| async move {
                let ended =
                    admin::serve(listener, settings, control, async move { stop.stopped().await });
                if let Err(error) = ended.await {
                    tracing::error!(%error, "the console ended");
                }
            });
        }
        if let Some(listener) = open.http {
            let token = settings.http.token.as_ref().map(|t| t.expose().into());
            let source: Arc<dyn http::Source> = console.clone();
            desks.spawn("http", |mut stop| async move {
                let settings = http::Settings { token };
                let stopped = async move { stop.stopped().await };
                if let Err(error) = http::serve(listener, settings, source, None, stopped).await {
                    tracing::error!(%error, "http ended");
                }
            });
        }
        Ok(Proxy { console, heirs: open.heirs, door, desks, tasks, crew })
    }

    /// Where a listener listens: `postgres`, `mysql`, `console` or `http`.
    pub fn address(&self, listener: &str) -> Option<std::net::SocketAddr> {
        let found = self.console.listening.iter().find(|(name, _)| *name == listener);
        found.map(|(_, address)| *address)
    }

    /// Leaves the ports to whoever takes over, drains, then ends every task. Where nobody takes
    /// over, the ports stay open meanwhile, and new clients are told of the end.
    pub async fn stop(self) {
        const LEAVE: Duration = Duration::from_secs(3);
        if self.heirs.prepare().await {
            self.desks.stop();
            // All whom the listener accepted count as clients before the drain begins.
            self.door.shutdown(LEAVE).await;
        }
        let left = self.console.drain().await;
        if left > 0 {
            tracing::warn!(clients = left, "shutdown_timeout is over; these clients are cut off");
        }
        for tasks in [&self.door, &self.desks, &self.tasks] {
            let late = tasks.shutdown(LEAVE).await;
            if !late.is_empty() {
                tracing::warn!(tasks = ?late, "did not end in time");
            }
        }
        self.crew.end().await;
    }
}

fn console_settings(settings: &Settings, tls: Arc<Acceptor>) -> Result<admin::Settings, RunError> {
    let mut users = admin::Credentials::default();
    for (user, entry) in &settings.console.users {
        if let Some(password) = &entry.password {
            users
                .add(user, password.expose())
                .map_err(|e| RunError::ConsoleUser { user: user.clone(), cause: e.to_string() })?;
        }
        if entry.read_only {
            users.restrict(user);
        }
    }
    Ok(admin::Settings { users, tls: Some(tls), ..admin::Settings::default() })
}

/// Resolves with SIGTERM or SIGINT.
pub(super) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        // Both are cancel-safe.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Until SIGTERM, SIGINT or the console's SHUTDOWN; SIGHUP reloads.
async fn until_told(proxy: &Proxy) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut told = std::pin::pin!(told_to_stop()?);
    loop {
        // All branches are cancel-safe.
        tokio::select! {
            _ = hangup.recv() => match admin::Control::reload(&*proxy.console) {
                Ok(done) => tracing::info!(
                    changed = ?done.changed, needs_restart = ?done.needs_restart, "reloaded"
                ),
                Err(problems) => tracing::error!("not reloaded:\n{problems}"),
            },
            () = &mut told => break,
            () = proxy.console.told_to_stop() => break,
        }
    }
    tracing::info!("shutting down");
    Ok(())
}
