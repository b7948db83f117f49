"""Everything a run needs: the servers with their data, and one process for each peer."""
import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from .process import free_port, wait_for_port

USER, DATABASE, PASSWORD = 'postgres', 'postgres', 'bench'
POOL = 20
REPLICAS = 2


@dataclass
class Endpoint:
    """Where a client connects, and the process whose CPU counts."""
    name: str
    port: int
    pid: int
    # Of its metrics.
    http: int = 0
    # A process that stands in where the first cannot do the work: by pgbench mode.
    instead: dict = field(default_factory=dict)

    def for_mode(self, mode):
        return self.instead.get(mode, self)


class Lab:
    """Starts what is asked for by name; `processes` ends it."""

    def __init__(self, processes, binaries, folder):
        self.processes, self.binaries, self.folder = processes, binaries, folder

    def start_servers(self, scale):
        cluster = self.processes.start(
            'cluster', [self.binaries['cluster'], str(REPLICAS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = cluster.stdout.readline().split()
        if len(ports) != 1 + REPLICAS:
            raise RuntimeError(f'no cluster:\n{self.processes.log_of(cluster)}')
        self.ports = [int(port) for port in ports]
        self.servers = cluster.pid
        self.sql = lambda port, text: subprocess.run(
            ['psql', '-XAtq', '-h', '127.0.0.1', '-p', str(port), '-U', USER, '-c', text],
            check=True, capture_output=True, text=True).stdout.strip()
        make = ['pgbench', '-i', '-q', '-s', str(scale), '-h', '127.0.0.1', '-U', USER]
        subprocess.run(make + ['-p', str(self.ports[0]), DATABASE], check=True, capture_output=True)
        self._until_replayed()

    def _until_replayed(self):
        self.sql(self.ports[0], 'CHECKPOINT')
        position = self.sql(self.ports[0], 'SELECT pg_current_wal_lsn()')
        for port in self.ports[1:]:
            ask = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
            while self.sql(port, ask) != 't':
                time.sleep(0.1)

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def _listening(self, name, port, command, **more):
        child = self.processes.start(name, command, **more)
        wait_for_port(self.processes, child, port, seconds=120)
        return Endpoint(name, port, child.pid)

    def direct(self):
        return Endpoint('direct', self.ports[0], self.servers)

    def floor(self, kind):
        port = free_port()
        command = [self.binaries['floor'], kind, f'127.0.0.1:{port}', f'127.0.0.1:{self.ports[0]}']
        return self._listening(f'floor-{kind}', port, command)

    def haproxy(self, name='haproxy', to=None):
        port = free_port()
        text = f'''global
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen pg
    bind 127.0.0.1:{port}
    server a 127.0.0.1:{to or self.ports[0]}
'''
        command = ['haproxy', '-f', self._write(f'{name}.cfg', text), '-db']
        return self._listening(name, port, command)

    def pgbouncer(self, name='pgbouncer', mode='transaction', pool=POOL):
        port = free_port()
        users = self._write('userlist.txt', f'"{USER}" "{verifier(PASSWORD)}"\n')
        text = f'''[databases]
* = host=127.0.0.1 port={self.ports[0]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 9000
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
'''
        command = ['pgbouncer', self._write(f'{name}.ini', text)]
        if os.geteuid() == 0:
            command = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] + command
        return self._listening(name, port, command)

    def pgbouncer_both(self):
        """Prepared statements in a transaction pool came with 1.21: before, a session pool that
        is large enough for every client takes that part."""
        endpoint = self.pgbouncer()
        if pgbouncer_version() < (1, 21):
            endpoint.instead['prepared'] = self.pgbouncer('pgbouncer-session', 'session', 64)
        return endpoint

    def tidegate(self, name='tidegate', wrap=(), route='', monitor='', top=''):
        """`wrap`: a command that runs it; the others are lines for its configuration."""
        port, http = free_port(), free_port()
        password = self._write('password', PASSWORD)
        nodes = ', '.join(f'{{ name = "{n}", address = "127.0.0.1:{p}" }}'
                          for n, p in zip('abcdefgh', self.ports))
        text = f'''state_dir = "{self.folder}/{name}"
{top}
[listen]
postgres = "127.0.0.1:{port}"
console = "off"
http = "127.0.0.1:{http}"
[clusters.bench]
nodes = [{nodes}]
[clusters.bench.monitor]
user = "{USER}"
{monitor}
[clusters.bench.route]
{route}
[clusters.bench.pool]
size = {POOL}
max_clients = 9000
[clusters.bench.auth]
method = "scram"
users = {{ {USER} = {{ password_file = "{password}" }} }}
'''
        command = [*wrap, self.binaries['tidegate'], 'run', '-c', self._write(f'{name}.toml', text)]
        endpoint = self._listening(name, port, command)
        endpoint.http = http
        # The roles are known half a second after the first probes.
        time.sleep(1)
        return endpoint


def verifier(password):
    """As pg_authid has it. With the plain password PgBouncer 1.18 derives it at each login."""
    salt, rounds = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()
    server = hmac.digest(salted, b'Server Key', 'sha256')
    salt, stored, server = (base64.b64encode(x).decode() for x in (salt, stored, server))
    return f'SCRAM-SHA-256${rounds}:{salt}${stored}:{server}'


def pgbouncer_version():
    said = subprocess.run(['pgbouncer', '--version'], capture_output=True, text=True).stdout
    return tuple(int(x) for x in said.split()[1].split('.')[:2])


def require(programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise SystemExit(f'bench: missing {", ".join(missing)}\nhint: apt-get install '
                         'postgresql pgbouncer haproxy strace valgrind')
