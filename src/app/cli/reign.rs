//! `tidegate switchover`, `failover`, `unlatch`: asked of the running proxy over its console.

use super::{check, print};
use crate::config::{self, Config};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_postgres::{AsyncMessage, NoTls};

/// Which cluster, of which proxy.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// The configuration file of the running proxy
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// The cluster
    #[arg(long)]
    pub(super) cluster: String,
}

/// The node that is to become the primary, and whether it is only asked about.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    of: Of,
    /// The node; default: the standby that has most
    #[arg(long)]
    to: Option<String>,
    /// Only say what would be done, or what would stop it
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn switchover(change: &Change) -> ExitCode {
    ask(&change.of, &change.command("SWITCHOVER", false))
}

pub(super) fn failover(change: &Change, force: bool) -> ExitCode {
    ask(&change.of, &change.command("FAILOVER", force))
}

pub(super) fn unlatch(of: &Of) -> ExitCode {
    ask(of, &format!("UNLATCH \"{}\"", of.cluster))
}

impl Change {
    fn command(&self, word: &str, force: bool) -> String {
        let mut command = format!("{word} \"{}\"", self.of.cluster);
        if let Some(to) = &self.to {
            command.push_str(&format!(" TO \"{to}\""));
        }
        if force {
            command.push_str(" FORCE");
        }
        if self.dry_run {
            command.push_str(" DRY RUN");
        }
        command
    }
}

fn ask(of: &Of, command: &str) -> ExitCode {
    let config = match config::load(&of.config) {
        Ok(config) => config,
        Err(problems) => return check::print_problems(&problems),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(tell(&config, command)),
        Err(error) => Err(error.to_string()),
    };
    match asked {
        Ok(lines) => print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>()),
        Err(why) => {
            eprintln!("tidegate: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the console answers, notice by notice.
async fn tell(config: &Config, command: &str) -> Result<Vec<String>, String> {
    let listen = &config.settings.listen;
    let address = listen.console.address().ok_or("listen.console is \"off\": nobody to ask")?;
    let mut login = tokio_postgres::Config::new();
    login.host(address.ip().to_string()).port(address.port()).dbname("tidegate").user("tidegate");
    // Whoever can read the configuration is one of its administrators.
    if let Some((user, entry)) = config.settings.console.users.iter().next() {
        login.user(user);
        if let Some(password) = &entry.password {
            login.password(password.expose());
        }
    }
    let connected = login.connect(NoTls).await;
    let (client, mut connection) = connected
        .map_err(|error| format!("the console at {address} cannot be reached: {error}"))?;
    let notices = tokio::spawn(async move {
        let mut lines = Vec::new();
        let mut messages = poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                lines.push(notice.message().to_owned());
            }
        }
        lines
    });
    let done = client.batch_execute(command).await;
    drop(client);
    let lines = notices.await.map_err(|error| error.to_string())?;
    done.map(|()| lines).map_err(|error| match error.as_db_error() {
        Some(said) => match said.hint() {
            Some(hint) => format!("{}\nhint: {hint}", said.message()),
            None => said.message().to_owned(),
        },
        None => error.to_string(),
    })
}
