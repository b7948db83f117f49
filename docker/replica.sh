#!/usr/bin/env bash
# Starts a replica of the server "primary": the first time from a base backup.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # -R writes how to reach the primary, the password included.
  until pg_basebackup -h primary -U replicator -D "$PGDATA" -X stream -R; do
    find "$PGDATA" -mindepth 1 -delete
    sleep 1
  done
fi
exec postgres
