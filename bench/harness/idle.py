"""Memory of clients that are logged in and idle."""
import time

from .lab import DATABASE, PASSWORD, USER
from .process import cpu, resident
from .report import table
from .wire import Connection


def measure(endpoint, count):
    """Bytes for each client after the login and after one query; CPU of a core while all idle."""
    before, clients = resident(endpoint.pid), []
    try:
        while len(clients) < count:
            clients.append(Connection(endpoint.port, USER, DATABASE, PASSWORD))
        time.sleep(1)
        logged_in = (resident(endpoint.pid) - before) / count
        for client in clients:
            client.query('SELECT 1')
        time.sleep(1)
        used = (resident(endpoint.pid) - before) / count
        start = sum(cpu(endpoint.pid))
        time.sleep(5)
        idle = (sum(cpu(endpoint.pid)) - start) / 5
    finally:
        for client in clients:
            client.close()
    time.sleep(2)
    return before, logged_in, used, idle, resident(endpoint.pid)


def report(endpoints, count):
    rows = []
    for endpoint in endpoints:
        before, logged_in, used, idle, after = measure(endpoint, count)
        rows.append([endpoint.name, (before / 2**20, '.1f'), (logged_in, '.0f'), (used, '.0f'),
                     (idle * 100, '.1f'), (after / 2**20, '.1f')])
    head = ['', 'empty, MiB', 'bytes/client, logged in', 'bytes/client, after a query',
            'CPU while idle, % of a core', 'after they left, MiB']
    return [f'## {count} idle clients', '', *table(head, rows), '']
