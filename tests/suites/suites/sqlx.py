"""sqlx, but for tests whose compiler asks a database. They need a crate of its repository that is
published nowhere."""
import hashlib
import json
import os
import re

import runners
from packages import run as run_program
from stage import clean_environment

VERSION = '0.8.6'
# Its runner takes no list of tests.
AGAIN = False
NAME = f'sqlx {VERSION}'
FEATURES = ['runtime-tokio', 'tls-none', 'postgres', 'any', 'macros', 'migrate', 'derive', 'time',
            'chrono', 'uuid', 'json', 'bigdecimal', 'rust_decimal', 'bit-vec', 'ipnet', 'ipnetwork',
            'mac_address']
TESTS = ['postgres', 'postgres-types', 'postgres-describe', 'postgres-error',
         'postgres-migrate', 'postgres-query-builder', 'postgres-rustsec']


def prepare(kept):
    place = kept.checkout('sqlx', 'sqlx-test/src/lib.rs')
    _answer_the_compiler(place)
    # The repository asks for a toolchain of its own.
    env = os.environ | {'CARGO_TARGET_DIR': kept.path('sqlx-target'), 'RUSTUP_TOOLCHAIN': 'stable',
                        'SQLX_OFFLINE': 'true'}
    tests = [word for test in TESTS for word in ('--test', test)]
    made = run_program(['cargo', 'test', '--no-run', '--message-format=json', '-p', 'sqlx',
                        '--no-default-features', '--features', ','.join(FEATURES), *tests],
                       cwd=place, env=env)
    said = [json.loads(line) for line in made.splitlines()]
    programs = {s['target']['name']: s['executable'] for s in said
                if s.get('executable') and s['target']['name'] in TESTS}
    if sorted(programs) != sorted(TESTS):
        raise RuntimeError(f'cargo built only {sorted(programs)}')
    return {'programs': programs, 'folder': place}


def _answer_the_compiler(place):
    """One statement of the tests is described while they are compiled."""
    query = 'SELECT 1 AS one'
    digest = hashlib.sha256(query.encode()).hexdigest()
    described = {'columns': [{'ordinal': 0, 'name': 'one', 'type_info': 'Int4'}],
                 'parameters': {'Left': []}, 'nullable': [None]}
    os.makedirs(f'{place}/.sqlx', exist_ok=True)
    with open(f'{place}/.sqlx/query-{digest}.json', 'w') as file:
        json.dump({'db_name': 'PostgreSQL', 'query': query, 'describe': described,
                   'hash': digest}, file)


def run(place, ready, out):
    runners.forget(out)
    with open(os.path.join(ready['folder'], 'tests', 'postgres', 'setup.sql')) as setup:
        place.sql(setup.read())
    env = clean_environment() | {'DATABASE_URL': place.url}
    outcomes = {}
    for name, program in sorted(ready['programs'].items()):
        listed = run_program([program, '--list'])
        for test in re.findall(r'^(\S+): test$', listed, re.M):
            status = runners.command([program, '--exact', test], ready['folder'], env,
                                     out + '.log', runners.TEST_SECONDS)
            outcomes[f'{name}::{test}'] = {0: 'passed', None: 'hung'}.get(status, 'failed')
    return outcomes
