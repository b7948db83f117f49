"""asyncpg. Its tests of logins and of TLS start servers of their own, and are left out."""
from runners import pytest
from stage import clean_environment

VERSION = '0.30.0'
NAME = f'asyncpg {VERSION}'


def prepare(kept):
    return {'python': kept.venv('asyncpg', [f'asyncpg=={VERSION}', 'distro==1.9.0']),
            'folder': kept.sdist('asyncpg', VERSION, without=['asyncpg'])}


def run(place, ready, out):
    chosen = ['tests', '--ignore=tests/test__sourcecode.py', '--ignore=tests/test__environment.py']
    return pytest(ready['python'], ready['folder'], chosen, clean_environment(**place.environment),
                  out)
