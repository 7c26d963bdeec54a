#!/usr/bin/env python3
"""What a schema of many collections costs: opening the directory, and a list request, beside a schema without them.

usage: benches/collections.py [--binary target/release/burrow] [--collections 200] [--starts 9] [--requests 2000] [--json]

Prints medians in milliseconds. On loopback, with a directory of its own; needs nothing but Python."""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

EMAIL, PASSWORD = "root@example.com", "a-long-password"


class Server:
    """The binary on a directory of its own, started as often as is asked."""

    def __init__(self, binary):
        self.binary, self.home = binary, tempfile.mkdtemp(prefix="burrow-bench-")
        self.data = os.path.join(self.home, "data")
        self.quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.run("superuser", "upsert", EMAIL, PASSWORD)

    def run(self, *args):
        subprocess.run([self.binary, *args, "--dir", self.data], check=True, **self.quiet)

    def start(self):
        """Seconds from the start of the process to its first answer."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--http", f"127.0.0.1:{self.port}", "--dir", self.data], **self.quiet
        )
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
                self.ask("GET", "/api/health")
                return time.perf_counter() - began
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit("the server ended at its start")
                time.sleep(0.0005)

    def ask(self, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def sign_in(self):
        form = {"identity": EMAIL, "password": PASSWORD}
        return self.ask("POST", "/api/collections/_superusers/auth-with-password", form)["token"]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def definition(at):
    """A collection as people make them: fields, rules that read another collection, an index."""
    fields = [{"name": f"text{n}", "type": "text"} for n in range(6)]
    fields += [
        {"name": "n", "type": "number"},
        {"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_"},
    ]
    rule = "@request.auth.id != '' && owner.name != text0"
    return {
        "name": f"c{at}",
        "type": "base",
        "fields": fields,
        "indexes": [f"CREATE INDEX idx_c{at} ON c{at} (text0)"],
        "listRule": rule,
        "viewRule": rule,
        "createRule": rule,
        "updateRule": rule,
    }


def measure(server, starts, requests):
    opened = []
    for turn in range(starts):
        opened.append(server.start())
        if turn + 1 < starts:
            server.stop()
    path = "/api/collections/notes/records?perPage=30&sort=-n"
    spent = []
    for _ in range(requests):
        began = time.perf_counter()
        server.ask("GET", path)
        spent.append(time.perf_counter() - began)
    return {"open_ms": statistics.median(opened) * 1e3, "list_ms": statistics.median(spent) * 1e3}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/burrow")
    parser.add_argument("--collections", type=int, default=200)
    parser.add_argument("--starts", type=int, default=9)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    server = Server(os.path.abspath(options.binary))
    try:
        server.start()
        token = server.sign_in()
        notes = {"name": "notes", "listRule": "", "fields": [{"name": "n", "type": "number"}]}
        server.ask("POST", "/api/collections", notes, token)
        for n in range(100):
            server.ask("POST", "/api/collections/notes/records", {"n": n}, token)
        server.stop()
        without = measure(server, options.starts, options.requests)
        many = [definition(at) for at in range(options.collections)]
        server.ask("PUT", "/api/collections/import", {"collections": many}, server.sign_in())
        server.stop()
        with_them = measure(server, options.starts, options.requests)
    finally:
        server.close()
    if options.json:
        print(json.dumps({"without": without, "with": with_them}))
        return
    for key, label in (("open_ms", "start to first answer"), ("list_ms", "list of 30, one client")):
        print(f"{label}: {without[key]:.2f} ms without, {with_them[key]:.2f} ms with {options.collections} collections")


if __name__ == "__main__":
    main()
