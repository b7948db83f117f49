"""psycopg 3 through the proxy. Says nothing when all is well."""

import datetime
import decimal
import threading
import uuid

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

REPLICAS = {"n1", "n2"}


def connect(**settings):
    """A connection as the environment says: PGHOST, PGSSLMODE and so on."""
    return psycopg.connect(**settings)


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, expected {wanted!r}")


def fails(code, call):
    try:
        call()
    except psycopg.Error as error:
        expect(error.sqlstate, code, str(error))
        return error
    raise AssertionError(f"expected SQLSTATE {code}, but it worked")


def node(conn):
    """Where a read goes now."""
    conn.execute("SELECT 1")
    return conn.execute("SHOW tidegate.last_route").fetchone()[0].split(":")[0]


def logins():
    with connect() as conn:
        expect(conn.execute("SELECT current_user").fetchone(), ("app",), "user")
        expect(conn.info.parameter_status("in_hot_standby"), "off", "in_hot_standby")
    try:
        connect(password="wrong")
    except psycopg.OperationalError as error:
        expect("password authentication failed" in str(error), True, str(error))
    else:
        raise AssertionError("a wrong password was taken")


def routes():
    with connect(autocommit=True) as conn:
        seen = {node(conn) for _ in range(20)}
        expect(seen <= REPLICAS, True, f"reads on {seen}")
        with conn.transaction():
            expect(node(conn), "n0", "in a transaction")
        conn.read_only = True
        with conn.transaction():
            expect(node(conn) in REPLICAS, True, "read only")


def types():
    values = (
        42, 2**40, decimal.Decimal("12345.678900"), 1.5, True, None, "tide 潮 \\ ' \" \n",
        b"\x00\xff\x01", uuid.UUID(int=7), datetime.date(2026, 11, 21),
        datetime.datetime(2026, 11, 21, 12, 30, 15, 123456, datetime.timezone.utc),
        datetime.timedelta(days=3, seconds=5), [1, None, 3], ["a", "b,c", 'd"e'],
    )
    sql = (
        "SELECT %s::int4, %s::int8, %s::numeric, %s::float8, %s::bool, %s::text, %s::text,"
        " %s::bytea, %s::uuid, %s::date, %s::timestamptz, %s::interval, %s::int4[], %s::text[]"
    )
    with connect(autocommit=True) as conn:
        conn.execute("SET timezone = 'UTC'")
        for binary in (False, True):
            found = conn.cursor(binary=binary).execute(sql, values).fetchone()
            expect(found, values, f"types, binary {binary}")
        tree = {"a": [1, {"b": None}]}
        found = conn.execute("SELECT %s::jsonb", [Jsonb(tree)]).fetchone()
        expect(found, (tree,), "jsonb")
        span = Range(1, 5)
        expect(conn.execute("SELECT %s::int4range", [span]).fetchone(), (span,), "range")


def prepared():
    with connect(autocommit=True, prepare_threshold=1) as one, connect(autocommit=True) as two:
        two.prepare_threshold = 1
        for n in range(30):
            for conn in (one, two):
                expect(conn.execute("SELECT %s::int + 1", [n]).fetchone(), (n + 1,), "prepared")
                expect(conn.execute("SELECT %s::text", [str(n)]).fetchone(), (str(n),), "other")
            with one.transaction():
                expect(one.execute("SELECT %s::int + 1", [n]).fetchone(), (n + 1,), "inside")
        # More statements than the driver keeps: it closes the oldest.
        for n in range(150):
            row = one.execute(f"SELECT {n} + %s::int", [n], prepare=True).fetchone()
            expect(row, (2 * n,), "many statements")


def transactions(conn):
    conn.execute("CREATE TABLE psycopg_t (id int PRIMARY KEY, body text)")
    with conn.transaction():
        conn.execute("INSERT INTO psycopg_t VALUES (1, 'kept')")
        try:
            with conn.transaction():
                conn.execute("INSERT INTO psycopg_t VALUES (2, 'not kept')")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    expect(conn.execute("SELECT id, body FROM psycopg_t").fetchall(), [(1, "kept")], "committed")
    error = fails("23505", lambda: conn.execute("INSERT INTO psycopg_t VALUES (1, '')"))
    expect(error.diag.constraint_name, "psycopg_t_pkey", "constraint")
    fails("42601", lambda: conn.execute("SELEC 1"))

    def broken():
        with conn.transaction():
            conn.execute("DELETE FROM psycopg_t")
            conn.execute("SELECT 1 / 0")

    fails("22012", broken)
    expect(conn.execute("SELECT count(*) FROM psycopg_t").fetchone(), (1,), "rolled back")
    cursor = conn.cursor(row_factory=dict_row)
    returned = cursor.execute("UPDATE psycopg_t SET body = 'new' RETURNING *").fetchall()
    expect(returned, [{"id": 1, "body": "new"}], "returning")


def copies(conn):
    conn.execute("TRUNCATE psycopg_t")
    rows = [(n, f"row {n}\t\\N é") for n in range(20_000)]
    with conn.cursor() as cursor:
        with cursor.copy("COPY psycopg_t FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        expect(cursor.rowcount, len(rows), "copied in")
        with cursor.copy("COPY (SELECT * FROM psycopg_t ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int4", "text"])
            expect(list(copy.rows()), rows, "copied out")

    def bad():
        with conn.cursor().copy("COPY psycopg_t FROM STDIN") as copy:
            copy.write("not a number\tx\n")

    fails("22P02", bad)

    def given_up():
        with conn.cursor().copy("COPY psycopg_t FROM STDIN"):
            raise ZeroDivisionError

    try:
        given_up()
    except ZeroDivisionError:
        pass
    expect(conn.execute("SELECT count(*) FROM psycopg_t").fetchone(), (20_000,), "after failures")


def pipelines(conn):
    with conn.pipeline(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO psycopg_t VALUES (%s, %s)", [(n, "piped") for n in range(-50, 0)]
        )
        answers = [conn.execute("SELECT %s::int", [n]) for n in range(50)]
        expect([a.fetchone() for a in answers], [(n,) for n in range(50)], "pipeline")
    count = "SELECT count(*) FROM psycopg_t WHERE id < 0"
    expect(conn.execute(count).fetchone(), (50,), "piped in")

    def broken():
        with conn.pipeline():
            conn.execute("INSERT INTO psycopg_t VALUES (-99, '')")
            conn.execute("SELECT 1 / 0")
            conn.execute("INSERT INTO psycopg_t VALUES (-98, '')")

    fails("22012", broken)
    gone = "SELECT count(*) FROM psycopg_t WHERE id < -90"
    expect(conn.execute(gone).fetchone(), (0,), "a broken pipeline")


def streams(conn):
    with conn.transaction(), conn.cursor("tide") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT generate_series(1, 10000)")
        expect(sum(row[0] for row in cursor), 50_005_000, "a cursor of the server")
    with conn.cursor() as cursor:
        rows = cursor.stream("SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n")
        expect(sum(row[0] for row in rows), 200_010_000, "a stream")
    with conn.cursor("held", withhold=True) as cursor:
        cursor.execute("SELECT generate_series(1, 10)")
        expect(cursor.fetchmany(4), [(1,), (2,), (3,), (4,)], "a cursor that is held")
        expect(conn.execute("SELECT 1").fetchone(), (1,), "between")
        expect(len(cursor.fetchall()), 6, "the rest")
    large = "x" * 8_000_000
    expect(conn.execute("SELECT %s::text", [large]).fetchone() == (large,), True, "a large row")


def interruptions(conn):
    timer = threading.Timer(0.2, conn.cancel_safe)
    timer.start()
    fails("57014", lambda: conn.execute("SELECT pg_sleep(60)"))
    timer.join()
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = '50ms'")
        fails("57014", lambda: fallible(conn))
    expect(conn.execute("SELECT pg_sleep(0.1)").fetchone(), ("",), "no timeout any more")


def fallible(conn):
    with conn.transaction():
        conn.execute("SELECT pg_sleep(60)")


def session(conn):
    notices = []
    conn.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    conn.execute("DO $$ BEGIN RAISE NOTICE 'high water'; END $$")
    expect(notices, ["high water"], "notices")
    conn.execute("SET search_path = pg_catalog")
    conn.execute("SET application_name = 'with psycopg'")
    for _ in range(5):
        expect(conn.execute("SHOW search_path").fetchone(), ("pg_catalog",), "a setting")
    expect(conn.info.parameter_status("application_name"), "with psycopg", "reported")
    conn.execute("RESET ALL")
    expect(conn.execute("SHOW search_path").fetchone(), ('"$user", public',), "reset")
    conn.execute("CREATE TEMPORARY TABLE psycopg_own (a int)")
    conn.execute("INSERT INTO psycopg_own VALUES (7)")
    expect(conn.execute("SELECT a FROM psycopg_own").fetchone(), (7,), "a temporary table")


def notifications(conn):
    with connect(autocommit=True) as listener:
        listener.execute("LISTEN psycopg_channel")
        conn.execute("NOTIFY psycopg_channel, 'flood'")
        found = next(iter(listener.notifies(timeout=30, stop_after=1)), None)
        expect(found and found.payload, "flood", "a notification")


def main():
    logins()
    routes()
    types()
    prepared()
    with connect(autocommit=True) as conn:
        transactions(conn)
        copies(conn)
        pipelines(conn)
        streams(conn)
        interruptions(conn)
        session(conn)
        notifications(conn)
        conn.execute("DROP TABLE psycopg_t")


main()
