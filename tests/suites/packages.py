"""Fetches what suites need from package registries, once; all of it is kept in one folder."""
import os
import shutil
import subprocess
import sys
import tarfile

# Bookworm's own release only: the source of later ones is not everywhere.
DEBIAN_SOURCES = ('deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
                  'http://deb.debian.org/debian bookworm main\n')
PYTEST = ['pytest==8.4.2', 'pytest-timeout==2.4.0']


class Missing(Exception):
    """A suite cannot run here; says why."""


class Kept:
    """The folder target/suites."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def venv(self, name, requirements):
        """The Python of a virtual environment with exactly these packages and what they need."""
        place, stamp = self.path(f'venv-{name}'), self.path(f'venv-{name}', 'requirements')
        wanted = '\n'.join([*requirements, *PYTEST])
        python = os.path.join(place, 'bin', 'python')
        if not os.path.exists(stamp) or open(stamp).read() != wanted:
            say(f'installing {" ".join(requirements)}')
            shutil.rmtree(place, ignore_errors=True)
            run([sys.executable, '-m', 'venv', place])
            run([python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check',
                 *wanted.split('\n')])
            with open(stamp, 'w') as file:
                file.write(wanted)
        return python

    def npm(self, name, packages):
        """A folder whose node_modules has these packages, anew whenever it is asked for: suites
        put their tests into it."""
        place = self.path(f'npm-{name}')
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        with open(os.path.join(place, 'package.json'), 'w') as file:
            file.write('{"private": true}\n')
        say(f'installing {" ".join(packages)}')
        run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts',
             *packages], cwd=place)
        return place

    def sdist(self, name, version, without=()):
        """The unpacked source of a package of PyPI; `without`: folders that would be imported in
        place of what is installed."""
        place = self.path(f'{name}-{version}')
        if not os.path.isdir(place):
            say(f'fetching the source of {name} {version}')
            folder = self.path('sdist')
            run([sys.executable, '-m', 'pip', 'download', '-q', '--disable-pip-version-check',
                 '--no-deps', '--no-binary', name, '-d', folder, f'{name}=={version}'])
            found = [f for f in os.listdir(folder)
                     if f.lower().replace('_', '-').startswith(f'{name}-{version}.tar')]
            self._unpack(os.path.join(folder, found[0]), place)
            for unwanted in without:
                shutil.rmtree(os.path.join(place, unwanted))
        return place

    def debian(self, package, version):
        """The unpacked original source of a package of Debian, by way of a private list."""
        place = self.path(f'{package}-{version}')
        if not os.path.isdir(place):
            say(f'fetching the source of {package} {version} from Debian')
            work = self.path('apt')
            for folder in ('lists/partial', 'cache/archives/partial'):
                os.makedirs(os.path.join(work, folder), exist_ok=True)
            with open(os.path.join(work, 'src.list'), 'w') as file:
                file.write(DEBIAN_SOURCES)
            own = [f'{key}={value}' for key, value in {
                'Dir::Etc::SourceList': f'{work}/src.list', 'Dir::Etc::SourceParts': '/dev/null',
                'Dir::State::Lists': f'{work}/lists', 'Dir::Cache': f'{work}/cache',
                'APT::Sandbox::User': 'root'}.items()]
            own = [word for option in own for word in ('-o', option)]
            run(['apt-get', '-qq', 'update', *own], cwd=work)
            run(['apt-get', '-qq', 'source', '--download-only', '--tar-only', *own,
                 f'{package}={version}'], cwd=work)
            found = [f for f in os.listdir(work) if f.startswith(f'{package}_') and '.orig.' in f]
            self._unpack(os.path.join(work, found[0]), place)
        return place

    def _unpack(self, archive, place):
        """An archive holds one folder; that becomes `place`."""
        partial = place + '.partial'
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter='data')
        os.rename(os.path.join(partial, os.listdir(partial)[0]), place)
        os.rmdir(partial)

    def checkout(self, name, file):
        """A copy of a project's repository that somebody put there: no registry has its tests."""
        place = self.path('checkouts', name)
        if not os.path.exists(os.path.join(place, file)):
            raise Missing(f'no registry carries its tests: put a checkout into {place}')
        return place


def run(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f'{" ".join(argv)}:\n{done.stdout}{done.stderr}')
    return done.stdout


def say(text):
    print(text, file=sys.stderr, flush=True)
