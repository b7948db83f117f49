//! Supervised tasks: each has a name, an owner and an end; the threads that serve clients; and the
//! back-off between retries.

mod backoff;
mod crew;
mod stop;
mod tasks;

pub use backoff::{Backoff, chance};
pub use crew::{Crew, Home};
pub use stop::Stop;
pub use tasks::Tasks;
