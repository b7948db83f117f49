"""One set of fresh servers, and Tidegate in front of it."""
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass

from harness.process import Processes, wait_for_port

REPLICAS = 2
# What suites need of a server, whichever of them.
SETTINGS = {'max_prepared_transactions': 32, 'wal_level': 'logical'}
WAYS = ('direct', 'through')


@dataclass
class Place:
    """Where a suite connects: an empty database that `user`, a superuser, owns."""
    port: int
    # The primary itself, for what a suite needs before it begins.
    primary: int
    folder: str
    host: str = '127.0.0.1'
    user: str = 'postgres'
    database: str = 'suite'

    @property
    def dsn(self):
        return f'host={self.host} port={self.port} user={self.user} dbname={self.database}'

    @property
    def url(self):
        return f'postgres://{self.user}@{self.host}:{self.port}/{self.database}'

    @property
    def environment(self):
        return {'PGHOST': self.host, 'PGPORT': str(self.port), 'PGUSER': self.user,
                'PGDATABASE': self.database}

    def sql(self, text):
        """Runs a statement on the primary, past the proxy."""
        return ask(self.primary, self.database, text)


class Stage:
    """`with Stage(binaries, way) as place`: servers, a database, the proxy."""

    def __init__(self, binaries, way):
        self.binaries, self.way = binaries, way

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='tidegate-suite-')
        os.chmod(self.folder.name, 0o755)
        self.processes = Processes(self.folder.name).__enter__()
        try:
            primary = self._servers()
            port = primary if self.way == 'direct' else self._proxy()
            return Place(port, primary, self.folder.name)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.processes.__exit__()
        self.folder.cleanup()

    def log(self):
        """What the proxy said."""
        try:
            with open(os.path.join(self.folder.name, 'tidegate.log'), errors='replace') as log:
                return log.read()
        except FileNotFoundError:
            return ''

    def _servers(self):
        command = [self.binaries['cluster'], str(REPLICAS),
                   *(f'{name}={value}' for name, value in SETTINGS.items())]
        cluster = self.processes.start('cluster', command, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.ports = [int(port) for port in cluster.stdout.readline().split()]
        if len(self.ports) != 1 + REPLICAS:
            raise RuntimeError(f'no cluster:\n{self.processes.log_of(cluster)}')
        primary = self.ports[0]
        # What is acknowledged is on every replica: a suite may read there what it wrote.
        ask(primary, 'postgres', 'ALTER SYSTEM SET synchronous_commit = remote_apply')
        ask(primary, 'postgres', "ALTER SYSTEM SET synchronous_standby_names = '2 (*)'")
        ask(primary, 'postgres', 'SELECT FROM pg_reload_conf()')
        self._until_synchronous(primary)
        ask(primary, 'postgres', 'CREATE DATABASE suite')
        return primary

    def _until_synchronous(self, primary):
        count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        until = time.monotonic() + 60
        while ask(primary, 'postgres', count) != str(REPLICAS):
            if time.monotonic() > until:
                raise RuntimeError('the replicas did not become synchronous')
            time.sleep(0.1)

    def _proxy(self):
        nodes = ', '.join(f'{{ name = "{name}", address = "127.0.0.1:{port}" }}'
                          for name, port in zip('abc', self.ports))
        path = os.path.join(self.folder.name, 'tidegate.toml')
        with open(path, 'w') as file:
            file.write(f'''state_dir = "{self.folder.name}/state"
[listen]
postgres = "127.0.0.1:0"
console = "off"
http = "127.0.0.1:0"
[clusters.suite]
nodes = [{nodes}]
monitor = {{ user = "postgres" }}
replication = "primary"
[clusters.suite.auth]
method = "trust"
[clusters.suite.pool]
mode = "transaction"
size = 40
# A busy machine is not what is tested here.
[clusters.suite.route]
max_staleness = "1m"
read_wait = "10s"
''')
        child = self.processes.start('tidegate', [self.binaries['tidegate'], 'run', '-c', path])
        until = time.monotonic() + 60
        listening = r'name="postgres" address=127\.0\.0\.1:(\d+)'
        while not (found := re.search(listening, self.log())) or 'name="http"' not in self.log():
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f'no proxy:\n{self.log()}')
            time.sleep(0.05)
        wait_for_port(self.processes, child, int(found[1]))
        # The roles are known half a second after the first probes.
        time.sleep(1)
        return int(found[1])


def ask(port, database, text):
    return subprocess.run(
        ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', str(port),
         '-U', 'postgres', '-c', text, database],
        check=True, capture_output=True, text=True, env=clean_environment()).stdout.strip()


def clean_environment(**more):
    """This process's environment without what points libpq somewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('PG')}
    return kept | more
