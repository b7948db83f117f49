//! Whatever a server answers, the client gets byte for byte: conversations are held directly and
//! through the proxy, by clients of today and of old.

use super::fixture::{one_server, proxy};
use super::raw::Raw;
use bytes::BytesMut;
use std::net::SocketAddr;
use tidegate::mysql::wire::capability::{
    DEPRECATE_EOF, FOUND_ROWS, LOCAL_FILES, MULTI_RESULTS, MULTI_STATEMENTS, PS_MULTI_RESULTS,
    SESSION_TRACK, TRANSACTIONS,
};
use tidegate::mysql::wire::command::{Command, put_command};
use tidegate::mysql::wire::{HEADER, peek, put_packet};

/// What one client says, without waiting for answers.
struct Script(BytesMut);

impl Script {
    fn new() -> Script {
        Script(BytesMut::new())
    }

    fn command(mut self, command: Command, argument: &[u8]) -> Script {
        put_command(&mut self.0, command, argument);
        self
    }

    fn query(self, sql: &str) -> Script {
        self.command(Command::Query, sql.as_bytes())
    }

    fn queries(self, all: &[&str]) -> Script {
        all.iter().fold(self, |script, sql| script.query(sql))
    }

    /// A packet of a file, or the empty one at its end.
    fn file(mut self, sequence: u8, bytes: &[u8]) -> Script {
        put_packet(&mut self.0, sequence, bytes);
        self
    }

    fn unknown(mut self, command: u8) -> Script {
        put_packet(&mut self.0, 0, &[command]);
        self
    }

    /// EXECUTE of the last prepared statement, as MariaDB's clients pipeline it.
    fn execute_last(self, flags: u8, parameters: &[u8]) -> Script {
        let head = [0xff, 0xff, 0xff, 0xff, flags, 1, 0, 0, 0];
        self.command(Command::StmtExecute, &[&head, parameters].concat())
    }
}

/// One integer parameter: no NULL, bound now, LONG.
fn integer(n: u32) -> Vec<u8> {
    [&[0, 1, 3, 0][..], &n.to_le_bytes()].concat()
}

fn scripts() -> Vec<(&'static str, Script)> {
    let all = [scripts_of_queries(), scripts_of_other_commands()];
    all.into_iter().flatten().chain(scripts_of_files_and_long_packets()).collect()
}

fn scripts_of_queries() -> Vec<(&'static str, Script)> {
    vec![
        (
            "rows, no rows, nulls",
            Script::new().queries(&[
                "SELECT 1, NULL, 'a'",
                "SELECT 1 FROM dual WHERE 0",
                "SELECT seq, repeat('x', seq) FROM seq_1_to_2000",
                "SELECT repeat('y', 300), ''",
            ]),
        ),
        (
            "statements without rows",
            Script::new().queries(&[
                "CREATE OR REPLACE TABLE same_t (id int AUTO_INCREMENT PRIMARY KEY, v varchar(20))",
                "INSERT INTO same_t (v) VALUES ('a'), ('b')",
                "UPDATE same_t SET v = 'a'",
                "UPDATE same_t SET v = 'a'",
                "INSERT IGNORE INTO same_t VALUES (1, 'twice')",
                "SHOW WARNINGS",
                "DELETE FROM same_t",
                "DROP TABLE same_t",
            ]),
        ),
        ("errors", Script::new().queries(&["SELECT nope", "", "  ", "-- x", "SELECT", "/* c */"])),
        (
            "several statements",
            Script::new().queries(&[
                "SELECT 1; SELECT 2; DO 3; SELECT 4",
                "SELECT 1; SELECT nope; SELECT 3",
                "SET @a := 1; SELECT @a",
            ]),
        ),
        (
            "transactions",
            Script::new().queries(&[
                "START TRANSACTION",
                "SELECT 1",
                "COMMIT",
                "SET autocommit = 0",
                "SELECT 1",
                "ROLLBACK",
                "SET autocommit = 1",
                "START TRANSACTION READ ONLY",
                "INSERT INTO nowhere VALUES (1)",
                "ROLLBACK",
            ]),
        ),
        (
            "variables and schemas",
            Script::new()
                .queries(&[
                    "SET time_zone = '+01:00'",
                    "SET character_set_results = latin1",
                    "SET sql_mode = ''",
                ])
                .command(Command::InitDb, b"information_schema")
                .query("SELECT database()")
                .command(Command::InitDb, b"nowhere")
                .query("USE test"),
        ),
        (
            "a procedure with results",
            Script::new().queries(&[
                "CREATE OR REPLACE PROCEDURE same_p() BEGIN SELECT 1; SELECT 2; END",
                "CALL same_p()",
                "DROP PROCEDURE same_p",
            ]),
        ),
    ]
}

fn scripts_of_other_commands() -> Vec<(&'static str, Script)> {
    let statement = |id: u32| id.to_le_bytes();
    let fetch = |id: u32, rows: u32| [id.to_le_bytes(), rows.to_le_bytes()].concat();
    vec![
        (
            "a prepared statement",
            Script::new()
                .command(Command::StmtPrepare, b"SELECT ? + 1, 'x'")
                .execute_last(0, &integer(41))
                .command(
                    Command::StmtExecute,
                    &[&statement(1)[..], &[0, 1, 0, 0, 0], &integer(7)].concat(),
                )
                .command(Command::StmtReset, &statement(1))
                .command(Command::StmtSendLongData, &[&statement(1)[..], &[0, 0], b"5"].concat())
                .command(Command::StmtClose, &statement(1))
                .command(
                    Command::StmtExecute,
                    &[&statement(1)[..], &[0, 1, 0, 0, 0], &integer(7)].concat(),
                )
                .command(Command::StmtPrepare, b"DO 1")
                .execute_last(0, b"")
                .command(Command::StmtPrepare, b"SELECT nope")
                .command(Command::StmtPrepare, b"INSERT INTO nowhere VALUES (?)"),
        ),
        (
            "a cursor",
            Script::new()
                .command(Command::StmtPrepare, b"SELECT seq FROM seq_1_to_5")
                .execute_last(1, b"")
                .command(Command::StmtFetch, &fetch(1, 2))
                .command(Command::StmtFetch, &fetch(1, 2))
                .command(Command::StmtFetch, &fetch(1, 2))
                .command(Command::StmtFetch, &fetch(1, 2))
                .command(Command::StmtReset, &statement(1)),
        ),
        (
            "other commands",
            Script::new()
                .command(Command::Ping, b"")
                .query("DO 1")
                .command(Command::Ping, b"")
                .command(Command::SetOption, &[1, 0])
                .command(Command::SetOption, &[0, 0])
                .command(Command::SetOption, &[9, 0])
                .command(Command::FieldList, b"nowhere\0%")
                .command(Command::ResetConnection, b"")
                .unknown(0x13)
                .unknown(0x77)
                .query("SELECT 1"),
        ),
    ]
}

fn scripts_of_files_and_long_packets() -> Vec<(&'static str, Script)> {
    vec![
        (
            "the fields of a table",
            Script::new()
                .query("CREATE OR REPLACE TABLE same_f (a int, b text DEFAULT 'x')")
                .command(Command::FieldList, b"same_f\0%")
                .query("DROP TABLE same_f"),
        ),
        (
            "a file of the client's",
            Script::new()
                .query("CREATE OR REPLACE TABLE same_l (a int, b text)")
                .query("LOAD DATA LOCAL INFILE 'any' INTO TABLE same_l")
                .file(2, b"1\tone\n2\ttwo\n")
                .file(3, b"3\tthree\n")
                .file(4, b"")
                .query("SELECT * FROM same_l ORDER BY a")
                .query("DROP TABLE same_l"),
        ),
        (
            "rows and a query of more than a packet",
            Script::new()
                .query(&format!("SELECT length('{}')", "x".repeat(17 << 20)))
                .query("SELECT repeat('x', 17 * 1024 * 1024), 'end'")
                .query("SELECT repeat('x', 16777215 - 4)")
                .query("SELECT 1"),
        ),
    ]
}

/// Without what an EOF packet between columns and rows tells of what is still to come: that no index
/// is used, that the query is slow, that more results follow. Ours is made before that is known, and
/// what counts is the packet at the end.
fn without_forecasts(mut bytes: Vec<u8>) -> Vec<u8> {
    let (mut at, mut behind_column) = (0, false);
    while let Some(header) = peek(&bytes[at..]) {
        let payload = &mut bytes[at + HEADER..at + header.whole()];
        if behind_column && payload.len() == 5 && payload[0] == 0xfe {
            payload[3] &= !0x38;
            payload[4] &= !0x08;
        }
        behind_column = payload.starts_with(b"\x03def");
        at += header.whole();
    }
    bytes
}

async fn hear(address: SocketAddr, capabilities: u32, script: &Script) -> Vec<u8> {
    let mut client = Raw::connect(address, capabilities).await;
    let (mut out, mut said) = (BytesMut::new(), script.0.clone());
    put_command(&mut out, Command::Quit, b"");
    said.extend_from_slice(&out);
    // The other side may answer long before it has read all.
    client.send(&said).await;
    client.rest().await
}

#[tokio::test]
async fn answers_are_the_same_byte_for_byte() {
    let server = one_server().await;
    server.sql("SET GLOBAL max_allowed_packet = 64 * 1024 * 1024").await.unwrap();
    let direct: SocketAddr = server.primary().address().parse().unwrap();
    let base = TRANSACTIONS | MULTI_STATEMENTS | MULTI_RESULTS | PS_MULTI_RESULTS | LOCAL_FILES;
    let clients = [
        ("today's", base | DEPRECATE_EOF | SESSION_TRACK),
        ("one of old", base),
        ("one that tracks", base | SESSION_TRACK),
        ("one without EOF", base | DEPRECATE_EOF | FOUND_ROWS),
    ];
    let modes = ["mode = \"session\"", "mode = \"transaction\""];
    let all = clients.into_iter().flat_map(|client| modes.map(|mode| (client, mode)));
    for ((client, capabilities), mode) in all {
        // Numbers of statements start anew on a connection that nobody used before.
        for (what, script) in scripts() {
            let proxy = proxy(&server, mode, "").await;
            let expected = without_forecasts(hear(direct, capabilities, &script).await);
            let got = without_forecasts(hear(proxy.mysql, capabilities, &script).await);
            let at = expected.iter().zip(&got).position(|(a, b)| a != b);
            let at = at.or((expected.len() != got.len()).then_some(expected.len().min(got.len())));
            if let Some(at) = at {
                let near = |bytes: &[u8]| {
                    let from = at.saturating_sub(40);
                    bytes[from..bytes.len().min(at + 40)].escape_ascii().to_string()
                };
                panic!(
                    "{what}, client {client}, {mode}: differs at byte {at} of {} and {}\n{}\n{}",
                    expected.len(),
                    got.len(),
                    near(&expected),
                    near(&got)
                );
            }
            proxy.proxy.stop().await;
        }
    }
}
