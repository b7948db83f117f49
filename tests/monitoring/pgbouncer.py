"""What others have written to watch PgBouncer, run against the console: check_postgres as Debian has
it, and the questions of exporters, agents and templates, with the columns that they read."""

import re
import subprocess

from stand import clean, end, free_port, get, run, until

# By monitor: what it asks, and the columns (of LISTS and CONFIG: the rows) that it reads.
QUESTIONS = {
    "prometheus-community/pgbouncer_exporter": {
        "SHOW VERSION": ["version"],
        "SHOW DATABASES": ["name", "host", "port", "database", "force_user", "pool_size", "reserve_pool",
                           "pool_mode", "max_connections", "current_connections", "paused", "disabled"],
        "SHOW STATS_TOTALS": ["database", "query_count", "query_time", "bytes_received", "bytes_sent",
                              "wait_time", "xact_count"],
        "SHOW POOLS": ["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used",
                       "sv_tested", "sv_login", "maxwait"],
        "SHOW LISTS": ["databases", "users", "pools", "free_clients", "used_clients", "login_clients",
                       "free_servers", "used_servers", "dns_names", "dns_zones", "dns_queries"],
        "SHOW CONFIG": ["max_client_conn"],
    },
    "Datadog's agent": {
        "SHOW VERSION": ["version"],
        "SHOW STATS": ["database", "total_xact_count", "total_query_count", "total_received", "total_sent",
                       "total_query_time", "total_wait_time", "avg_xact_count", "avg_query_count",
                       "avg_wait_time", "avg_recv", "avg_sent", "avg_query_time"],
        "SHOW POOLS": ["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used",
                       "sv_tested", "sv_login", "maxwait", "maxwait_us"],
        "SHOW DATABASES": ["name", "pool_size", "max_connections", "current_connections"],
        "SHOW CONFIG": ["max_client_conn"],
    },
    "Debian's prometheus-pgbouncer-exporter": {
        "SHOW STATS": ["database", "total_requests", "total_received", "total_sent", "total_query_time"],
        "SHOW POOLS": ["database", "user", "cl_active", "cl_waiting"],
        "SHOW DATABASES": ["database", "pool_size", "reserve_pool"],
        "SHOW LISTS": ["databases", "users", "pools", "free_clients", "used_clients", "login_clients",
                       "free_servers", "used_servers", "dns_names", "dns_zones", "dns_queries",
                       "dns_pending"],
    },
    "templates for Zabbix": {
        "show pools": ["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used",
                       "sv_tested", "sv_login", "maxwait"],
        "show stats": ["database", "avg_recv", "avg_sent"],
        "show lists": ["free_clients", "used_clients", "login_clients", "free_servers", "used_servers"],
    },
}
# In these the rows have names.
BY_ROW = {"SHOW LISTS": "list", "SHOW CONFIG": "key"}
POOL_CHECKS = ["cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login",
               "maxwait"]


def psql(proxy, command):
    """As the templates ask: names of columns, then rows."""
    said = run("psql", "-X", "-q", "-A", "-F", "\t", "-P", "footer=off", "-h", "127.0.0.1",
               "-p", proxy.ports["console"], "-U", "pgbouncer", "-d", "pgbouncer", "-c", command, env=clean())
    head, *rows = [line.split("\t") for line in said.splitlines()]
    return head, rows


def what_is_asked_is_answered(monitor, proxy):
    for command, wanted in QUESTIONS[monitor].items():
        head, rows = psql(proxy, command)
        assert rows, f"{command}: no row"
        by_row = BY_ROW.get(command.upper())
        found = {row[head.index(by_row)] for row in rows} if by_row else set(head)
        missing = {name for name in wanted if name not in found}
        assert not missing, f"{command}: {missing} missing in {sorted(found)}"


def numbers_are_numbers(proxy):
    for command in ("SHOW POOLS", "SHOW STATS_TOTALS", "SHOW LISTS", "SHOW DATABASES"):
        head, rows = psql(proxy, command)
        for row in rows:
            for name, value in zip(head, row):
                if re.search(r"^(cl|sv|total|avg|max|dns)_|_count$|^items$|maxwait", name):
                    assert re.fullmatch(r"\d+", value), f"{command}: {name} = {value!r}"


def check_postgres_says_all_is_well(proxy):
    at = ["-H", "127.0.0.1", "--port", str(proxy.ports["console"]), "--dbuser", "pgbouncer"]
    for check in POOL_CHECKS:
        said = run("check_postgres", f"--action=pgb_pool_{check}", *at, "--warning=1000", "--critical=2000",
                   env=clean())
        assert said.startswith(f"POSTGRES_PGB_POOL_{check.upper()} OK") and "orders=" in said, said
    said = run("check_postgres", "--action=pgbouncer_backends", *at, env=clean())
    assert said.startswith("POSTGRES_PGBOUNCER_BACKENDS OK"), said


def debians_exporter_exports(proxy):
    port = free_port()
    command = ["prometheus-pgbouncer-exporter", "--host", "127.0.0.1", "--port", str(port),
               "--pgbouncer-host", "127.0.0.1", "--pgbouncer-port", str(proxy.ports["console"])]
    exporter = subprocess.Popen(command, env=clean(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        metrics = until("the exporter", lambda: get(f"http://127.0.0.1:{port}/metrics"))
    finally:
        end(exporter)
    for name in ("requests_total", "pool_size", "databases", "used_clients", "dns_names"):
        assert re.search(rf"^pgbouncer_{name}\b", metrics, re.M), f"{name} in {metrics}"


def test(tests, proxy):
    for monitor in QUESTIONS:
        tests.test(what_is_asked_is_answered, monitor, proxy)
    tests.test(numbers_are_numbers, proxy)
    tests.test(check_postgres_says_all_is_well, proxy)
    tests.test(debians_exporter_exports, proxy)
