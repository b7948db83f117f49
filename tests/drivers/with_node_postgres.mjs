// node-postgres through the proxy. Says nothing when all is well.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'

// The packages are where DRIVERS says, not beside this file.
const require = createRequire(`${process.env.DRIVERS}/`)
const pg = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copy = require('pg-copy-streams')

const REPLICAS = new Set(['n1', 'n2'])
const ssl =
  process.env.PGSSLMODE === 'disable' ? false : { ca: fs.readFileSync(process.env.PGSSLROOTCERT) }

async function connect(settings = {}) {
  const client = new pg.Client({ ssl, ...settings })
  await client.connect()
  return client
}

const fails = (code, promise) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.stack)
    return true
  })

// Where a read goes now.
async function node(client) {
  await client.query('SELECT 1')
  const { rows } = await client.query({ text: 'SHOW tidegate.last_route', rowMode: 'array' })
  return rows[0][0].split(':')[0]
}

async function logins() {
  await fails('28P01', connect({ password: 'wrong' }))
  await fails('3D000', connect({ database: 'atlantis' }))
}

async function routes(client) {
  for (let n = 0; n < 20; n++) assert.ok(REPLICAS.has(await node(client)))
  await client.query('BEGIN')
  assert.equal(await node(client), 'n0')
  await client.query('COMMIT')
  await client.query('BEGIN READ ONLY')
  assert.ok(REPLICAS.has(await node(client)))
  await client.query('COMMIT')
}

async function types(client) {
  const when = new Date('2026-11-21T12:30:15.123Z')
  const text = 'tide 潮 \\ \' " \n'
  const values = [42, '1099511627776', '12345.678900', 1.5, true, null, text]
  const more = [Buffer.from([0, 255, 1]), when, ['a', 'b,c', 'd"e'], { a: [1, { b: null }] }]
  const sql =
    'SELECT $1::int4, $2::int8, $3::numeric, $4::float8, $5::bool, $6::text, $7::text,' +
    ' $8::bytea, $9::timestamptz, $10::text[], $11::jsonb'
  const query = { text: sql, values: [...values, ...more], rowMode: 'array' }
  const { rows } = await client.query(query)
  assert.deepEqual(rows[0], [...values, ...more])
}

async function prepared(client, other) {
  for (let n = 0; n < 30; n++) {
    for (const each of [client, other]) {
      const query = { name: 'plus', text: 'SELECT $1::int + 1 AS a', values: [n] }
      assert.equal((await each.query(query)).rows[0].a, n + 1)
    }
    // The same name means something else to another client.
    const mine = { name: 'own', text: 'SELECT $1::text AS a', values: [String(n)] }
    assert.equal((await client.query(mine)).rows[0].a, String(n))
    const theirs = { name: 'own', text: 'SELECT $1::int * 3 AS a', values: [n] }
    assert.equal((await other.query(theirs)).rows[0].a, n * 3)
  }
}

async function transactions(client) {
  await client.query('CREATE TABLE node_t (id int PRIMARY KEY, body text)')
  await client.query('BEGIN')
  await client.query('INSERT INTO node_t VALUES ($1, $2)', [1, 'kept'])
  await client.query('SAVEPOINT s')
  await fails('23505', client.query('INSERT INTO node_t VALUES (1, $1)', ['twice']))
  await fails('25P02', client.query('SELECT 1'))
  await client.query('ROLLBACK TO s')
  await client.query('COMMIT')
  assert.deepEqual((await client.query('SELECT * FROM node_t')).rows, [{ id: 1, body: 'kept' }])
  await client.query('BEGIN')
  const gone = await client.query('DELETE FROM node_t')
  assert.equal(gone.rowCount, 1)
  await client.query('ROLLBACK')
  assert.equal((await client.query('SELECT count(*)::int AS n FROM node_t')).rows[0].n, 1)
  await fails('42601', client.query('SELEC 1'))
  const several = await client.query("SELECT 1 AS a; UPDATE node_t SET body = 'new'; SELECT 2 AS a")
  assert.deepEqual(several.map((r) => r.command), ['SELECT', 'UPDATE', 'SELECT'])
  // All at once: the driver queues them.
  const queued = [...Array(50).keys()].map((n) => client.query('SELECT $1::int AS a', [n]))
  const answers = (await Promise.all(queued)).map((r) => r.rows[0].a)
  assert.deepEqual(answers, [...Array(50).keys()])
}

async function copies(client) {
  await client.query('TRUNCATE node_t')
  const lines = [...Array(20000).keys()].map((n) => `${n}\trow ${n} é\n`)
  await pipeline(Readable.from(lines), client.query(copy.from('COPY node_t FROM STDIN')))
  let out = ''
  const order = 'COPY (SELECT * FROM node_t ORDER BY id) TO STDOUT'
  const from = client.query(copy.to(order))
  from.setEncoding('utf8')
  for await (const chunk of from) out += chunk
  assert.equal(out, lines.join(''))
  const bad = client.query(copy.from('COPY node_t FROM STDIN'))
  await fails('22P02', pipeline(Readable.from(['not a number\tx\n']), bad))
  assert.equal((await client.query('SELECT count(*)::int AS n FROM node_t')).rows[0].n, 20000)
}

async function streams(client) {
  const cursor = client.query(new Cursor('SELECT generate_series(1, 10000) AS n'))
  let total = 0
  for (let rows = await cursor.read(333); rows.length; rows = await cursor.read(333)) {
    total += rows.reduce((sum, row) => sum + row.n, 0)
  }
  assert.equal(total, 50005000)
  const early = client.query(new Cursor('SELECT generate_series(1, 10000) AS n'))
  assert.equal((await early.read(5)).length, 5)
  await early.close()
  const many = "SELECT n, repeat('x', 100) AS x FROM generate_series(1, $1::int) n"
  total = 0
  for await (const row of client.query(new QueryStream(many, [20000]))) total += row.n
  assert.equal(total, 200010000)
  const large = 'x'.repeat(8_000_000)
  assert.ok((await client.query('SELECT $1::text AS x', [large])).rows[0].x === large)
}

async function interruptions(client) {
  const asleep = new pg.Query('SELECT pg_sleep(60)')
  const ended = once(asleep, 'error').catch((error) => [error])
  client.query(asleep)
  let over = false
  ended.then(() => (over = true))
  // A cancel that comes before the statement is lost.
  while (!over) {
    new pg.Client({ ssl: false }).cancel(client, asleep)
    await sleep(50)
  }
  assert.equal((await ended)[0].code, '57014')
  const limited = await connect({ statement_timeout: 50 })
  await fails('57014', limited.query('SELECT pg_sleep(60)'))
  assert.equal((await limited.query('SHOW statement_timeout')).rows[0].statement_timeout, '50ms')
  await limited.end()
  assert.equal((await client.query('SHOW statement_timeout')).rows[0].statement_timeout, '0')
}

async function session(client, other) {
  const notice = once(client, 'notice')
  await client.query("DO $$ BEGIN RAISE NOTICE 'high water'; END $$")
  assert.equal((await notice)[0].message, 'high water')
  await client.query('SET search_path = pg_catalog')
  for (let n = 0; n < 5; n++) {
    assert.equal((await client.query('SHOW search_path')).rows[0].search_path, 'pg_catalog')
  }
  await client.query('RESET ALL')
  const heard = once(other, 'notification')
  await other.query('LISTEN node_channel')
  await client.query("NOTIFY node_channel, 'flood'")
  assert.equal((await heard)[0].payload, 'flood')
  await other.query('UNLISTEN *')
}

async function pools() {
  const pool = new pg.Pool({ ssl, max: 8 })
  const work = [...Array(100).keys()].map((n) => pool.query('SELECT $1::int * 2 AS a', [n]))
  const answers = (await Promise.all(work)).map((r) => r.rows[0].a)
  assert.deepEqual(answers, [...Array(100).keys()].map((n) => n * 2))
  await pool.end()
}

await logins()
const client = await connect()
const other = await connect()
await routes(client)
await types(client)
await prepared(client, other)
await transactions(client)
await copies(client)
await streams(client)
await interruptions(client)
await session(client, other)
await pools()
await client.query('DROP TABLE node_t')
await other.end()
await client.end()
