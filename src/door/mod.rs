//! Who is let in: rules, limits and the price of failed logins, the same for every protocol.

pub mod attendance;
pub mod gate;
mod method;
mod policy;
pub mod rules;
pub mod throttle;

pub use method::Method;
pub use policy::Policy;
