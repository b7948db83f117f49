//! Throwaway databases for `tidegate demo` and for the tests: real servers in a temporary folder,
//! gone with the value that owns them.

mod folder;
pub mod mariadb;
mod mark;
mod owner;
mod ports;
pub mod postgres;
mod process;
mod spawn;

use crate::proctree as tree;
pub use folder::sweep;

/// What went wrong while a throwaway database was set up or steered.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(
        "no {engine} server found: looked in {looked}\nhint: apt-get install -y {package}, or set {variable} to the folder with its programs"
    )]
    NoServer { engine: &'static str, package: &'static str, variable: &'static str, looked: String },
    #[error(
        "no PostgreSQL {version} found: looked in {looked}\nhint: install that version's server here \
         (Debian: apt-get install -y postgresql-{version}), or name the folder of its programs"
    )]
    NoVersion { version: u32, looked: String },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("{command} ended with {status}:\n{output}")]
    Command { command: String, status: String, output: String },
    #[error("server {node} did not start on port {port}: {why}\nlast lines of its log:\n{log}")]
    Start { node: String, port: u16, why: String, log: String },
    #[error("server {node} is not running")]
    NotRunning { node: String },
    #[error("waited {waited:?} in vain for {what}\nlast lines of the log:\n{log}")]
    Waited { what: String, waited: std::time::Duration, log: String },
    #[error("server {node} refused {statement:?}: {cause}")]
    Sql { node: String, statement: String, cause: String },
}

impl LabError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> LabError {
        let what = what.into();
        move |source| LabError::Io { what, source }
    }
}
