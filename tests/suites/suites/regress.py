"""PostgreSQL 15's own regression schedule, by Debian's pg_regress."""
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from harness.process import tree
from packages import Missing, run as run_program
from stage import clean_environment

# Expected output of a nearby minor release; what differs with the server differs direct, too.
VERSION = '15.18-0+deb12u1'
NAME = f'PostgreSQL {VERSION.partition("-")[0]} regress'
PROGRAM = '/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress'
HEADERS = '/usr/include/postgresql/15/server'
BINARIES = '/usr/lib/postgresql/15/bin'
# Each test needs what those before it left.
AGAIN = False
# Seconds in which no test wrote anything, after which its psql is ended; and of the whole.
STALL, WHOLE = 90, 2400

# As pg_regress has it in a database that it makes itself.
DEFAULTS = {'lc_messages': 'C', 'lc_monetary': 'C', 'lc_numeric': 'C', 'lc_time': 'C',
            'bytea_output': 'hex', 'timezone_abbreviations': 'Default'}


def prepare(kept):
    if not (os.path.exists(PROGRAM) and os.path.isdir(HEADERS)):
        raise Missing('pg_regress is in postgresql-server-dev-15: apt-get install it')
    source = kept.debian('postgresql-15', VERSION)
    libraries = kept.path(f'regress-{VERSION}')
    os.makedirs(libraries, exist_ok=True)
    for file in ('src/test/regress/regress.c', 'contrib/spi/autoinc.c', 'contrib/spi/refint.c'):
        made = os.path.join(libraries, os.path.basename(file)[:-2] + '.so')
        if not os.path.exists(made):
            run_program(['cc', '-O1', '-w', '-fPIC', '-shared', '-I', HEADERS, '-o', made,
                         os.path.join(source, file)])
    return {'source': os.path.join(source, 'src/test/regress'), 'libraries': libraries}


def run(place, ready, out):
    folder = os.path.join(place.folder, 'regress')
    shutil.copytree(ready['source'], folder, symlinks=True)
    shutil.copytree(ready['libraries'], os.path.join(folder, 'lib'))
    os.makedirs(os.path.join(folder, 'testtablespace'), exist_ok=True)
    as_user = []
    if os.geteuid() == 0:
        # The server writes there, too.
        subprocess.run(['chown', '-R', 'postgres:postgres', folder], check=True)
        as_user = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']
    place.sql('CREATE DATABASE regression TEMPLATE template0')
    for name, value in DEFAULTS.items():
        place.sql(f"ALTER DATABASE regression SET {name} = '{value}'")
    argv = [*as_user, PROGRAM, '--use-existing', f'--host={place.host}', f'--port={place.port}',
            f'--user={place.user}', '--dbname=regression', f'--bindir={BINARIES}',
            f'--inputdir={folder}', f'--outputdir={folder}', f'--dlpath={folder}/lib',
            f'--schedule={folder}/parallel_schedule', '--max-concurrent-tests=20']
    with open(out + '.log', 'w') as log:
        child = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env=clean_environment())
        hung = watch(child, os.path.join(folder, 'results'))
    diffs = os.path.join(folder, 'regression.diffs')
    if os.path.exists(diffs):
        shutil.copy(diffs, out + '.diffs')
    shutil.copytree(os.path.join(folder, 'results'), out + '.results', dirs_exist_ok=True)
    with open(out + '.log') as log:
        outcomes = read(log.read())
    return outcomes | {test: 'hung' for test in hung}


def watch(child, results):
    """Waits for the end; a psql whose test stands still is ended, so that the others go on.
    Returns the tests that were ended so."""
    hung, begun = set(), time.monotonic()
    while child.poll() is None:
        if time.monotonic() - begun > WHOLE:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            break
        time.sleep(1)
        files = glob.glob(os.path.join(results, '*.out'))
        newest = max((os.path.getmtime(file) for file in files), default=time.time())
        if time.time() - newest < STALL:
            continue
        for pid, test in psqls(child.pid):
            hung.add(test)
            os.kill(pid, signal.SIGKILL)
        # One of its own may be left that nobody talks to any more.
        time.sleep(5)
    return hung


def psqls(root):
    """(process, test) of the tests that run: each psql reads TEST.sql."""
    for pid in tree(root):
        try:
            name = os.readlink(f'/proc/{pid}/fd/0')
            with open(f'/proc/{pid}/comm') as comm:
                is_psql = comm.read().strip() == 'psql'
        except OSError:
            continue
        if is_psql and name.endswith('.sql'):
            yield pid, os.path.basename(name)[:-4]


def read(log):
    """{test: outcome} from what pg_regress printed."""
    line = re.compile(r'^(?:test)?\s+(\S+)\s+\.\.\. (ok|FAILED|failed \(ignored\))', re.M)
    return {name: 'passed' if said == 'ok' else 'failed' for name, said in line.findall(log)}
