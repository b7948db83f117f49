"""SQLAlchemy: the dialect suite, and its tests of the PostgreSQL dialect, with psycopg."""
from runners import pytest
from stage import clean_environment

VERSION = '2.0.58'
NAME = f'SQLAlchemy {VERSION}'


def prepare(kept):
    return {'python': kept.venv('sqlalchemy', [f'sqlalchemy=={VERSION}', 'psycopg[binary]==3.3.4']),
            'folder': kept.sdist('sqlalchemy', VERSION)}


def run(place, ready, out):
    # What its README.unittests asks for.
    for statement in ('CREATE SCHEMA test_schema', 'CREATE SCHEMA test_schema_2',
                      'CREATE EXTENSION hstore', 'CREATE EXTENSION citext',
                      "ALTER DATABASE suite SET default_text_search_config = 'english'"):
        place.sql(statement)
    uri = f'postgresql+psycopg://{place.user}@{place.host}:{place.port}/{place.database}'
    chosen = ['test/dialect/test_suite.py', 'test/dialect/postgresql', '--dburi', uri,
              '--maxfail=100000', '-W', 'ignore']
    return pytest(ready['python'], ready['folder'], chosen, clean_environment(), out)
