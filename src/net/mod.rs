//! Sockets without any knowledge of what they carry.

pub mod bearer;
pub mod leave;
pub mod proxied;
mod scratch;
mod socket;
mod stream;
pub mod tls;

pub use scratch::{SCRATCH_SIZE, scratch_buffers, with_scratch};
pub use socket::{say_goodbye, tune_client, tune_server};
pub use stream::Stream;
