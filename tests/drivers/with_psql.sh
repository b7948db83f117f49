#!/usr/bin/env bash
# psql through the proxy. Says nothing when all is well.
set -eu

say() { echo "$@" >&2; exit 1; }

# Everything psql prints for the script on standard input.
run() { psql -X -A -t -q -v VERBOSITY=verbose "$@" 2>&1 || true; }

# expect WHAT WANTED FOUND
expect() { [ "$2" = "$3" ] || say "$1: found [$3], expected [$2]"; }

# expect_in WHAT PATTERN FOUND
expect_in() { [[ $3 == *$2* ]] || say "$1: [$2] is not in [$3]"; }

expect_in "a wrong password" 'password authentication failed for user "app"' \
  "$(PGPASSWORD=wrong run <<<'SELECT 1')"
expect_in "an unknown database" 'database "atlantis" does not exist' \
  "$(run -d atlantis <<<'SELECT 1')"
expect "the user" app "$(run <<<'SELECT current_user')"

expect_in "a read" 'fresh_replica' "$(run <<<"SELECT 1; SHOW tidegate.last_route;")"
expect_in "a transaction" 'n0: ' "$(run <<<"BEGIN; SELECT 1; SHOW tidegate.last_route; COMMIT;")"
expect_in "a transaction that only reads" 'fresh_replica' \
  "$(run <<<"BEGIN READ ONLY; SELECT 1; SHOW tidegate.last_route; COMMIT;")"

expect "a script" $'1|kept\n2|é\n2' "$(run <<'SQL'
CREATE TABLE psql_t (id int PRIMARY KEY, body text);
BEGIN;
INSERT INTO psql_t VALUES (1, 'kept');
SAVEPOINT s;
INSERT INTO psql_t VALUES (9, 'not kept');
ROLLBACK TO s;
COMMIT;
INSERT INTO psql_t VALUES (2, 'é');
SELECT * FROM psql_t ORDER BY id;
BEGIN;
DELETE FROM psql_t;
ROLLBACK;
SELECT count(*) FROM psql_t;
SQL
)"
expect_in "errors" '23505: duplicate key' "$(run <<<"INSERT INTO psql_t VALUES (1, '');")"
expect_in "errors" '42601: syntax error' "$(run <<<'SELEC 1;')"
expect "after errors" $'ERROR\nERROR\n2' "$(run -v VERBOSITY=sqlstate <<'SQL' | sed 's/ERROR.*/ERROR/'
BEGIN;
SELECT 1 / 0;
SELECT 1;
ROLLBACK;
SELECT count(*) FROM psql_t;
SQL
)"
expect "ON_ERROR_ROLLBACK" 3 "$(run -v ON_ERROR_ROLLBACK=on <<'SQL' | grep -v ERROR | tail -n 1
BEGIN;
INSERT INTO psql_t VALUES (3, 'kept');
INSERT INTO psql_t VALUES (3, 'twice');
COMMIT;
SELECT count(*) FROM psql_t;
SQL
)"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
seq 1 20000 | sed 's/.*/&\trow &/' >"$folder/in"
expect "copies" 20000 "$(run <<SQL
TRUNCATE psql_t;
\copy psql_t from '$folder/in'
\copy (SELECT * FROM psql_t ORDER BY id) to '$folder/out'
SELECT count(*) FROM psql_t;
SQL
)"
cmp "$folder/in" "$folder/out" || say "what was copied out is not what was copied in"
expect_in "a broken copy" '22P02: invalid input' \
  "$(run -c "COPY psql_t FROM STDIN" <<<$'x\ty')"

expect "a cursor" 20000 "$(run -v FETCH_COUNT=500 <<<'SELECT id FROM psql_t;' | wc -l)"
expect "a large row" 8000001 "$(run <<<"SELECT repeat('x', 8000000);" | wc -c)"
expect "SQL PREPARE" $'2\n3' "$(run <<'SQL'
PREPARE p (int) AS SELECT $1 + 1;
EXECUTE p (1);
EXECUTE p (2);
DEALLOCATE p;
SQL
)"
expect "settings" $'pg_catalog\npg_catalog\n"$user", public' "$(run <<'SQL'
SET search_path = pg_catalog;
SHOW search_path;
SHOW search_path;
RESET search_path;
SHOW search_path;
SQL
)"
expect "a setting of one transaction" $'2s\n0' "$(run <<'SQL'
BEGIN;
SET LOCAL statement_timeout = '2s';
SHOW statement_timeout;
COMMIT;
SHOW statement_timeout;
SQL
)"
expect "a setting from the start" 7s \
  "$(PGOPTIONS='-c statement_timeout=7s' run <<<'SHOW statement_timeout')"
expect_in "a timeout" '57014: canceling statement due to statement timeout' \
  "$(run <<<"SET statement_timeout = 50; SELECT pg_sleep(60);")"
expect_in "a notice" 'high water' "$(run <<<"DO \$\$ BEGIN RAISE NOTICE 'high water'; END \$\$;")"
expect_in "a notification" 'Asynchronous notification "psql_channel" with payload "flood"' \
  "$(run <<'SQL'
LISTEN psql_channel;
NOTIFY psql_channel, 'flood';
SELECT 1;
SQL
)"
expect_in "a table's description" 'id|integer||not null' "$(run <<<'\d psql_t')"
expect_in "a list of indexes" 'psql_t_pkey|index|app' "$(run <<<'\di')"
expect_in "a list of tables" 'psql_t|table|app' "$(run <<<'\dt')"
expect_in "a view's definition" 'generate_series' "$(run <<'SQL'
CREATE VIEW psql_v AS SELECT * FROM generate_series(1, 3) n;
\sv psql_v
SQL
)"
expect "\\gexec" $'1\n2\n3' "$(run <<<"SELECT 'SELECT ' || n FROM psql_v ORDER BY n \gexec")"

# Ctrl-C, again until psql has sent the statement.
psql -X -q -c 'SELECT pg_sleep(60)' >"$folder/slept" 2>&1 &
sleeper=$!
# Before that it would be this shell that is interrupted.
until [ "$(cat "/proc/$sleeper/comm" 2>/dev/null)" = psql ]; do sleep 0.05; done
while kill -INT "$sleeper" 2>/dev/null; do sleep 0.1; done
wait "$sleeper" && say "a cancelled statement succeeded"
expect_in "Ctrl-C" 'canceling statement due to user request' "$(cat "$folder/slept")"

expect "the end" "" "$(run <<<'DROP VIEW psql_v; DROP TABLE psql_t;')"
