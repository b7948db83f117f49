"""Real servers and the proxy for the tests that are written in Python: on free ports, and gone with
the program that started them."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIDEGATE = ROOT / "target/debug/tidegate"
PATIENCE = int(os.environ.get("TIDEGATE_TEST_PATIENCE", "60"))


def build():
    """The program that the tests run; `tests/each` has built it already."""
    cargo = os.environ.get("CARGO", "cargo")
    # The example is there for the sake of the tests' features, without which all would be built anew.
    subprocess.run([cargo, "build", "-q", "--workspace", "--bin", "tidegate", "--example", "cluster"],
                   cwd=ROOT, check=True)


def until(what, ask, log=None):
    """What `ask` answers, as soon as that is something; it may fail meanwhile. `log`: what the
    program wrote that is waited for."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            found = ask()
            if found:
                return found
            trouble = repr(found)
        except (AssertionError, OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
            trouble = error
        if time.monotonic() > end:
            wrote = f"\nit wrote:\n{log.read_text()[-3000:]}" if log else ""
            raise AssertionError(f"in vain for {what}: {trouble}{wrote}")
        time.sleep(0.1)


def run(*command, check=True, **more):
    """What a program says on standard output, both streams if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if check else done


def free_port():
    """A port that nobody had a moment ago."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def get(url, **headers):
    """The body of a page."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.read().decode()


class Stand(contextlib.ExitStack):
    """Everything that a test program starts, in a folder of its own; ended in the other order."""

    def __init__(self):
        super().__init__()
        # A runner that is told to stop stops what it started, too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self.folder.chmod(0o755)
        self.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, name, command, **more):
        """A program that is ended with SIGTERM, and its log."""
        log = self.folder / f"{name}.log"
        with open(log, "a") as out:
            process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out,
                                       stdin=subprocess.DEVNULL, **more)
        self.callback(end, process)
        return process, log

    def trio(self, secrets, addresses=None):
        """Three servers with their agents, as the container of docker/postgres starts them: by name,
        host, port of the server and of the agent. `addresses`: hosts that have the usual ports."""
        hosts = addresses or ["127.0.0.1"] * 3
        nodes = [Node(name, host, *((5432, 6490) if addresses else (free_port(), free_port())))
                 for name, host in zip("abc", hosts)]
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        (self.folder / "bin").mkdir()
        (self.folder / "bin/tidegate").symlink_to(TIDEGATE)
        for node in nodes:
            folder = self.folder / f"node-{node.name}"
            folder.mkdir()
            run("chown", "postgres:", folder)
            primary = "" if node is nodes[0] else f"host={nodes[0].host} port={nodes[0].port}"
            node.data, node.programs = folder / "server", programs
            node.process, log = self.start(
                f"node-{node.name}", as_user("postgres", ROOT / "docker/postgres/node.sh"), cwd="/", env={
                    **clean(), **secrets, "PATH": f"{self.folder}/bin:{programs}:{os.environ['PATH']}",
                    "NODE": node.name, "PGDATA": str(node.data), "PGPORT": str(node.port), "LISTEN": node.host,
                    "AGENT_LISTEN": f"{node.host}:{node.agent}", "PRIMARY": primary})
            # The users are made last.
            until(f"server {node.name}", lambda: run(
                "psql", "-X", "-h", node.host, "-p", node.port, "-U", "app", "-d", "orders", "-c", "SELECT 1",
                env={**clean(), "PGPASSWORD": secrets["APP_PASSWORD"]}), log)
        return nodes

    def certificate(self):
        """A certificate and its key, self-signed, for 30 days."""
        made = [self.folder / "tls.crt", self.folder / "tls.key"]
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
            "/CN=localhost", "-out", made[0], "-keyout", made[1])
        made[1].chmod(0o600)
        return made

    def proxy(self, text):
        """The real program with this configuration, as soon as it serves."""
        file = self.folder / "tidegate.toml"
        file.write_text(text)
        process, log = self.start("proxy", [TIDEGATE, "run", "-c", file])
        return Proxy(process, log, file)


class Node:
    """A server and the agent beside it."""

    def __init__(self, name, host, port, agent):
        self.name, self.host, self.port, self.agent = name, host, port, agent
        self.data = self.process = self.programs = None


class Proxy:
    """A running proxy. Its configuration file then says where it really listens."""

    def __init__(self, process, log, file):
        self.process, self.log, self.file = process, log, file

        def serves():
            said = log.read_text()
            if process.poll() is not None:
                raise RuntimeError(said)
            return "name=\"http\"" in said and "to=\"primary\"" in said
        until("a proxy that serves", serves, log)
        found = re.findall(r'name="(\w+)" address=[^ \n]*:(\d+)', log.read_text())
        self.ports = {name: int(port) for name, port in found}
        text = file.read_text()
        for name, port in self.ports.items():
            text = text.replace(f'{name} = "127.0.0.1:0"', f'{name} = "127.0.0.1:{port}"')
        file.write_text(text)

    def metrics(self):
        return get(f"http://127.0.0.1:{self.ports['http']}/metrics")

    def console(self, command):
        """Rows of the console's answer, as objects."""
        return json.loads(run(TIDEGATE, "console", "--json", "-c", self.file, command))

    def psql(self, *arguments, password):
        return run("psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.ports["postgres"],
                   "-U", "app", "-d", "orders", *arguments, env={**clean(), "PGPASSWORD": password})


def as_user(user, *command):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]


def clean():
    """The environment without what would lead psql elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def end(process):
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Tests:
    """Runs tests and tells of them as cargo does: `tests/run` adds up the last lines."""

    def __init__(self, suite):
        self.suite, self.passed, self.failed, self.begun = suite, 0, 0, time.monotonic()

    def test(self, what, *arguments):
        """One test, which passes if it raises nothing; its name is that of the function."""
        name = " ".join([what.__name__, *(str(word) for word in arguments if isinstance(word, str) and "://" not in word)])
        print(f"test {self.suite}::{name} ... ", end="", flush=True)
        try:
            what(*arguments)
            self.passed += 1
            print("ok")
        except Exception:  # noqa: BLE001 - whatever it is, the test failed and is told
            self.failed += 1
            print("FAILED")
            traceback.print_exc(file=sys.stdout)

    def close(self):
        """The closing line; the exit code."""
        verdict = "FAILED" if self.failed or not self.passed else "ok"
        print(f"\ntest result: {verdict}. {self.passed} passed; {self.failed} failed; 0 ignored; "
              f"0 measured; 0 filtered out; finished in {time.monotonic() - self.begun:.2f}s")
        return 0 if verdict == "ok" else 1
