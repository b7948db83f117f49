//! The server's status flags in OK and EOF packets.

pub const IN_TRANS: u16 = 1;
pub const AUTOCOMMIT: u16 = 1 << 1;
pub const MORE_RESULTS: u16 = 1 << 3;
/// A cursor is open.
pub const CURSOR_EXISTS: u16 = 1 << 6;
pub const LAST_ROW_SENT: u16 = 1 << 7;
/// The default schema was dropped.
pub const DB_DROPPED: u16 = 1 << 8;
pub const NO_BACKSLASH_ESCAPES: u16 = 1 << 9;
pub const IN_TRANS_READONLY: u16 = 1 << 13;
pub const SESSION_STATE_CHANGED: u16 = 1 << 14;
