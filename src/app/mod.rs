//! The composition root: the only place that knows everything.

pub mod cli;
pub mod connect;
mod demo;
mod run;
