"""postgres.js. Its own runner ends with the first failure: another one takes its place."""
import os
import shutil

import runners
from stage import clean_environment

VERSION = '3.4.9'
# Its runner takes no list of tests.
AGAIN = False
NAME = f'postgres.js {VERSION}'


def prepare(kept):
    tests = kept.checkout('postgres', 'tests/index.js')
    place = kept.npm('postgres-js', [f'postgres@{VERSION}'])
    folder = os.path.join(place, 'node_modules', 'postgres')
    shutil.copytree(os.path.join(tests, 'tests'), os.path.join(folder, 'tests'),
                    dirs_exist_ok=True)
    shutil.copy(os.path.join(runners.HERE, 'postgres_js_runner.js'),
                os.path.join(folder, 'tests', 'test.js'))
    return {'folder': folder}


def run(place, ready, out):
    runners.forget(out)
    env = clean_environment(**place.environment, SUITE_OUTCOMES=out)
    runners.command(['node', 'tests/index.js'], ready['folder'], env, out + '.log', 900, alive=out)
    return runners.read(out)
