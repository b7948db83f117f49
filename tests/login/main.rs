//! Logins end to end: real clients, the proxy, real servers.

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod binary;
mod channel_binding;
mod client_tls;
mod direct_tls;
mod fixture;
mod limits;
mod lookup;
mod methods;
mod other_user;
mod pg_auth;
mod proxied;
mod refused;
mod rules;
mod secrets;
mod server_tls;
mod slow;
mod throttle;
mod users_file;
