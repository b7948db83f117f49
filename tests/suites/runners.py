"""Runs somebody's tests in a process group of their own, and never waits for one that hangs."""
import os
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds for one test, and how much longer nothing may be heard before the run is ended.
TEST_SECONDS, GRACE = 60, 30


def command(argv, cwd, env, log, seconds, alive=None):
    """Runs to the end, or until `seconds` passed, or until `alive`, a file, has not grown for as
    long as a test may take. Returns the exit status; None: it had to be ended."""
    with open(log, 'ab') as out:
        child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return _watch(child, seconds, alive)
        finally:
            _end(child)


def _watch(child, seconds, alive):
    end = time.monotonic() + seconds
    heard, size = time.monotonic(), -1
    while time.monotonic() < end:
        try:
            return child.wait(1)
        except subprocess.TimeoutExpired:
            pass
        if alive is None:
            continue
        now = os.path.getsize(alive) if os.path.exists(alive) else 0
        if now != size:
            heard, size = time.monotonic(), now
        if time.monotonic() - heard > TEST_SECONDS + GRACE:
            return None
    return None


def _end(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def pytest(python, cwd, arguments, env, out, seconds=1800):
    """{test: outcome} of a run of pytest; `out` is the path of its outcomes, logs lie beside it."""
    forget(out)
    env = env | {'SUITE_OUTCOMES': out, 'PYTHONPATH': HERE, 'PYTHONDONTWRITEBYTECODE': '1'}
    argv = [python, '-m', 'pytest', '-q', '-p', 'outcomes', '-o', f'cache_dir={out}.cache',
            f'--timeout={TEST_SECONDS}', *arguments]
    end = time.monotonic() + seconds
    # A run that was ended, or that a test took down, goes on behind that test.
    while (left := end - time.monotonic()) > 0:
        before = len(read(out))
        status = command(argv, cwd, env, out + '.log', left, alive=out)
        if status is not None and 0 <= status <= 5 or len(read(out)) == before:
            break
    return read(out)


def forget(out):
    """Removes what an earlier run wrote."""
    for old in (out, out + '.why', out + '.log'):
        if os.path.exists(old):
            os.remove(old)


def read(path):
    """What the plugin wrote. A test that started and never finished hung, or crashed."""
    outcomes = {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                what, _, test = line.rstrip('\n').partition('\t')
                outcomes[test] = 'hung' if what == 'started' else what
    return outcomes
