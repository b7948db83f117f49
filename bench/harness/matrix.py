"""pgbench -S by mode and number of clients: every endpoint in each repetition, in turns."""
import statistics
import sys

from . import pgbench
from .process import Meter
from .report import table

COLUMNS = ['', 'tps', '× direct', 'CPU µs/txn', 'least', 'user', 'system', '× PgBouncer',
           '× floor', 'server µs/txn', 'foreign cores']


def cell(lab, endpoint, mode, clients, seconds):
    at = endpoint.for_mode(mode)
    with Meter(at.pid, lab.servers) as meter:
        done, tps = pgbench.run(at.port, mode, clients, ['-T', str(seconds)])
    micro = 1e6 / done
    return dict(tps=tps, cpu=(meter.user + meter.system) * micro, user=meter.user * micro,
                system=meter.system * micro, server=meter.server * micro, foreign=meter.foreign)


def measure(lab, endpoints, modes, clients, seconds, reps):
    """{(mode, clients): {endpoint: [cell for each repetition]}}"""
    jobs = [(mode, count) for mode in modes for count in clients]
    found = {job: {e.name: [] for e in endpoints} for job in jobs}
    for rep in range(reps):
        for number, job in enumerate(jobs):
            turn = (rep + number) % len(endpoints)
            for endpoint in endpoints[turn:] + endpoints[:turn]:
                try:
                    got = cell(lab, endpoint, *job, seconds)
                except RuntimeError as error:
                    got = dict(error=str(error))
                found[job][endpoint.name].append(got)
                shown = ' '.join(f'{k}={v:.4g}' if isinstance(v, float) else f'{k}={v}'
                                 for k, v in got.items())
                print(f'  {rep + 1}/{reps} {job[0]} c={job[1]} {endpoint.name}: {shown}',
                      file=sys.stderr, flush=True)
    return found


def median(cells, key):
    values = [c[key] for c in cells if key in c]
    return statistics.median(values) if values else None


def ratio(cells, others, key):
    """The median of the ratios of the same repetition: what disturbed one disturbed the other."""
    pairs = [a[key] / b[key] for a, b in zip(cells, others) if a.get(key) and b.get(key)]
    return statistics.median(pairs) if pairs else None


def report(found):
    lines = []
    for (mode, clients), by_name in found.items():
        rows = []
        for name, cells in by_name.items():
            proxy = name != 'direct'
            others = lambda peer: by_name.get(peer, []) if proxy else []
            least = min((c['cpu'] for c in cells if 'cpu' in c), default=None)
            rows.append([
                name, (median(cells, 'tps'), '.0f'),
                (ratio(cells, by_name.get('direct', []), 'tps'), '.2f'),
                *((median(cells, k) if proxy else None, '.1f') for k in ('cpu',)),
                (least if proxy else None, '.1f'),
                *((median(cells, k) if proxy else None, '.1f') for k in ('user', 'system')),
                (ratio(cells, others('pgbouncer'), 'cpu'), '.2f'),
                (ratio(cells, others('floor-epoll'), 'cpu'), '.2f'),
                (median(cells, 'server'), '.1f'), (median(cells, 'foreign'), '.2f')])
            errors = [c['error'] for c in cells if 'error' in c]
            if errors:
                rows[-1][0] = f'{name} ({len(errors)} failed: {errors[0]})'
        lines += [f'### {mode}, c={clients}', '', *table(COLUMNS, rows), '']
    return lines
