//! Supervised tasks: each has a name, an owner and an end; and the back-off between retries.

mod backoff;
mod stop;
mod tasks;

pub use backoff::{Backoff, chance};
pub use stop::Stop;
pub use tasks::Tasks;
