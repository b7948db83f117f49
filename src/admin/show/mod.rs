//! The SHOW commands: each file has one, its columns and its rows.
//!
//! Names of columns are PgBouncer's where they mean the same, so that tools made for it work.

mod archive;
mod backups;
mod catalog;
mod clients;
mod config;
mod databases;
mod failovers;
mod help;
mod listen;
mod lists;
mod nodes;
mod pools;
mod prepared;
mod routes;
mod servers;
mod stats;
mod term;
mod version;

use super::table::{Column, Row};
use crate::view::Proxy;
use std::fmt;

/// One SHOW command.
pub(super) struct Show {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) rows: fn(&Proxy) -> Vec<Row>,
}

impl fmt::Debug for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

pub(super) static SHOWS: &[Show] = &[
    clients::SHOW,
    servers::SHOW,
    pools::SHOW,
    prepared::SHOW,
    routes::SHOW,
    nodes::SHOW,
    term::SHOW,
    failovers::SHOW,
    backups::SHOW,
    archive::SHOW,
    databases::SHOW,
    catalog::SHOW,
    stats::SHOW,
    listen::SHOW,
    lists::SHOW,
    config::SHOW,
    version::SHOW,
    help::SHOW,
];
