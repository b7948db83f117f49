#!/usr/bin/env bash
# A MariaDB server as a container. The first time it makes the data, and either the users, or, with
# PRIMARY, itself a replica, which then has all of the primary's log from its beginning.
#
#   SERVER_ID  a number of its own
#   PRIMARY    the host that it follows; empty: none. PRIMARY_PORT: 3306
#   DATA       /var/lib/mysql
#   REPLICATION_PASSWORD MONITOR_PASSWORD APP_PASSWORD
set -eu
data=${DATA:-/var/lib/mysql}

# In SQL, as a literal.
literal() { printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }

# What the server runs when it is ready for the first time.
first() {
  if [ -n "${PRIMARY:-}" ]; then
    echo "CHANGE MASTER TO MASTER_HOST = $(literal "$PRIMARY"), MASTER_PORT = ${PRIMARY_PORT:-3306}," \
      "MASTER_USER = 'replicator', MASTER_PASSWORD = $(literal "$REPLICATION_PASSWORD")," \
      "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;"
    echo "START SLAVE;"
  else
    echo "CREATE USER replicator@'%' IDENTIFIED BY $(literal "$REPLICATION_PASSWORD");"
    echo "GRANT REPLICATION SLAVE ON *.* TO replicator@'%';"
    echo "CREATE USER tidegate@'%' IDENTIFIED BY $(literal "$MONITOR_PASSWORD");"
    echo "GRANT SLAVE MONITOR, BINLOG MONITOR, REPLICATION MASTER ADMIN ON *.* TO tidegate@'%';"
    echo "CREATE USER app@'%' IDENTIFIED BY $(literal "$APP_PASSWORD");"
    echo "CREATE DATABASE orders;"
    echo "GRANT ALL ON orders.* TO app@'%';"
  fi
}

options=(--no-defaults --datadir="$data" --server-id="$SERVER_ID" --port="${PORT:-3306}"
  --socket="$data/server.sock" --log-bin=binlog --log-slave-updates --binlog-format=row
  --gtid-strict-mode=on --skip-name-resolve --max-connections=500)
if [ -n "${PRIMARY:-}" ]; then options+=(--read-only=on); fi
if [ ! -d "$data/mysql" ]; then
  # What it makes here is every server's own and stays out of the log.
  mariadb-install-db --no-defaults --datadir="$data" --skip-test-db --auth-root-authentication-method=socket \
    --skip-log-bin >/dev/null
  (umask 077 && first >"$data/first.sql")
fi
# Once it has run, nothing is left to run; the file holds passwords.
if [ -s "$data/first.sql" ]; then
  mariadbd "${options[@]}" --skip-networking --init-file="$data/first.sql" &
  server=$!
  until mariadb-admin --no-defaults --socket="$data/server.sock" ping >/dev/null 2>&1; do
    kill -0 $server
    sleep 0.2
  done
  rm "$data/first.sql"
  kill $server
  wait $server
fi
exec mariadbd "${options[@]}"
