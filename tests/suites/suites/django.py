"""Django: the tests that are about its database layer, with psycopg."""
import os

import runners
from stage import clean_environment

VERSION = '5.2.19'
NAME = f'Django {VERSION}'
SECONDS = 2400
LABELS = ['backends', 'basic', 'transactions', 'transaction_hooks', 'select_for_update',
          'postgres_tests', 'introspection', 'inspectdb', 'bulk_create', 'get_or_create', 'delete',
          'constraints', 'raw_query', 'multiple_database', 'update', 'cache']


def prepare(kept):
    return {'python': kept.venv('django', [f'django=={VERSION}', 'psycopg[binary]==3.3.4']),
            'folder': kept.sdist('django', VERSION, without=['django'])}


def run(place, ready, out):
    runners.forget(out)
    env = clean_environment(**place.environment, SUITE_OUTCOMES=out, PYTHONPATH=runners.HERE,
                            PYTHONDONTWRITEBYTECODE='1', RUNTESTS_DIR='')
    argv = [ready['python'], 'runtests.py', '--settings=django_outcomes', '--parallel=1',
            '--noinput', '-v', '0', *LABELS]
    runners.command(argv, os.path.join(ready['folder'], 'tests'), env, out + '.log', SECONDS,
                    alive=out)
    return runners.read(out)
