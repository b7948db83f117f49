"""tokio-postgres. Its tests connect to port 5433, which a forwarder takes for them."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import runners
from packages import Missing, run as run_program
from stage import clean_environment

VERSION = '0.7.18'
# Its runner takes no list of tests.
AGAIN = False
NAME = f'tokio-postgres {VERSION}'
PORT = 5433
FEATURES = ['runtime', 'array-impls', 'with-chrono-0_4', 'with-serde_json-1', 'with-time-0_3',
            'with-uuid-1', 'with-geo-types-0_7', 'with-eui48-1', 'with-bit-vec-0_6']
USERS = {'pass_user': 'password', 'md5_user': 'password', 'scram_user': 'password',
         'ssl_user': 'password'}


def prepare(kept):
    place = kept.path(f'tokio-postgres-{VERSION}')
    if not os.path.isdir(place):
        _fetch(kept, place)
    env = os.environ | {'CARGO_TARGET_DIR': kept.path('tokio-postgres-target')}
    made = run_program(['cargo', 'test', '--test', 'test', '--no-run', '--message-format=json',
                        '--no-default-features', '--features', ','.join(FEATURES)],
                       cwd=place, env=env)
    for line in made.splitlines():
        said = json.loads(line)
        if said.get('executable') and said['target']['name'] == 'test':
            return {'tests': said['executable']}
    raise RuntimeError('cargo built no tests')


def _fetch(kept, place):
    """Cargo unpacks what a project depends on; the tests are part of the crate."""
    project = kept.path('tokio-postgres-fetch')
    os.makedirs(f'{project}/src', exist_ok=True)
    with open(f'{project}/Cargo.toml', 'w') as file:
        file.write('[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
                   f'[dependencies]\ntokio-postgres = "={VERSION}"\n')
    open(f'{project}/src/lib.rs', 'w').close()
    said = json.loads(run_program(['cargo', 'metadata', '--format-version=1'], cwd=project))
    manifest = next(p['manifest_path'] for p in said['packages'] if p['name'] == 'tokio-postgres')
    shutil.copytree(os.path.dirname(manifest), place)
    with open(f'{place}/Cargo.toml', 'a') as file:
        file.write('\n[workspace]\n')
    for lock in glob.glob(f'{place}/Cargo.lock'):
        os.remove(lock)


def run(place, ready, out):
    runners.forget(out)
    for user, password in USERS.items():
        place.sql(f"CREATE ROLE {user} PASSWORD '{password}' LOGIN")
    for extension in ('hstore', 'citext', 'ltree'):
        subprocess.run(['psql', '-XAtq', '-h', place.host, '-p', str(place.primary), '-U',
                        place.user, '-c', f'CREATE EXTENSION {extension}', 'postgres'], check=True)
    with Forwarder(PORT, place.port):
        listed = run_program([ready['tests'], '--list'])
        outcomes = {}
        for test in re.findall(r'^(\S+): test$', listed, re.M):
            status = runners.command([ready['tests'], '--exact', test], '/', clean_environment(),
                                     out + '.log', runners.TEST_SECONDS)
            outcomes[test] = {0: 'passed', None: 'hung'}.get(status, 'failed')
    return outcomes


class Forwarder:
    """Takes connections on one port of loopback to another, while the `with` block lasts."""

    def __init__(self, listen, to):
        self.to = to
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listening.bind(('127.0.0.1', listen))
        except OSError as why:
            raise Missing(f'port {listen} is taken: {why}') from why
        self.listening.listen(64)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.to))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(a, b), daemon=True).start()


def _pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
