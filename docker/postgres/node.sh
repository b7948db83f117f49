#!/usr/bin/env bash
# A PostgreSQL server and the agent of Tidegate beside it, as one container. The first time it makes
# the data: by initdb, or from PRIMARY. It ends when the agent does, and takes the server with it.
#
#   NODE      its name in tidegate.toml
#   PRIMARY   where the data are copied from the first time, as host=… port=…; empty: from nowhere
#   LISTEN    the addresses it listens on; *
#   PGDATA    the data; must not be a mount point itself, its parent may be one
#   REPLICATION_PASSWORD MONITOR_PASSWORD APP_PASSWORD AGENT_TOKEN
set -eu
home=$(dirname "$PGDATA")
# The passwords of the standby and of the programs that the agent runs; they are in no other file.
passwords=$home/passwords
# As libpq reads it: colons and backslashes are escaped.
entry() { printf '*:*:*:%s:%s\n' "$1" "$(printf %s "$2" | sed 's/[\\:]/\\&/g')"; }
(umask 077 && { entry replicator "$REPLICATION_PASSWORD" && entry tidegate "$MONITOR_PASSWORD"; } >"$passwords")

# What differs from server to server: the rest of the configuration is copied with the data.
options="-p ${PGPORT:-5432} -c listen_addresses='${LISTEN:-*}' -c unix_socket_directories='$home'"

make_primary() {
  initdb -D "$PGDATA" -U postgres --auth-local=trust --auth-host=scram-sha-256 --data-checksums >/dev/null
  cat >>"$PGDATA/postgresql.conf" <<CONF
# A replica that was away finds the log that it missed.
wal_keep_size = 1GB
hot_standby_feedback = on
CONF
  cat >>"$PGDATA/pg_hba.conf" <<'HBA'
host replication replicator,tidegate samenet scram-sha-256
host all         all                 samenet scram-sha-256
HBA
}

# psql quotes the passwords; it does so in a script only, not in -c. The monitor's user has to be a
# superuser for failover.
make_users() {
  psql -X -v ON_ERROR_STOP=1 -h "$home" -p "${PGPORT:-5432}" -U postgres -d postgres \
    -v replication="$REPLICATION_PASSWORD" -v monitor="$MONITOR_PASSWORD" -v app="$APP_PASSWORD" <<'SQL'
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'replication';
CREATE ROLE tidegate SUPERUSER REPLICATION LOGIN PASSWORD :'monitor';
CREATE ROLE app LOGIN PASSWORD :'app';
CREATE DATABASE orders OWNER app;
SQL
}

make_replica() {
  # -R writes whom it follows; the name is that by which commits wait for it.
  until pg_basebackup --no-password -D "$PGDATA" -X stream -c fast -R \
    -d "$PRIMARY user=replicator passfile=$passwords application_name=$NODE"; do
    find "$PGDATA" -mindepth 1 -delete
    sleep 1
  done
}

cat >"$home/agent.toml" <<CONF
listen = "${AGENT_LISTEN:-0.0.0.0:6490}"
token_env = "AGENT_TOKEN"
state_dir = "$home/agent"
[postgres]
data_dir = "$PGDATA"
bin_dir = "$(dirname "$(command -v pg_ctl)")"
options = "$options"
log = "$home/server.log"
rewind_conninfo = "user=tidegate dbname=postgres passfile=$passwords"
replication_conninfo = "user=replicator passfile=$passwords"
CONF

new=
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -n "${PRIMARY:-}" ]; then make_replica; else make_primary && new=yes; fi
fi
stop() {
  trap - TERM INT
  kill "$agent" 2>/dev/null || true
  pg_ctl stop -D "$PGDATA" -m fast >/dev/null || true
}
# The agent is there before the server: one that was a lost primary is ended again at once.
tidegate agent -c "$home/agent.toml" &
agent=$!
trap stop TERM INT
pg_ctl start -w -D "$PGDATA" -l "$home/server.log" -o "$options" >/dev/null || cat "$home/server.log"
if [ -n "$new" ]; then make_users; fi
wait "$agent" || true
stop
