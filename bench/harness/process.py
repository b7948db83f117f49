"""Processes: started, measured through /proc, ended by their own id."""
import os
import signal
import socket
import subprocess
import time

TICK = os.sysconf('SC_CLK_TCK')


class Processes:
    """What this run started; all of it ends with the `with` block, the last started first."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.running:
            self.stop(self.running[-1])

    def start(self, name, command, stop=signal.SIGTERM, **more):
        log = open(os.path.join(self.folder, f'{name}.log'), 'ab')
        child = subprocess.Popen(command, stderr=log, stdin=more.pop('stdin', subprocess.DEVNULL),
                                 stdout=more.pop('stdout', log), **more)
        child.name, child.stop_signal = name, stop
        self.running.append(child)
        return child

    def stop(self, child):
        if child in self.running:
            self.running.remove(child)
        if child.stdin:
            child.stdin.close()
        if child.poll() is None and not child.stdin:
            child.send_signal(child.stop_signal)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def log_of(self, child):
        with open(os.path.join(self.folder, f'{child.name}.log'), errors='replace') as log:
            return ''.join(log.readlines()[-15:])


def free_port():
    """A port that nobody listens on, below those the kernel takes for outgoing connections."""
    for port in range(12_000 + os.getpid() % 4000 + free_port.given, 20_000):
        free_port.given += 1
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue
    raise RuntimeError('no free port')


free_port.given = 0


def wait_for_port(processes, child, port, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if child.poll() is not None:
            raise RuntimeError(f'{child.name} ended:\n{processes.log_of(child)}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f'{child.name} does not listen:\n{processes.log_of(child)}')


def _stat(pid):
    with open(f'/proc/{pid}/stat') as stat:
        text = stat.read()
    return text[text.rindex(')') + 2:].split()


def tree(root):
    """The ids of a process and all below it."""
    children = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(entry)[1]), []).append(int(entry))
            except OSError:
                continue
    found, left = [], [root]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


def cpu(root):
    """(user, system) seconds of a process tree, reaped children included."""
    user = system = 0
    for pid in tree(root):
        try:
            fields = _stat(pid)
        except OSError:
            continue
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return user / TICK, system / TICK


def resident(root):
    """Bytes resident; shared pages of a tree are counted once."""
    pids = tree(root)
    key, total = ('Pss:' if len(pids) > 1 else 'Rss:'), 0
    for pid in pids:
        try:
            with open(f'/proc/{pid}/smaps_rollup') as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith(key))
        except OSError:
            pass
    return total * 1024


def busy():
    """CPU seconds of the whole machine since its start."""
    with open('/proc/stat') as stat:
        fields = [int(x) for x in stat.readline().split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / TICK


class Meter:
    """CPU of a proxy, of the servers, and of all others, around a piece of work."""

    def __init__(self, proxy, servers):
        self.proxy, self.servers = proxy, servers

    def __enter__(self):
        self.before = self._look()
        self.own = os.times()
        return self

    def __exit__(self, *_):
        proxy, servers, machine, now = self._look()
        p0, s0, m0, t0 = self.before
        self.wall = now - t0
        self.user, self.system = proxy[0] - p0[0], proxy[1] - p0[1]
        self.server = sum(servers) - sum(s0)
        times = os.times()
        self.client = sum(times[:4]) - sum(self.own[:4])
        counted = self.client + self.server
        if self.proxy != self.servers:
            counted += self.user + self.system
        self.foreign = max(0.0, machine - m0 - counted) / self.wall

    def _look(self):
        proxy = cpu(self.proxy) if self.proxy else (0.0, 0.0)
        servers = proxy if self.proxy == self.servers else cpu(self.servers)
        return proxy, servers, busy(), time.monotonic()
