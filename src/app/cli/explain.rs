//! `tidegate explain`: where the running proxy would send a statement, and why not elsewhere; or what
//! an error means.
//!
//! The proxy is asked as an application would ask, through the front door, so that rules for users
//! and databases count.

use super::{check, print};
use crate::config::{self, Cluster, Config, Settings};
use crate::refusal::catalogue;
use clap::Args;
use mysql_async::prelude::Queryable;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio_postgres::{NoTls, SimpleQueryMessage};

#[derive(Debug, Args)]
pub(super) struct Question {
    /// The statement, or the number of an error: TG0123
    #[arg(required_unless_present = "errors")]
    what: Option<String>,
    /// Print all errors, as Markdown
    #[arg(long)]
    errors: bool,
    /// The configuration file of the running proxy, which a statement needs
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The cluster; not needed if there is only one
    #[arg(long)]
    cluster: Option<String>,
    /// As this user; default: the first of auth.users whose password is known
    #[arg(long)]
    user: Option<String>,
    /// In this database; default: the first of the cluster's, or the user's name
    #[arg(long)]
    database: Option<String>,
}

/// Who asks, and where.
struct Caller {
    address: SocketAddr,
    user: String,
    password: Option<String>,
    database: Option<String>,
}

pub(super) fn explain(question: &Question) -> ExitCode {
    let what = match &question.what {
        None => return print(&catalogue::markdown()),
        Some(what) => what,
    };
    if let Some(entry) = catalogue::find(what) {
        return print(&entry.to_string());
    }
    match &question.config {
        Some(config) => statement(config, question, what),
        None if what.to_ascii_uppercase().starts_with("TG") => {
            super::fail("there is no such error\nhint: tidegate explain --errors prints all")
        }
        None => {
            super::fail("a statement is explained by a running proxy\nhint: name its file by -c")
        }
    }
}

fn statement(config: &Path, question: &Question, sql: &str) -> ExitCode {
    let config = match config::load(config) {
        Ok(config) => config,
        Err(problems) => return check::print_problems(&problems),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(ask(&config, question, sql)),
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

async fn ask(config: &Config, question: &Question, sql: &str) -> Result<Vec<String>, String> {
    let settings = &config.settings;
    let (name, cluster) = cluster(settings, question.cluster.as_deref())?;
    let caller = caller(settings, (name, cluster), question)?;
    match cluster.engine.is_postgres() {
        true => ask_postgres(&caller, sql).await,
        false => ask_mysql(&caller, sql).await,
    }
}

fn cluster<'a>(
    settings: &'a Settings,
    name: Option<&str>,
) -> Result<(&'a str, &'a Cluster), String> {
    let mut fitting = settings.clusters.iter().filter(|(n, _)| name.is_none_or(|name| name == *n));
    let names: Vec<&str> = settings.clusters.keys().map(String::as_str).collect();
    match (fitting.next(), fitting.next()) {
        (Some((name, cluster)), None) => Ok((name, cluster)),
        (None, _) => Err(format!("there is no such cluster; there are: {}", names.join(", "))),
        _ => Err(format!("say which cluster by --cluster; there are: {}", names.join(", "))),
    }
}

fn caller(
    settings: &Settings,
    (name, cluster): (&str, &Cluster),
    question: &Question,
) -> Result<Caller, String> {
    let (door, key) = match cluster.engine.is_postgres() {
        true => (settings.listen.postgres, "listen.postgres"),
        false => (settings.listen.mysql, "listen.mysql"),
    };
    let address = door.address().ok_or(format!("{key} is \"off\": nobody to ask"))?;
    let is_plain = |text: &str| !text.starts_with("SCRAM-SHA-256$") && !text.starts_with('*');
    let mut known = cluster.auth.users.iter().filter_map(|(user, entry)| {
        let password = entry.password.as_ref().map(|secret| secret.expose());
        let usable = password.is_none_or(is_plain);
        let wanted = question.user.as_ref().is_none_or(|wanted| wanted == user);
        (usable && wanted).then(|| (user.clone(), password.map(str::to_owned)))
    });
    let (user, password) = match (known.next(), &question.user) {
        (Some(found), _) => found,
        (None, Some(user)) => (user.clone(), std::env::var("PGPASSWORD").ok()),
        (None, None) => {
            return Err(format!(
                "no user of clusters.{name}.auth.users has a password that is known here\n\
                 hint: say --user NAME, with its password in the variable PGPASSWORD"
            ));
        }
    };
    let first = || cluster.databases.names.first().filter(|_| !cluster.databases.any).cloned();
    let database = question.database.clone().or_else(first);
    Ok(Caller { address, user, password, database })
}

async fn ask_postgres(caller: &Caller, sql: &str) -> Result<Vec<String>, String> {
    let mut login = tokio_postgres::Config::new();
    login.host(caller.address.ip().to_string()).port(caller.address.port()).user(&caller.user);
    login.dbname(caller.database.as_ref().unwrap_or(&caller.user));
    if let Some(password) = &caller.password {
        login.password(password);
    }
    let said = |error: tokio_postgres::Error| {
        error.as_db_error().map_or(error.to_string(), |said| said.message().to_owned())
    };
    let (client, connection) = login.connect(NoTls).await.map_err(said)?;
    let connection = tokio::spawn(connection);
    let answer = client.simple_query(&format!("EXPLAIN (TIDEGATE) {sql}")).await.map_err(said)?;
    connection.abort();
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(answer.iter().filter_map(line).collect())
}

async fn ask_mysql(caller: &Caller, sql: &str) -> Result<Vec<String>, String> {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(caller.address.ip().to_string())
        .tcp_port(caller.address.port())
        .user(Some(caller.user.clone()))
        .pass(caller.password.clone())
        .db_name(caller.database.clone())
        .prefer_socket(false);
    let said = |error: mysql_async::Error| error.to_string();
    let mut connection = mysql_async::Conn::new(options).await.map_err(said)?;
    let answer = connection.query(format!("EXPLAIN FORMAT = TIDEGATE {sql}")).await;
    let lines = answer.map_err(said)?;
    connection.disconnect().await.map_err(said)?;
    Ok(lines)
}
