"""psycopg 3."""
from packages import Missing  # noqa: F401
from runners import pytest
from stage import clean_environment

VERSION = '3.3.4'
NAME = f'psycopg {VERSION}'


def prepare(kept):
    return {
        'python': kept.venv('psycopg', [f'psycopg[binary,pool]=={VERSION}', 'anyio==4.11.0',
                                        'pproxy==2.7.9']),
        'folder': kept.checkout('psycopg', 'tests/fix_pq.py'),
    }


def run(place, ready, out):
    chosen = ['-m', 'not slow and not mypy and not crdb and not dns', '-W', 'default',
              f'--test-dsn={place.dsn}', 'tests']
    return pytest(ready['python'], ready['folder'], chosen, clean_environment(), out)
