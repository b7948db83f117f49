//! `tidegate check`: all problems of a configuration, or a summary of what it says.

use super::print;
use crate::app::connect;
use crate::config::{self, Cluster, Config, Door, Problems};
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn check(path: &Path, connect: bool) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(problems) => return print_problems(&problems),
    };
    print_warnings(&config);
    if print(&summary(path, &config)) != ExitCode::SUCCESS || !connect {
        return ExitCode::SUCCESS;
    }
    check_servers(&config, false)
}

/// The same with what would be better otherwise, on the servers and on this machine.
pub(super) fn doctor(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(problems) => return print_problems(&problems),
    };
    print_warnings(&config);
    check_servers(&config, true)
}

pub(super) fn print_problems(problems: &Problems) -> ExitCode {
    let count = match problems.errors() {
        1 => "1 problem".to_string(),
        n => format!("{n} problems"),
    };
    eprintln!("{problems}\n{count}");
    ExitCode::FAILURE
}

pub(super) fn print_warnings(config: &Config) {
    for warning in &config.warnings {
        eprintln!("{warning}");
    }
}

fn check_servers(config: &Config, advises: bool) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidegate: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let nodes: usize = config.settings.clusters.values().map(|c| c.nodes.len()).sum();
    eprintln!("logging in to {nodes} nodes …");
    let reports = match runtime.block_on(connect::look(&config.settings)) {
        Ok(reports) => reports,
        Err(error) => {
            eprintln!("tidegate: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = print(&format!("\n{}", connect::render(&reports)));
    if advises {
        let machine = connect::advice_for_machine(&config.settings);
        let advice = connect::all_advice(&reports).into_iter().chain(machine);
        let mut lines = String::new();
        for finding in advice {
            let _ = writeln!(lines, "advice: {}", finding.says);
            if let Some(hint) = finding.hint {
                let _ = writeln!(lines, "  hint: {hint}");
            }
        }
        if lines.is_empty() {
            lines.push_str("nothing would be better otherwise\n");
        }
        let _ = print(&lines);
    }
    match reports.iter().all(connect::ClusterReport::is_fine) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn door(door: Door) -> String {
    door.address().map_or("off".into(), |a| a.to_string())
}

/// What the file amounts to, for a human to see whether it is what was meant.
fn summary(path: &Path, config: &Config) -> String {
    let (settings, mut out) = (&config.settings, String::new());
    let listen = &settings.listen;
    let _ = writeln!(out, "{}: no problems", path.display());
    let doors = [
        ("postgres", listen.postgres),
        ("mysql", listen.mysql),
        ("console", listen.console),
        ("http", listen.http),
    ];
    let doors = doors.map(|(name, at)| format!("{name} {}", door(at)));
    let _ = writeln!(out, "listen: {}", doors.join(", "));
    for (name, cluster) in &settings.clusters {
        let _ = writeln!(out, "cluster {name}: {}", one_line(cluster, config, name));
    }
    out
}

fn one_line(cluster: &Cluster, config: &Config, name: &str) -> String {
    let of = |key: &str| {
        let value = config.effective().get(&format!("clusters.{name}.{key}"));
        value.map_or_else(String::new, |e| e.value.trim_matches('"').to_string())
    };
    let nodes: Vec<String> =
        cluster.nodes.iter().map(|n| format!("{} ({})", n.name, n.address)).collect();
    format!(
        "nodes {}; databases {}; {} reads within {}; {} pool of {}; auth {}, {} users listed",
        nodes.join(", "),
        of("databases"),
        of("route.consistency"),
        of("route.max_staleness"),
        of("pool.mode"),
        of("pool.size"),
        of("auth.method"),
        cluster.auth.users.len(),
    )
}
