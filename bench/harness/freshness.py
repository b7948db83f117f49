"""What each level of freshness costs, and who serves its reads: replicas replay 5 ms late, and every
tenth statement of each client writes."""
import os
import re
import statistics
import subprocess
import time
import urllib.request

from .lab import DATABASE, USER
from .pgbench import environment
from .report import table

LEVELS = ['primary', 'eventual', 'bounded', 'session', 'strong']
CLIENTS = [1, 16]
READ = '\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n'
WRITE = ('\\set aid random(1, 100000)\nUPDATE pgbench_accounts SET abalance = abalance + 1 '
         'WHERE aid = :aid;\n')


def replay_late(lab, by):
    for port in lab.ports[1:]:
        lab.sql(port, f"ALTER SYSTEM SET recovery_min_apply_delay = '{by}'")
        lab.sql(port, 'SELECT pg_reload_conf()')


def decisions(endpoint):
    """How often a statement was sent where it was, by the reason."""
    with urllib.request.urlopen(f'http://127.0.0.1:{endpoint.http}/metrics') as answer:
        text = answer.read().decode()
    found = {}
    for because, count in re.findall(r'tidegate_routed_total\{.*because="(\w+)".*\} (\d+)', text):
        found[because] = found.get(because, 0) + int(count)
    return found


def measure(endpoint, clients, seconds, scripts):
    """Milliseconds that a read takes on average; which part of the reads replicas served."""
    before = decisions(endpoint)
    ended = subprocess.run(
        ['pgbench', '-n', '-M', 'prepared', '-c', str(clients), '-j', str(min(clients, 2)),
         '-T', str(seconds), '-f', f'{scripts[0]}@9', '-f', f'{scripts[1]}@1', '-h', '127.0.0.1',
         '-p', str(endpoint.port), '-U', USER, DATABASE],
        env=environment(), capture_output=True, text=True, check=True)
    # Scripts are told of one after the other, each with its latency.
    latency = float(re.search(r'latency average = ([\d.]+) ms', ended.stdout.split('SQL script 1')[1])[1])
    made = {why: count - before.get(why, 0) for why, count in decisions(endpoint).items()}
    reads = sum(count for why, count in made.items() if why != 'write')
    return latency, made.get('fresh_replica', 0) / reads


def report(lab, folder, seconds, reps):
    scripts = []
    for name, text in (('read', READ), ('write', WRITE)):
        scripts.append(os.path.join(folder, f'{name}.sql'))
        with open(scripts[-1], 'w') as file:
            file.write(text)
    route = 'consistency = "{}"\nmax_staleness = "1s"'
    levels = {level: lab.tidegate(f'tidegate-{level}', route=route.format(level)) for level in LEVELS}
    found = {(level, clients): [] for clients in CLIENTS for level in LEVELS}
    replay_late(lab, '5ms')
    time.sleep(1)
    for _ in range(reps):
        for (level, clients), cells in found.items():
            cells.append(measure(levels[level], clients, seconds, scripts))
    replay_late(lab, '0')
    rows = [[f'{level} c={clients}', (statistics.median(cell[0] for cell in cells), '.2f'),
             (100 * statistics.median(cell[1] for cell in cells), '.1f')]
            for (level, clients), cells in found.items()]
    return ['## Reads beside 10 % writes, replicas 5 ms late', '',
            *table(['', 'a read, ms', 'by replicas, %'], rows), '']
