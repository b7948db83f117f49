//! The throwaway clusters themselves.
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]

#[path = "../support/mod.rs"]
mod support;

mod mariadb;
mod postgres;
