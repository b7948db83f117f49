//! SQL texts by what they are about.

use super::Author;

/// Parameters and values for them, wrong ones included.
const PARAMETERS: &[(&str, &[&str])] = &[
    ("work_mem", &["1MB", "2MB", "64kB", "nonsense"]),
    ("timezone", &["UTC", "Asia/Tokyo", "America/New_York", "nowhere"]),
    ("datestyle", &["German", "ISO, DMY", "SQL"]),
    ("intervalstyle", &["iso_8601", "postgres"]),
    ("application_name", &["one", "it''s two", ""]),
    // Tables are on each of them: see `known` for texts that cannot be prepared anew.
    ("search_path", &["public"]),
    ("statement_timeout", &["0", "10min"]),
    ("extra_float_digits", &["0", "3"]),
    ("bytea_output", &["escape", "hex"]),
    ("my.own", &["x", "y z", ""]),
    ("my.other", &["1", "2"]),
    ("client_min_messages", &["warning", "notice", "error"]),
    ("enable_seqscan", &["on", "off"]),
    ("default_transaction_isolation", &["serializable", "read committed"]),
    ("default_transaction_read_only", &["on", "off"]),
    ("client_encoding", &["LATIN1", "UTF8"]),
    ("standard_conforming_strings", &["on", "off"]),
    ("plan_cache_mode", &["force_generic_plan", "auto"]),
    ("xmloption", &["document", "content"]),
    ("transform_null_equals", &["on", "off"]),
    ("no_such_parameter", &["1"]),
];

fn parameter(author: &mut Author) -> (&'static str, &'static str) {
    let (name, values) = PARAMETERS[author.dice.below(PARAMETERS.len())];
    (name, author.dice.pick(values))
}

/// Any of these; `{}` is the client's own number.
fn any(author: &mut Author, texts: &[&str]) -> String {
    author.dice.pick(texts).replace("{}", &author.client.to_string())
}

pub fn read(author: &mut Author) -> String {
    any(
        author,
        &[
            "SELECT 1",
            "SELECT 'two', NULL, 3.5::float8",
            "SELECT generate_series(1, 4)",
            "SELECT * FROM t{} ORDER BY a",
            "SELECT count(*), sum(a) FROM t{}",
            "SELECT * FROM shared ORDER BY a",
            "SELECT b FROM shared WHERE a = 1",
            "SELECT * FROM d{}",
            "SELECT plus(1, 2)",
            "VALUES (1, 'a'), (2, 'b')",
            "SELECT repeat('x', 20000)",
            "SELECT g, repeat('y', g) FROM generate_series(1, 200) g",
            "SELECT 'ä', '\\xdeadbeef'::bytea, date '2020-02-01', interval '1 day 2 hours'",
            "SELECT timestamptz '2020-02-01 10:00:00+00', 0.1::float4 + 0.2::float4",
            "WITH x AS (SELECT 1 AS one) TABLE x",
            "EXPLAIN (COSTS OFF) SELECT * FROM t{}",
            "",
            "-- nothing",
            "TABLE t{}",
        ],
    )
}

pub fn wrong(author: &mut Author) -> String {
    any(
        author,
        &[
            "SELECT 1/0",
            "SELEC",
            "SELECT * FROM nothing",
            "SELECT nothing",
            "SELECT 'x'::int",
            "SELECT fails('on purpose')",
            "SELECT 12 / (3 - g) FROM generate_series(1, 5) g",
            "INSERT INTO t{} VALUES (1, 'again')",
            "INSERT INTO u{} VALUES (1), (1)",
            "CREATE TABLE t{} (a int)",
        ],
    )
}

pub fn write(author: &mut Author) -> String {
    let n = author.dice.below(12);
    let text = any(
        author,
        &[
            "INSERT INTO t{} VALUES (#, 'new')",
            "INSERT INTO t{} VALUES (#, 'new') ON CONFLICT DO NOTHING RETURNING *",
            "UPDATE t{} SET b = b || '+' WHERE a = # RETURNING b",
            "DELETE FROM t{} WHERE a = #",
            "WITH w AS (INSERT INTO t{} VALUES (# + 100, 'w') RETURNING a) SELECT a FROM w",
            "SELECT * FROM t{} WHERE a < 3 ORDER BY a FOR UPDATE",
            "TRUNCATE t{}",
            "INSERT INTO u{} VALUES (#)",
            "DELETE FROM u{}",
            "UPDATE shared SET b = b || '-' WHERE a = # % 6 + 1",
            "LOCK TABLE t{} IN SHARE MODE",
        ],
    );
    text.replace('#', &n.to_string())
}

pub fn set(author: &mut Author) -> String {
    let (name, value) = parameter(author);
    match author.dice.below(12) {
        0..4 => format!("SET {name} = '{value}'"),
        4..6 => format!("SET LOCAL {name} = '{value}'"),
        6 => format!("SET {name} TO DEFAULT"),
        7 => format!("RESET {name}"),
        8 => format!("SELECT set_config('{name}', '{value}', false)"),
        9 => format!("SELECT set_config('{name}', '{value}', true)"),
        // No PostgreSQL lists parameters with a dot, which code has set.
        10 if !name.contains('.') => format!("SELECT sets('{name}', '{value}')"),
        _ => any(
            author,
            &[
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET TIME ZONE LOCAL",
                "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
                "SET NAMES 'UTF8'",
                "SET search_path TO \"$user\", public, 'a b'",
                "SET search_path TO other, public",
                "RESET ALL",
            ],
        ),
    }
}

pub fn show(author: &mut Author) -> String {
    let (name, _) = parameter(author);
    match author.dice.below(5) {
        // PostgreSQL keeps the name of a parameter with a dot for the rest of the connection.
        0..4 if name.contains('.') => {
            format!("SELECT coalesce(current_setting('{name}', true), '')")
        }
        0 | 1 => format!("SHOW {name}"),
        2 | 3 => format!("SELECT current_setting('{name}', true)"),
        _ => "SELECT current_setting('work_mem'), coalesce(current_setting('my.own', true), ''), \
              current_setting('timezone'), current_setting('search_path'), \
              current_setting('application_name'), current_user, session_user"
            .into(),
    }
}

pub fn discard(author: &mut Author) -> String {
    any(author, &["DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP", "RESET ALL"])
}

pub fn role(author: &mut Author) -> String {
    any(
        author,
        &[
            "SET ROLE reader",
            "SET ROLE writer",
            "SET ROLE nobody",
            "SET LOCAL ROLE reader",
            "SET ROLE NONE",
            "RESET ROLE",
            "SET SESSION AUTHORIZATION reader",
            "SET SESSION AUTHORIZATION writer",
            "SET SESSION AUTHORIZATION DEFAULT",
            "RESET SESSION AUTHORIZATION",
            "SELECT current_user, session_user",
        ],
    )
}

pub fn transaction(author: &mut Author) -> String {
    any(
        author,
        &[
            "BEGIN",
            "BEGIN",
            "BEGIN",
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "START TRANSACTION READ WRITE",
            "SET TRANSACTION READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "COMMIT",
            "COMMIT",
            "COMMIT",
            "END",
            "ROLLBACK",
            "ROLLBACK",
            "ABORT",
            "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN",
        ],
    )
}

pub fn begin_read_only(author: &mut Author) -> String {
    any(
        author,
        &[
            "BEGIN READ ONLY",
            "START TRANSACTION READ ONLY",
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        ],
    )
}

/// What a transaction on a replica may hear without another answer than on the primary.
pub fn in_read_only(author: &mut Author) -> String {
    let write: fn(&mut Author) -> String = match author.dice.below(8) {
        0 => show,
        1 => savepoint,
        2 => wrong,
        3 => cursor_of_transaction,
        _ => read,
    };
    write(author)
}

fn cursor_of_transaction(author: &mut Author) -> String {
    any(
        author,
        &[
            "DECLARE c CURSOR FOR SELECT generate_series(1, 10)",
            "DECLARE c SCROLL CURSOR FOR SELECT a FROM t{} ORDER BY a",
            "FETCH 2 FROM c",
            "MOVE 1 FROM c",
            "CLOSE c",
        ],
    )
}

pub fn savepoint(author: &mut Author) -> String {
    any(
        author,
        &[
            "SAVEPOINT a",
            "SAVEPOINT a",
            "SAVEPOINT \"B\"",
            "ROLLBACK TO a",
            "ROLLBACK TO SAVEPOINT \"B\"",
            "RELEASE a",
            "RELEASE SAVEPOINT \"B\"",
        ],
    )
}

pub fn two_phase(author: &mut Author) -> String {
    any(
        author,
        &[
            "PREPARE TRANSACTION 'g{}'",
            "COMMIT PREPARED 'g{}'",
            "ROLLBACK PREPARED 'g{}'",
            "ROLLBACK PREPARED 'nothing'",
        ],
    )
}

pub fn temporary(author: &mut Author) -> String {
    let n = author.dice.below(2);
    let text = any(
        author,
        &[
            "CREATE TEMP TABLE x# (a int)",
            "CREATE TEMP TABLE IF NOT EXISTS x# (a int)",
            "CREATE TEMP TABLE x# (a int) ON COMMIT DROP",
            "CREATE TEMP TABLE x# (a int) ON COMMIT DELETE ROWS",
            "CREATE TEMP TABLE x# AS SELECT 1 AS a",
            "SELECT 2 AS a INTO TEMP x#",
            "CREATE TEMP VIEW v# AS SELECT 3 AS a",
            "CREATE TEMP SEQUENCE q#",
            "INSERT INTO x# VALUES (4)",
            "SELECT * FROM x#",
            "SELECT * FROM v#",
            "SELECT nextval('q#')",
            "DROP TABLE x#",
            "DROP TABLE IF EXISTS x#",
            "DROP VIEW v#",
            "DROP SEQUENCE q#",
            "SELECT keeps(#)",
            "SELECT * FROM kept#",
            "DROP TABLE kept#",
        ],
    );
    text.replace('#', &n.to_string())
}

pub fn prepare(author: &mut Author) -> String {
    any(
        author,
        &[
            "PREPARE p AS SELECT 'p of {}'",
            "PREPARE p (int) AS SELECT $1 + {}",
            "PREPARE q AS SELECT * FROM t{} ORDER BY a",
            "PREPARE q AS INSERT INTO t{} VALUES (50, 'q') ON CONFLICT DO NOTHING",
            "EXECUTE p",
            "EXECUTE p (3)",
            "EXECUTE q",
            "EXPLAIN (COSTS OFF) EXECUTE q",
            "DEALLOCATE p",
            "DEALLOCATE q",
            "DEALLOCATE ALL",
        ],
    )
}

pub fn cursor(author: &mut Author) -> String {
    any(
        author,
        &[
            "DECLARE c CURSOR FOR SELECT generate_series(1, 10)",
            "DECLARE c SCROLL CURSOR FOR SELECT a FROM t{} ORDER BY a",
            "DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 10)",
            "DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT b FROM shared ORDER BY a",
            "FETCH 2 FROM c",
            "FETCH ALL FROM c",
            "FETCH BACKWARD 1 FROM h",
            "FETCH NEXT FROM h",
            "MOVE 3 FROM c",
            "MOVE LAST FROM h",
            "CLOSE c",
            "CLOSE h",
            "CLOSE ALL",
            "SELECT name, is_holdable FROM pg_cursors WHERE name IN ('c', 'h') ORDER BY name",
        ],
    )
}

pub fn lock(author: &mut Author) -> String {
    let n = author.dice.below(3);
    let text = any(
        author,
        &[
            "SELECT pg_try_advisory_lock(#)",
            "SELECT pg_try_advisory_lock_shared(#)",
            "SELECT pg_try_advisory_xact_lock(#)",
            "SELECT pg_advisory_unlock(#)",
            "SELECT pg_advisory_unlock_shared(#)",
            "SELECT pg_advisory_unlock_all()",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ],
    );
    text.replace('#', &n.to_string())
}

pub fn code(author: &mut Author) -> String {
    any(
        author,
        &[
            "DO $$ BEGIN RAISE NOTICE 'heard by {}'; END $$",
            "DO $$ BEGIN RAISE WARNING 'a'; RAISE NOTICE 'b'; END $$",
            "DO $$ BEGIN RAISE EXCEPTION 'no'; END $$",
            "DO $$ BEGIN PERFORM set_config('work_mem', '3MB', false); END $$",
            "DO $$ BEGIN SET ROLE reader; END $$",
            "DO $$ BEGIN INSERT INTO t{} VALUES (60, 'do') ON CONFLICT DO NOTHING; END $$",
            "DO $$ BEGIN CREATE TEMP TABLE kept0 (a int); END $$",
            "DO $$ BEGIN PERFORM pg_try_advisory_lock(2); END $$",
        ],
    )
}

pub fn define(author: &mut Author) -> String {
    any(
        author,
        &[
            "ALTER TABLE d{} ADD COLUMN c int DEFAULT 7",
            "ALTER TABLE d{} DROP COLUMN IF EXISTS c",
            "ALTER TABLE d{} ALTER COLUMN a TYPE bigint",
            "ALTER TABLE d{} ALTER COLUMN a TYPE int",
            "CREATE TABLE n{} (a int)",
            "CREATE TABLE IF NOT EXISTS n{} (a int)",
            "DROP TABLE n{}",
            "CREATE OR REPLACE VIEW w{} AS SELECT * FROM t{}",
            "SELECT * FROM n{}",
            "CREATE INDEX ON t{} (b)",
        ],
    )
}

pub fn sequence(author: &mut Author) -> String {
    any(author, &["SELECT nextval('s{}')", "SELECT setval('s{}', 5)", "SELECT last_value FROM s{}"])
}
