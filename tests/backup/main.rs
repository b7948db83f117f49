//! Backups of real servers, taken, damaged, restored and compared.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, end the test by it")]

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod broken;
mod command;
mod proof;
mod restore;
mod rounds;
mod scene;
mod schedule;
mod sealed;
