//! The command line. Its exit codes are in `EXIT_CODES`.

mod ask;
mod backup;
mod check;
mod explain;
mod import;
mod init;
mod man;
mod reign;
mod show;
mod top;
mod wal;
mod write;

use super::{agent, demo, run};
use crate::config;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A replication-aware proxy for PostgreSQL, MySQL and MariaDB: pooling, and reads from replicas that are
/// provably fresh enough.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What scripts may rely on.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; for check, doctor and status: and all is well
  1  not done, or not well: standard error says why
  2  the arguments are wrong
wal fetch, which a restored server calls: 1 the file is not there, 200 nobody knows";

/// An engine, as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineName {
    Postgres,
    Mysql,
    Mariadb,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Run {
        /// The configuration file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Write a configuration for the servers that are found behind one address
    Init {
        #[command(flatten)]
        what: init::Wishes,
    },
    /// Turn the configuration of PgBouncer, ProxySQL, MaxScale or HAProxy into one of Tidegate
    Import {
        #[command(flatten)]
        what: import::Foreign,
    },
    /// Check a configuration, and with --connect the servers behind it
    Check {
        /// The configuration file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// Log in to every node and report what it is and what is missing
        #[arg(long)]
        connect: bool,
    },
    /// Check the servers and this machine, and say what would be better otherwise, with the commands
    Doctor {
        /// The configuration file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// What a running proxy sees: clusters, nodes, rates, the last events. Exit code 0: it serves,
    /// and every cluster has a primary
    Status {
        #[command(flatten)]
        of: show::Of,
    },
    /// Roles, positions and staleness of all nodes
    Nodes {
        #[command(flatten)]
        of: show::Of,
    },
    /// Where statements go, by shape, the most used first
    Routes {
        #[command(flatten)]
        of: show::Of,
        /// Only so many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// A live screen: rates, latencies, nodes, who waits, the most used statements
    Top {
        #[command(flatten)]
        of: show::Of,
    },
    /// Where a statement would go, and why not elsewhere; or what an error of Tidegate's means, by its
    /// number (TG0123)
    Explain {
        #[command(flatten)]
        question: explain::Question,
    },
    /// What happened to nodes and what operators did
    Events {
        #[command(flatten)]
        of: show::Of,
        /// Go on with what happens, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// Any command of the console: SHOW HELP lists them
    Console {
        #[command(flatten)]
        of: show::Of,
        /// Such as: SHOW CLIENTS WHERE state = 'waiting'
        #[arg(required = true)]
        command: Vec<String>,
    },
    /// Make another node the primary while the present one is well
    Switchover {
        #[command(flatten)]
        change: reign::Change,
    },
    /// Make another node the primary because the present one is lost
    Failover {
        #[command(flatten)]
        change: reign::Change,
        /// Take the blame for what cannot be proven: that the old primary has stopped, that
        /// nothing is lost
        #[arg(long)]
        force: bool,
    },
    /// Let failover happen by itself again after an operator has looked
    Unlatch {
        #[command(flatten)]
        of: reign::Of,
    },
    /// Bring a former primary back as a standby, by its agent
    Rejoin {
        #[command(flatten)]
        rejoin: reign::Returning,
    },
    /// Let a node serve nobody until it is unfenced
    Fence {
        #[command(flatten)]
        fencing: reign::Fencing,
    },
    /// Let a fenced node serve again
    Unfence {
        #[command(flatten)]
        node: reign::Returning,
    },
    /// Run the agent beside a database server
    Agent {
        /// The agent's configuration file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Take backups, look at them, restore them
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Files of the archived log
    #[command(subcommand)]
    Wal(wal::Wal),
    /// Show the proxy at work on a throwaway cluster
    Demo {
        /// What the throwaway cluster is made of
        #[arg(value_enum, default_value = "postgres")]
        engine: DemoEngine,
        /// Run a scripted scenario without a terminal, and exit with 0 or 1
        #[arg(long)]
        check: bool,
    },
    /// Print the version
    Version,
    /// Print a manual page: tidegate man > …/man1/tidegate.1; of a command: tidegate man backup now
    Man { command: Vec<String> },
    /// Print completions for a shell: tidegate completions bash > …/completions/tidegate
    Completions { shell: clap_complete::Shell },
    /// Print the reference configuration: every key with its documentation and default
    Reference {
        /// That of an agent
        #[arg(long)]
        agent: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DemoEngine {
    Postgres,
    Mariadb,
}

/// Runs the command that the arguments of this process ask for.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => match config::load(&config) {
            Ok(read) => {
                check::print_warnings(&read);
                run::run(read, &config)
            }
            Err(problems) => check::print_problems(&problems),
        },
        Command::Init { what } => init::init(&what),
        Command::Import { what } => import::import(&what),
        Command::Check { config, connect } => check::check(&config, connect),
        Command::Doctor { config } => check::doctor(&config),
        Command::Status { of } => show::status(&of),
        Command::Nodes { of } => show::command(&of, "SHOW NODES"),
        Command::Routes { of, limit } => show::command(&of, &format!("SHOW ROUTES LIMIT {limit}")),
        Command::Top { of } => top::top(&of),
        Command::Explain { question } => explain::explain(&question),
        Command::Events { of, follow } => show::events(&of, follow),
        Command::Console { of, command } => show::command(&of, &command.join(" ")),
        Command::Switchover { change } => reign::switchover(&change),
        Command::Failover { change, force } => reign::failover(&change, force),
        Command::Unlatch { of } => reign::unlatch(&of),
        Command::Rejoin { rejoin } => reign::rejoin(&rejoin),
        Command::Fence { fencing } => reign::fence(&fencing),
        Command::Unfence { node } => reign::unfence(&node),
        Command::Agent { config } => match config::load_agent(&config) {
            Ok((settings, warnings)) => {
                warnings.iter().for_each(|warning| eprintln!("{warning}"));
                agent::run(settings)
            }
            Err(problems) => check::print_problems(&problems),
        },
        Command::Backup(what) => backup::backup(&what),
        Command::Wal(wal::Wal::Fetch(fetch)) => wal::fetch(&fetch),
        Command::Demo { engine, check } => {
            let engine = match engine {
                DemoEngine::Postgres => demo::Engine::Postgres,
                DemoEngine::Mariadb => demo::Engine::Mariadb,
            };
            demo::demo(engine, check)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tidegate", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Command::Man { command } => man::man(&command),
        Command::Version => print(&format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Reference { agent: false } => print(&config::reference()),
        Command::Reference { agent: true } => print(&config::agent_reference()),
    }
}

/// Prints to standard output; a reader that left early (`| head`) is no error.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Says why something was not done.
fn fail(why: &str) -> ExitCode {
    eprintln!("tidegate: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn demo_means_postgres_unless_told_otherwise() {
        let read = Arguments::try_parse_from(["tidegate", "demo", "--check"]).unwrap();
        assert!(matches!(
            read.command,
            Command::Demo { engine: DemoEngine::Postgres, check: true }
        ));
    }
}
