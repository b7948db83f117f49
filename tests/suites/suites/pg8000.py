"""pg8000."""
from runners import pytest
from stage import clean_environment

VERSION = '1.31.6'
NAME = f'pg8000 {VERSION}'


def prepare(kept):
    return {'python': kept.venv('pg8000', [f'pg8000=={VERSION}', 'pytz', 'pytest-mock']),
            'folder': kept.sdist('pg8000', VERSION)}


def run(place, ready, out):
    env = clean_environment(**place.environment)
    return pytest(ready['python'], ready['folder'], ['test'], env, out)
