"""psycopg2."""
from runners import pytest
from stage import clean_environment

VERSION = '2.9.13'
NAME = f'psycopg2 {VERSION}'


def prepare(kept):
    return {'python': kept.venv('psycopg2', [f'psycopg2-binary=={VERSION}']),
            'folder': kept.sdist('psycopg2', VERSION)}


def run(place, ready, out):
    env = clean_environment(
        PSYCOPG2_TESTDB=place.database, PSYCOPG2_TESTDB_HOST=place.host,
        PSYCOPG2_TESTDB_PORT=str(place.port), PSYCOPG2_TESTDB_USER=place.user)
    return pytest(ready['python'], ready['folder'], ['tests'], env, out)
