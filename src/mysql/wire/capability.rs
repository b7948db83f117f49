//! Capabilities: what client and server agree on for a connection.

pub const LONG_PASSWORD: u32 = 1;
/// Affected rows are those found, not those changed.
pub const FOUND_ROWS: u32 = 1 << 1;
pub const LONG_FLAG: u32 = 1 << 2;
pub const CONNECT_WITH_DB: u32 = 1 << 3;
/// `database.table.column` is not allowed.
pub const NO_SCHEMA: u32 = 1 << 4;
pub const COMPRESS: u32 = 1 << 5;
pub const ODBC: u32 = 1 << 6;
/// LOAD DATA LOCAL INFILE
pub const LOCAL_FILES: u32 = 1 << 7;
/// Blanks before the parenthesis of a function are allowed.
pub const IGNORE_SPACE: u32 = 1 << 8;
pub const PROTOCOL_41: u32 = 1 << 9;
pub const INTERACTIVE: u32 = 1 << 10;
pub const SSL: u32 = 1 << 11;
pub const IGNORE_SIGPIPE: u32 = 1 << 12;
pub const TRANSACTIONS: u32 = 1 << 13;
pub const RESERVED: u32 = 1 << 14;
pub const SECURE_CONNECTION: u32 = 1 << 15;
pub const MULTI_STATEMENTS: u32 = 1 << 16;
pub const MULTI_RESULTS: u32 = 1 << 17;
pub const PS_MULTI_RESULTS: u32 = 1 << 18;
pub const PLUGIN_AUTH: u32 = 1 << 19;
pub const CONNECT_ATTRS: u32 = 1 << 20;
pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
pub const SESSION_TRACK: u32 = 1 << 23;
/// Result sets end with an OK packet instead of an EOF packet.
pub const DEPRECATE_EOF: u32 = 1 << 24;

/// Without these nobody is spoken to: MySQL before 5.7 and MariaDB before 10.2 lack some.
pub const NEEDED_OF_SERVERS: u32 =
    PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | SESSION_TRACK | DEPRECATE_EOF;

/// What every server connection has.
pub const TO_SERVERS: u32 =
    NEEDED_OF_SERVERS | LONG_PASSWORD | LONG_FLAG | TRANSACTIONS | PLUGIN_AUTH_LENENC;

/// What changes how a server understands statements or answers them: a client's server
/// connection has them exactly as the client does.
pub const OF_THE_CLIENT: u32 = FOUND_ROWS
    | NO_SCHEMA
    | LOCAL_FILES
    | IGNORE_SPACE
    | MULTI_STATEMENTS
    | MULTI_RESULTS
    | PS_MULTI_RESULTS;

/// What clients are offered, beside TLS.
pub const TO_CLIENTS: u32 = TO_SERVERS
    | OF_THE_CLIENT
    | CONNECT_WITH_DB
    | ODBC
    | INTERACTIVE
    | IGNORE_SIGPIPE
    | RESERVED
    | CONNECT_ATTRS;
