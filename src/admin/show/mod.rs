//! The SHOW commands: each file has one or a few of a kind, their columns and rows.
//!
//! Names of columns are PgBouncer's where they mean the same, so that tools made for it work.

mod archive;
mod backups;
mod brief;
mod catalog;
mod clients;
mod config;
mod databases;
mod events;
mod failovers;
mod help;
mod leases;
mod listen;
mod lists;
mod mem;
mod nodes;
mod pools;
mod prepared;
mod rates;
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
    pools::POOLS,
    pools::NODE_POOLS,
    prepared::SHOW,
    routes::SHOW,
    nodes::SHOW,
    brief::LAG,
    brief::PINS,
    events::SHOW,
    brief::ERRORS,
    term::SHOW,
    leases::SHOW,
    failovers::SHOW,
    backups::SHOW,
    archive::SHOW,
    databases::SHOW,
    catalog::SHOW,
    rates::SHOW,
    stats::STATS,
    stats::TOTALS,
    stats::AVERAGES,
    brief::USERS,
    brief::SOCKETS,
    brief::STATE,
    mem::SHOW,
    listen::SHOW,
    lists::SHOW,
    config::SHOW,
    version::SHOW,
    help::SHOW,
];
