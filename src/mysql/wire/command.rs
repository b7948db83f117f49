//! Commands: the first byte of what a client asks.

use super::{put_header, put_packet};
use bytes::{BufMut, BytesMut};

/// What a client asks for, by the first byte of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    Quit = 0x01,
    InitDb = 0x02,
    Query = 0x03,
    FieldList = 0x04,
    Refresh = 0x07,
    Shutdown = 0x08,
    Statistics = 0x09,
    ProcessInfo = 0x0a,
    ProcessKill = 0x0c,
    Debug = 0x0d,
    Ping = 0x0e,
    ChangeUser = 0x11,
    StmtPrepare = 0x16,
    StmtExecute = 0x17,
    StmtSendLongData = 0x18,
    StmtClose = 0x19,
    StmtReset = 0x1a,
    SetOption = 0x1b,
    StmtFetch = 0x1c,
    ResetConnection = 0x1f,
}

impl Command {
    const ALL: [Command; 20] = [
        Command::Quit,
        Command::InitDb,
        Command::Query,
        Command::FieldList,
        Command::Refresh,
        Command::Shutdown,
        Command::Statistics,
        Command::ProcessInfo,
        Command::ProcessKill,
        Command::Debug,
        Command::Ping,
        Command::ChangeUser,
        Command::StmtPrepare,
        Command::StmtExecute,
        Command::StmtSendLongData,
        Command::StmtClose,
        Command::StmtReset,
        Command::SetOption,
        Command::StmtFetch,
        Command::ResetConnection,
    ];

    /// `None`: one that is not served.
    pub fn of(byte: u8) -> Option<Command> {
        Command::ALL.into_iter().find(|command| *command as u8 == byte)
    }
}

/// Appends a command with its argument, as the first packet of a conversation.
pub fn put_command(out: &mut BytesMut, command: Command, argument: &[u8]) {
    if argument.len() < super::MAX_PAYLOAD - 1 {
        put_header(out, 1 + argument.len(), 0);
        out.put_u8(command as u8);
        out.put_slice(argument);
        return;
    }
    let mut payload = Vec::with_capacity(1 + argument.len());
    payload.push(command as u8);
    payload.extend_from_slice(argument);
    put_packet(out, 0, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_commands_agree() {
        for command in Command::ALL {
            assert_eq!(Command::of(command as u8), Some(command));
        }
        // COM_SLEEP, COM_BINLOG_DUMP, COM_DAEMON
        for byte in [0x00, 0x12, 0x1d, 0xff] {
            assert_eq!(Command::of(byte), None);
        }
    }

    #[test]
    fn a_command_is_the_first_packet() {
        let mut out = BytesMut::new();
        put_command(&mut out, Command::Query, b"DO 1");
        assert_eq!(&out[..], b"\x05\0\0\0\x03DO 1");
    }
}
