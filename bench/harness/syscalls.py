"""System calls per transaction, counted by strace in runs of their own: it slows what it counts."""
import re
import signal
import subprocess
import time

from . import pgbench
from .report import table

CELLS = [('simple', 1), ('simple', 16), ('prepared', 16), ('simple', 64)]
SHOWN = 6


def count(endpoint, mode, clients, transactions):
    """({system call: count per transaction}, transactions); logins are subtracted."""
    def calls(each):
        at = endpoint.for_mode(mode)
        strace = subprocess.Popen(['strace', '-c', '-f', '-p', str(at.pid)], text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.5)
        try:
            pgbench.run(at.port, mode, clients, ['-t', str(each)])
        finally:
            strace.send_signal(signal.SIGINT)
            text = strace.communicate()[1]
        return parse(text)
    each = max(20, transactions // clients)
    short, long = calls(10), calls(10 + each)
    total = each * clients
    return {name: (n - short.get(name, 0)) / total for name, n in long.items()}


def parse(summary):
    found = {}
    for line in summary.splitlines():
        row = re.match(r'\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$', line)
        if row and row[2] != 'total':
            found[row[2]] = int(row[1])
    return found


def report(endpoints, transactions=8000):
    rows = []
    for mode, clients in CELLS:
        for endpoint in endpoints:
            try:
                calls = count(endpoint, mode, clients, transactions)
            except RuntimeError as error:
                rows.append([f'{mode} c={clients}', endpoint.name, '–', str(error)])
                continue
            most = sorted(calls.items(), key=lambda kv: -kv[1])[:SHOWN]
            rows.append([f'{mode} c={clients}', endpoint.name, (sum(calls.values()), '.2f'),
                         ' '.join(f'{name} {n:.2f}' for name, n in most if n >= 0.01)])
    return ['## System calls per transaction', '',
            *table(['', 'endpoint', 'calls', 'which'], rows), '']
