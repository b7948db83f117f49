//! The composition root: the only place that knows everything.

mod agent;
mod backup;
pub mod cli;
pub mod connect;
mod control;
mod demo;
mod init;
mod line;
mod listeners;
mod notify;
mod picture;
mod reign;
pub mod run;
mod sampling;
mod screen;
mod upkeep;
mod wire;
