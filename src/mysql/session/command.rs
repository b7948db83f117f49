//! What a client's command is, from the first bytes of it.

use crate::mysql::registry::FIRST_CLIENT;
use crate::mysql::wire::command::Command;
use crate::mysql::wire::reply::Kind;
use crate::mysql::wire::{self, HEADER};

/// Bytes of a command that are waited for before anything is done: longer texts are not understood.
const LOOK: usize = 64 * 1024;

/// The same of an EXECUTE: the types of 65,535 parameters are within.
const LOOK_EXECUTE: usize = 256 * 1024;

/// How many bytes of a command's payload are waited for. What is prepared is known by all of it.
fn looked_at(first: Option<&u8>, len: usize) -> usize {
    match first.copied().and_then(Command::of) {
        Some(Command::StmtPrepare) => len,
        Some(Command::StmtExecute) => len.min(LOOK_EXECUTE),
        _ => len.min(LOOK),
    }
}

/// The command at the front of a client's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mysql) struct Head {
    pub(in crate::mysql) sequence: u8,
    /// Bytes of its first packet, header included.
    pub(in crate::mysql) len: usize,
    /// The packet is in the input as a whole, and no other belongs to it.
    pub(in crate::mysql) is_whole: bool,
    /// Another packet belongs to it.
    pub(in crate::mysql) goes_on: bool,
    pub(in crate::mysql) plan: Plan,
}

/// What is done for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mysql) enum Plan {
    /// A server does it and answers so; `None`: not at all.
    Forward(Option<Kind>),
    /// A sign of life, of ours if no server is there.
    Ping,
    ChangeUser,
    /// A text, to be carried out.
    Query,
    /// A text, to be prepared.
    Prepare,
    /// A command about the statement of this number, other than to close it.
    Statement(Command, u32),
    /// COM_RESET_CONNECTION
    Reset,
    /// COM_STMT_CLOSE
    Close(u32),
    /// COM_SET_OPTION
    SetOption,
    /// One of our clients is meant.
    Kill {
        query: bool,
        id: u64,
    },
    Leave,
    /// Nobody knows it.
    Unknown,
}

/// The command at the front of `input`; `None`: not enough of it is there.
pub(in crate::mysql) fn look(input: &[u8]) -> Option<Head> {
    let header = wire::peek(input)?;
    let there = input.len() - HEADER;
    if there < looked_at(input.get(HEADER), header.len) {
        return None;
    }
    let payload = &input[HEADER..HEADER + header.len.min(there)];
    let is_whole = payload.len() == header.len && !header.goes_on();
    let plan = match payload.split_first() {
        Some((first, argument)) => match Command::of(*first) {
            Some(command) => plan(command, argument, is_whole),
            None => Plan::Unknown,
        },
        None => Plan::Unknown,
    };
    Some(Head {
        sequence: header.sequence,
        len: header.whole(),
        is_whole,
        goes_on: header.goes_on(),
        plan,
    })
}

fn plan(command: Command, argument: &[u8], is_whole: bool) -> Plan {
    let forward = |kind| Plan::Forward(Some(kind));
    match command {
        Command::Quit => Plan::Leave,
        Command::Ping => Plan::Ping,
        Command::ChangeUser if is_whole => Plan::ChangeUser,
        Command::ChangeUser => Plan::Unknown,
        Command::Query => match kill_of(argument) {
            Some((query, id)) if is_whole && id >= FIRST_CLIENT => Plan::Kill { query, id },
            _ => Plan::Query,
        },
        Command::ProcessKill => match argument.first_chunk::<4>().map(|id| u32::from_le_bytes(*id))
        {
            Some(id) if u64::from(id) >= FIRST_CLIENT => Plan::Kill { query: false, id: id.into() },
            _ => forward(Kind::Ok),
        },
        Command::ProcessInfo => forward(Kind::Results),
        Command::StmtPrepare => Plan::Prepare,
        Command::FieldList => forward(Kind::Fields),
        Command::Statistics => forward(Kind::Text),
        Command::StmtClose => match argument.first_chunk::<4>() {
            Some(id) => Plan::Close(u32::from_le_bytes(*id)),
            None => Plan::Forward(None),
        },
        Command::StmtExecute
        | Command::StmtFetch
        | Command::StmtReset
        | Command::StmtSendLongData => match argument.first_chunk::<4>() {
            Some(id) => Plan::Statement(command, u32::from_le_bytes(*id)),
            None => Plan::Unknown,
        },
        Command::ResetConnection => Plan::Reset,
        Command::SetOption => Plan::SetOption,
        Command::InitDb | Command::Refresh | Command::Shutdown | Command::Debug => {
            forward(Kind::Ok)
        }
    }
}

/// `KILL [HARD | SOFT] [CONNECTION | QUERY] number`, and nothing else.
fn kill_of(text: &[u8]) -> Option<(bool, u64)> {
    const LONGEST: usize = 100;
    let text = std::str::from_utf8(text.get(..text.len().min(LONGEST))?).ok()?;
    let text = text.trim().trim_end_matches(';');
    let mut words = text.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("kill") {
        return None;
    }
    let mut query = false;
    loop {
        let word = words.next()?;
        match word.to_ascii_lowercase().as_str() {
            "hard" | "soft" | "connection" => {}
            "query" => query = true,
            number => {
                let id = number.parse().ok()?;
                return words.next().is_none().then_some((query, id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::wire::command::put_command;
    use bytes::BytesMut;

    fn seen(command: Command, argument: &[u8]) -> Plan {
        let mut out = BytesMut::new();
        put_command(&mut out, command, argument);
        for cut in 0..out.len() {
            assert_eq!(look(&out[..cut]), None, "cut at {cut}");
        }
        look(&out).expect("a command").plan
    }

    #[test]
    fn commands_are_seen_when_whole_and_know_their_answers() {
        let forward = |kind| Plan::Forward(Some(kind));
        assert_eq!(seen(Command::Query, b"SELECT 1"), Plan::Query);
        assert_eq!(seen(Command::StmtClose, &[1, 0, 0, 0]), Plan::Close(1));
        assert_eq!(seen(Command::Statistics, b""), forward(Kind::Text));
        assert_eq!(look(b"\x01\0\0\0\x12").expect("a command").plan, Plan::Unknown);
        assert_eq!(look(b"\0\0\0\0").expect("a command").plan, Plan::Unknown);
    }

    #[test]
    fn a_long_command_is_seen_by_its_start() {
        let mut out = BytesMut::new();
        put_command(&mut out, Command::Query, &vec![b' '; 3 * LOOK]);
        assert_eq!(look(&out[..LOOK]), None);
        let head = look(&out[..HEADER + LOOK]).expect("a command");
        assert_eq!((head.is_whole, head.goes_on, head.len), (false, false, out.len()));
    }

    #[test]
    fn a_kill_of_ours_is_ours_and_any_other_the_servers() {
        let ours = FIRST_CLIENT + 5;
        let kill = |text: &str| seen(Command::Query, text.as_bytes());
        assert_eq!(kill(&format!("KILL {ours}")), Plan::Kill { query: false, id: ours });
        assert_eq!(
            kill(&format!("kill  soft Query {ours};")),
            Plan::Kill { query: true, id: ours }
        );
        assert_eq!(kill("KILL 7"), Plan::Query);
        assert_eq!(kill(&format!("KILL {ours} OR 1")), Plan::Query);
    }
}
