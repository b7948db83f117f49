//! The real program, as a user runs it: commands, demo, restarts.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod demo;
mod import;
mod init;
mod restart;
mod secured;
mod traces;
mod words;
