#!/usr/bin/env bash
# Run once by the postgres image, when it makes the primary: the users of compose.yaml.
set -eu
# psql quotes the passwords; it does so in a script only, not in -c.
psql -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" \
  -v replication="$REPLICATION_PASSWORD" -v monitor="$MONITOR_PASSWORD" -v app="$APP_PASSWORD" <<'SQL'
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'replication';
CREATE ROLE tidegate LOGIN PASSWORD :'monitor' IN ROLE pg_monitor;
CREATE ROLE app LOGIN PASSWORD :'app';
CREATE SCHEMA app AUTHORIZATION app;
SQL
echo 'host replication replicator samenet scram-sha-256' >> "$PGDATA/pg_hba.conf"
