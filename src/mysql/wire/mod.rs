//! MySQL's and MariaDB's wire format: bytes in, bytes out, no socket anywhere.
//!
//! Sources: MySQL's "Client/Server Protocol" (dev.mysql.com/doc/dev/mysql-server), MariaDB's
//! knowledge base, "Client/Server Protocol".

pub mod capability;
pub mod column;
pub mod command;
pub mod handshake;
pub mod ok;
mod packet;
mod reader;
pub mod reply;
pub mod status;
pub mod table;
pub mod track;

pub use packet::{HEADER, Header, MAX_PAYLOAD, WireError, peek, put_header, put_packet};
pub use reader::{Reader, put_lenenc, put_lenenc_bytes};
