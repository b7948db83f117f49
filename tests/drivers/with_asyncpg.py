"""asyncpg through the proxy. Says nothing when all is well."""

import asyncio
import datetime
import decimal
import io
import uuid

import asyncpg

REPLICAS = {"n1", "n2"}


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, expected {wanted!r}")


async def fails(code, call):
    try:
        await call
    except asyncpg.PostgresError as error:
        expect(error.sqlstate, code, str(error))
        return error
    raise AssertionError(f"expected SQLSTATE {code}, but it worked")


async def node(conn):
    """Where a read goes now."""
    await conn.fetchval("SELECT 1")
    return (await conn.fetchval("SHOW tidegate.last_route")).split(":")[0]


async def logins():
    await fails("28P01", asyncpg.connect(password="wrong"))
    await fails("3D000", asyncpg.connect(database="atlantis"))


async def routes(conn):
    # The driver asks for the columns of SHOW before it runs it, which is a statement of its own.
    await node(conn)
    seen = {await node(conn) for _ in range(20)}
    expect(seen <= REPLICAS, True, f"reads on {seen}")
    async with conn.transaction():
        expect(await node(conn), "n0", "in a transaction")
    async with conn.transaction(readonly=True):
        expect(await node(conn) in REPLICAS, True, "read only")


async def types(conn):
    now = datetime.datetime(2026, 11, 21, 12, 30, 15, 123456, datetime.timezone.utc)
    for kind, value in [
        ("int2", 7), ("int8", 2**40), ("numeric", decimal.Decimal("12345.678900")),
        ("float8", 1.5), ("bool", True), ("text", "tide 潮 \\ ' \" \n"), ("text", None),
        ("bytea", b"\x00\xff\x01"), ("uuid", uuid.UUID(int=7)), ("timestamptz", now),
        ("date", now.date()), ("interval", datetime.timedelta(days=3, seconds=5)),
        ("int4[]", [1, None, 3]), ("text[]", ["a", "b,c", 'd"e']),
        ("int4range", asyncpg.Range(1, 5)), ("jsonb", '{"a": [1]}'),
    ]:
        expect(await conn.fetchval(f"SELECT $1::{kind}", value), value, kind)
    # A type that the driver has to ask the catalog for.
    await conn.execute("CREATE TYPE asyncpg_level AS ENUM ('low', 'high')")
    await conn.execute("CREATE TYPE asyncpg_mark AS (at int, level asyncpg_level)")
    found = await conn.fetchval("SELECT ROW(3, 'high')::asyncpg_mark")
    expect(tuple(found), (3, "high"), "a composite type")
    found = await conn.fetchval("SELECT $1::asyncpg_level[]", ["low", "high"])
    expect(found, ["low", "high"], "an array of an enum")


async def prepared(conn, other):
    statements = [await c.prepare("SELECT $1::int + 1") for c in (conn, other)]
    for n in range(30):
        for statement in statements:
            expect(await statement.fetchval(n), n + 1, "prepared")
        async with conn.transaction():
            expect(await statements[0].fetchval(n), n + 1, "prepared, inside")
    # More statements than the driver keeps: it closes the oldest.
    for n in range(150):
        expect(await conn.fetchval(f"SELECT {n} + $1::int", n), 2 * n, "many statements")
    describing = await conn.prepare("SELECT 1 AS one, 'x'::text AS two")
    names = [attribute.name for attribute in describing.get_attributes()]
    expect(names, ["one", "two"], "described")


async def transactions(conn):
    await conn.execute("CREATE TABLE asyncpg_t (id int PRIMARY KEY, body text)")
    async with conn.transaction():
        await conn.execute("INSERT INTO asyncpg_t VALUES ($1, $2)", 1, "kept")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO asyncpg_t VALUES (2, 'not kept')")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    rows = await conn.fetch("SELECT id, body FROM asyncpg_t")
    expect([tuple(row) for row in rows], [(1, "kept")], "committed")
    error = await fails("23505", conn.execute("INSERT INTO asyncpg_t VALUES (1, '')"))
    expect(error.constraint_name, "asyncpg_t_pkey", "constraint")
    await fails("42601", conn.fetch("SELEC 1"))

    async def broken():
        async with conn.transaction(isolation="serializable"):
            await conn.execute("DELETE FROM asyncpg_t")
            await conn.execute("SELECT 1 / 0")

    await fails("22012", broken())
    expect(await conn.fetchval("SELECT count(*) FROM asyncpg_t"), 1, "rolled back")
    status = await conn.execute("SELECT 1; UPDATE asyncpg_t SET body = 'new'; SELECT 2")
    expect(status, "SELECT 1", "several statements")
    expect(await conn.fetchval("SELECT body FROM asyncpg_t"), "new", "the middle one")


async def copies(conn):
    await conn.execute("TRUNCATE asyncpg_t")
    rows = [(n, f"row {n}\té") for n in range(20_000)]
    status = await conn.copy_records_to_table("asyncpg_t", records=rows)
    expect(status, "COPY 20000", "binary copy in")
    out = io.BytesIO()
    query = "SELECT * FROM asyncpg_t ORDER BY id"
    expect(await conn.copy_from_query(query, output=out), "COPY 20000", "copy out")
    lines = out.getvalue().decode().splitlines()
    expect(lines[3], "3\trow 3\\té", "a line")
    bad = io.BytesIO(b"not a number\tx\n")
    await fails("22P02", conn.copy_to_table("asyncpg_t", source=bad))
    many = [(-n, "many") for n in range(1, 51)]
    await conn.executemany("INSERT INTO asyncpg_t VALUES ($1, $2)", many)
    await fails("23505", conn.executemany("INSERT INTO asyncpg_t VALUES ($1, $2)", many))
    count = "SELECT count(*) FROM asyncpg_t WHERE id < 0"
    expect(await conn.fetchval(count), 50, "executemany")


async def streams(conn):
    total = 0
    async with conn.transaction():
        async for row in conn.cursor("SELECT generate_series(1, 10000)", prefetch=100):
            total += row[0]
        expect(total, 50_005_000, "a cursor")
        cursor = await conn.cursor("SELECT generate_series(1, 10)")
        await cursor.forward(3)
        expect((await cursor.fetchrow())[0], 4, "forward")
    large = "x" * 8_000_000
    expect(await conn.fetchval("SELECT $1::text", large) == large, True, "a large row")


async def interruptions(conn):
    try:
        await conn.fetchval("SELECT pg_sleep(60)", timeout=0.2)
        raise AssertionError("a timeout did not come")
    except (asyncio.TimeoutError, TimeoutError):
        pass
    expect(await conn.fetchval("SELECT 7"), 7, "after the driver's cancel")
    await conn.execute("SET statement_timeout = '50ms'")
    await fails("57014", conn.fetchval("SELECT pg_sleep(60)"))
    await conn.execute("RESET statement_timeout")
    expect(await conn.fetchval("SELECT 8 FROM pg_sleep(0.1)"), 8, "no timeout any more")


async def session(conn, other):
    notices = []
    conn.add_log_listener(lambda _, notice: notices.append(notice.message))
    await conn.execute("DO $$ BEGIN RAISE NOTICE 'high water'; END $$")
    await conn.execute("SET search_path = pg_catalog")
    for _ in range(5):
        expect(await conn.fetchval("SHOW search_path"), "pg_catalog", "a setting")
    await conn.execute("RESET ALL")
    expect(notices, ["high water"], "notices")
    heard = asyncio.get_running_loop().create_future()
    await other.add_listener("asyncpg_channel", lambda *found: heard.set_result(found[3]))
    await conn.execute("SELECT pg_notify('asyncpg_channel', 'flood')")
    expect(await asyncio.wait_for(heard, 30), "flood", "a notification")
    await other.reset()


async def pools():
    async with asyncpg.create_pool(min_size=2, max_size=8) as pool:
        async def work(n):
            async with pool.acquire() as conn:
                async with conn.transaction():
                    await conn.execute(f"SET LOCAL application_name = 'worker {n}'")
                    return await conn.fetchval("SELECT $1::int * 2", n)

        answers = await asyncio.gather(*(work(n) for n in range(100)))
        expect(answers, [2 * n for n in range(100)], "a pool")


async def main():
    await logins()
    conn, other = await asyncpg.connect(), await asyncpg.connect()
    await routes(conn)
    await types(conn)
    await prepared(conn, other)
    await transactions(conn)
    await copies(conn)
    await streams(conn)
    await interruptions(conn)
    await session(conn, other)
    await pools()
    await conn.execute("DROP TABLE asyncpg_t; DROP TYPE asyncpg_mark; DROP TYPE asyncpg_level")
    await other.close()
    await conn.close()


asyncio.run(main())
