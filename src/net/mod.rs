//! Sockets without any knowledge of what they carry.

mod scratch;
mod stream;
pub mod tls;

pub use scratch::with_scratch;
pub use stream::Stream;
