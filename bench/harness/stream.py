"""COPY out and in: CPU by volume, and how far the memory rises meanwhile."""
import statistics
import threading

from .lab import DATABASE, PASSWORD, USER
from .process import Meter, resident
from .report import table
from .wire import Connection

ROWS = {'107 B': 107, '8 kB': 8192}


class Peak:
    """The most memory of a process, looked at ten times a second."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()

    def __enter__(self):
        self.before = self.most = resident(self.pid)
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def _look(self):
        while not self.over.wait(0.1):
            self.most = max(self.most, resident(self.pid))

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def once(lab, endpoint, size, out, total):
    """`size`: bytes of a row with its newline."""
    client = Connection(endpoint.port, USER, DATABASE, PASSWORD, timeout=600)
    rows = total // size
    with Peak(endpoint.pid) as peak, Meter(endpoint.pid, lab.servers) as meter:
        if out:
            inner = f'SELECT repeat($$x$$, {size - 1}) FROM (SELECT generate_series(1, {rows})) s'
            moved = client.drain(f'COPY ({inner}) TO STDOUT', memoryview(bytearray(1 << 20)))
        else:
            moved = client.copy_in('COPY pgbench_sink FROM STDIN WHERE false',
                                   b'x' * (size - 1) + b'\n', total)
    client.close()
    giga = moved / 1e9
    return dict(cpu=(meter.user + meter.system) / giga, user=meter.user / giga,
                system=meter.system / giga, rate=moved / 1e6 / meter.wall,
                grown=(peak.most - peak.before) / 2**20)


def report(lab, endpoints, megabytes, reps):
    lab.sql(lab.ports[0], 'CREATE TABLE IF NOT EXISTS pgbench_sink (line text)')
    rows = []
    for name, size in ROWS.items():
        for out in (True, False):
            found = {endpoint.name: [] for endpoint in endpoints}
            for _ in range(reps):
                for endpoint in endpoints:
                    got = once(lab, endpoint, size, out, megabytes * 1_000_000)
                    found[endpoint.name].append(got)
            for peer, cells in found.items():
                middle = lambda key: statistics.median(c[key] for c in cells)
                rows.append([f'{"out" if out else "in"}, {name} rows', peer,
                             *((middle(k), '.2f') for k in ('cpu', 'user', 'system')),
                             (middle('rate'), '.0f'), (max(c['grown'] for c in cells), '.1f')])
    head = ['COPY', 'endpoint', 'CPU s/GB', 'user', 'system', 'MB/s', 'memory grown, MiB']
    return [f'## Streaming, {megabytes} MB each', '', *table(head, rows), '']
