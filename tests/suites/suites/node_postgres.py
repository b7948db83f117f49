"""node-postgres: each file of its tests is a program that passes or fails."""
import os
import shutil

import runners
from stage import clean_environment

VERSION = '8.23.0'
# Its runner takes no list of tests.
AGAIN = False
NAME = f'node-postgres {VERSION}'
NEEDED = [f'pg@{VERSION}', 'async@2.6.4', 'bluebird@3.7.2', 'co@4.6.0', 'pg-copy-streams@0.3.0']


def prepare(kept):
    tests = kept.checkout('node-postgres', 'packages/pg/test/test-helper.js')
    place = kept.npm('node-postgres', NEEDED)
    folder = os.path.join(place, 'node_modules', 'pg')
    shutil.copytree(os.path.join(tests, 'packages/pg/test'), os.path.join(folder, 'test'),
                    dirs_exist_ok=True)
    return {'folder': folder}


def run(place, ready, out):
    runners.forget(out)
    env = clean_environment(**place.environment, TZ='America/New_York', SUITE_OUTCOMES=out)
    found, top = [], os.path.join(ready['folder'], 'test', 'integration')
    for folder, _, files in os.walk(top):
        found += [os.path.join(folder, f) for f in files if f.endswith('-tests.js')]
    outcomes = {}
    for file in sorted(found):
        status = runners.command(['node', '--no-deprecation', file], ready['folder'], env,
                                 out + '.log', runners.TEST_SECONDS)
        outcomes[os.path.relpath(file, top)] = {0: 'passed', None: 'hung'}.get(status, 'failed')
    return outcomes
