"""New connections: SCRAM-SHA-256, one after the other, no query."""
import statistics
import time

from .lab import DATABASE, PASSWORD, USER
from .process import Meter
from .report import table
from .wire import Connection


def measure(lab, endpoint, seconds):
    Connection(endpoint.port, USER, DATABASE, PASSWORD).close()
    with Meter(endpoint.pid, lab.servers) as meter:
        until, done = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            Connection(endpoint.port, USER, DATABASE, PASSWORD).close()
            done += 1
    micro = 1e6 / done
    return dict(rate=done / meter.wall, cpu=(meter.user + meter.system) * micro,
                user=meter.user * micro, system=meter.system * micro)


def report(lab, endpoints, seconds, reps):
    found = {endpoint.name: [] for endpoint in endpoints}
    for _ in range(reps):
        for endpoint in endpoints:
            found[endpoint.name].append(measure(lab, endpoint, seconds))
    rows = [[name] + [(statistics.median(c[key] for c in cells), form) for key, form in
                      (('rate', '.0f'), ('cpu', '.0f'), ('user', '.0f'), ('system', '.0f'))]
            for name, cells in found.items()]
    head = ['', 'logins/s (one client)', 'CPU µs/login', 'user', 'system']
    return ['## New connections with SCRAM', '', *table(head, rows), '']
