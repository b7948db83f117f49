"""User instructions per transaction by callgrind: the one figure that repeats to a percent."""
import glob
import os
import subprocess
import time

from . import pgbench
from .report import table

CELLS = [('simple', 1), ('extended', 1), ('prepared', 1), ('simple', 16), ('prepared', 16)]


class Callgrind:
    """A process under callgrind, whose counters are read around a piece of work."""

    def __init__(self, folder, name):
        self.out = os.path.join(folder, f'callgrind.{name}'.replace(' ', '-'))
        self.wrap = ['valgrind', '-q', '--tool=callgrind', f'--callgrind-out-file={self.out}']

    def control(self, pid, *what):
        subprocess.run(['callgrind_control', *what, str(pid)], check=True, capture_output=True)

    def dump(self, pid):
        """Instructions since the last dump; and the file that says where."""
        before = set(glob.glob(self.out + '.*'))
        self.control(pid, '-d')
        for _ in range(100):
            new = set(glob.glob(self.out + '.*')) - before
            if new:
                time.sleep(0.3)
                break
            time.sleep(0.1)
        path = sorted(new)[0]
        with open(path) as text:
            total = next(int(x.split()[1]) for x in text if x.startswith(('totals:', 'summary:')))
        return total, path


def measure(grind, endpoint, mode, clients, transactions):
    each = max(1, transactions // clients)
    login = max(1, each // 10)

    def cost(count):
        grind.control(endpoint.pid, '-z')
        pgbench.run(endpoint.port, mode, clients, ['-t', str(count)])
        return grind.dump(endpoint.pid)
    cost(login)
    short, long = cost(login), cost(login + each)
    return (long[0] - short[0]) / (each * clients), long[1]


def report(lab, processes, transactions, keep):
    """Probes are a minute apart, so that nothing but the transactions is counted. The second
    row of a cell: the same without a decision, each statement goes to the primary."""
    rows = []

    def tidegate(name, route):
        monitor = 'interval = "1m"\nprobe_timeout = "1m"'
        return lambda wrap: lab.tidegate(f'{name}-callgrind', wrap, route, monitor)
    starts = {
        'tidegate': tidegate('tidegate', 'max_staleness = "1d"'),
        'routing off': tidegate('primary', 'consistency = "primary"'),
    }
    for name, start in starts.items():
        grind = Callgrind(keep, name)
        endpoint = start(grind.wrap)
        time.sleep(3)
        for mode, clients in CELLS:
            count, path = measure(grind, endpoint, mode, clients, transactions)
            rows.append([f'{mode} c={clients}', name, (count, '.0f'), os.path.basename(path)])
    return ['## User instructions per transaction (callgrind)', '',
            *table(['', 'endpoint', 'instructions', 'profile'], rows), '']
