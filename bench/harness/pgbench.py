"""pgbench, once."""
import os
import re
import subprocess

from .lab import DATABASE, PASSWORD, USER


def command(port, mode, clients, length, churn=False):
    """`length`: ['-T', seconds] or ['-t', transactions of each client]."""
    return ['pgbench', '-n', '-S', '-M', mode, '-c', str(clients), '-j', str(min(clients, 2)),
            *length, *(['-C'] if churn else []), '-h', '127.0.0.1', '-p', str(port), '-U', USER,
            DATABASE]


def environment():
    return dict(os.environ, PGPASSWORD=PASSWORD, PGSSLMODE='disable', PGGSSENCMODE='disable')


def read(stdout):
    """(transactions, transactions per second, failed ones)"""
    done = re.search(r'transactions actually processed: (\d+)', stdout)
    failed = re.search(r'number of failed transactions: (\d+)', stdout)
    tps = re.search(r'tps = ([\d.]+)', stdout)
    if not done or not tps or not int(done[1]):
        return None
    return int(done[1]), float(tps[1]), int(failed[1]) if failed else 0


def run(port, mode, clients, length):
    """(transactions, transactions per second); a failed transaction is an error."""
    ended = subprocess.run(command(port, mode, clients, length), env=environment(),
                           capture_output=True, text=True)
    said = read(ended.stdout)
    if ended.returncode or not said or said[2]:
        lines = ended.stderr.strip().splitlines() or ['no transactions']
        raise RuntimeError(lines[-1][:200])
    return said[0], said[1]
