"""Markdown tables, and the note on the machine that a figure is worthless without."""
import os
import platform
import subprocess


def table(head, rows):
    """A cell is a text, or (number or None, format)."""
    def show(cell):
        if isinstance(cell, str):
            return cell
        value, form = cell
        return '–' if value is None else format(value, form)
    lines = ['| ' + ' | '.join(head) + ' |', '|---' + '|---:' * (len(head) - 1) + '|']
    return lines + ['| ' + ' | '.join(show(cell) for cell in row) + ' |' for row in rows]


def said(*command):
    try:
        ended = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return '–'
    lines = (ended.stdout or ended.stderr).strip().splitlines()
    return lines[0] if lines else '–'


def machine():
    with open('/proc/cpuinfo') as info:
        model = next((line.split(':')[1].strip() for line in info if 'model name' in line), '?')
    return [f'- {os.cpu_count()} cores ({model}), Linux {platform.release()}, load '
            f'{os.getloadavg()[0]:.1f} at the start; the cores are shared with pgbench, the servers '
            'and whatever else runs',
            f'- {said("pg_config", "--version")}, a primary and two replicas, fsync off; '
            f'{said("pgbouncer", "--version")}; {" ".join(said("haproxy", "-v").split()[:3])}; '
            f'{said("rustc", "--version")}']


def commit(root):
    name = said('git', '-C', root, 'rev-parse', '--short=10', 'HEAD')
    changed = subprocess.run(['git', '-C', root, 'status', '--porcelain', '--', 'src', 'Cargo.lock'],
                             capture_output=True, text=True).stdout.strip()
    return name + ('+changes' if changed else '')
