#!/usr/bin/env python3
"""Half an hour of everything at once: honest clients, slow ones, half-open connections, bodies that are too large, thousands of
idle sockets; and a full disk at the end. Fails when an honest client gets an error, or memory or descriptors grow.

usage: benches/soak.py [--minutes 30] [--clients 24] [--idle 5000] [--rate 40] [--burrow target/release/burrow]

`--rate` is requests a second of each honest client. The full disk is a small file system of its own (`unshare -rm`, a
tmpfs); where the system allows none, that part is left out and said so. Everything stays on loopback."""

import argparse
import asyncio
import json
import os
import random
import resource
import shlex
import signal
import statistics
import subprocess
import time

from server import EMAIL, PASSWORD, QUIET, ROOT, Server

OPEN = {rule: "" for rule in ("listRule", "viewRule", "createRule", "updateRule", "deleteRule")}
POSTS = "/api/collections/posts/records"


class Client:
    """One kept-alive connection."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def call(self, method, path, body=b"", headers=""):
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\n{kind}{headers}Content-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        line = await self.reader.readline()
        if not line:
            # Closed while idle, as either side may: the request was not taken.
            self.writer.close()
            self.writer = None
            return await self.call(method, path, body, headers)
        status, length = int(line.split()[1]), 0
        while (header := (await self.reader.readline()).strip().lower()) != b"":
            if header.startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        return status, await self.reader.readexactly(length)


class Soak:
    def __init__(self, server, options):
        self.server, self.options = server, options
        self.end = time.monotonic() + options.minutes * 60
        self.done = self.abused = 0
        self.errors, self.spans, self.idle = [], [], []

    def on(self):
        return time.monotonic() < self.end

    async def honest(self):
        client, mine = Client(self.server.port), []
        while self.on():
            await asyncio.sleep(random.expovariate(self.options.rate))
            n = random.random()
            if n < 0.2 or not mine:
                request = ("POST", POSTS, json.dumps({"title": "t" * 40, "views": random.randrange(1000)}).encode(), 200)
            elif n < 0.3:
                request = ("PATCH", f"{POSTS}/{random.choice(mine)}", b'{"views":7}', 200)
            elif n < 0.45 and len(mine) > 20:
                request = ("DELETE", f"{POSTS}/{mine.pop(0)}", b"", 204)
            elif n < 0.7:
                request = ("GET", f"{POSTS}/{random.choice(mine)}", b"", 200)
            else:
                request = ("GET", f"{POSTS}?perPage=30&sort=-views&filter=views%3E500&skipTotal=1", b"", 200)
            method, path, body, wanted = request
            begun = time.perf_counter()
            try:
                status, answer = await asyncio.wait_for(client.call(method, path, body), 30)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                self.errors.append(f"{method}: {error!r}")
                client = Client(self.server.port)
                continue
            self.spans.append(time.perf_counter() - begun)
            self.done += 1
            if status != wanted:
                self.errors.append(f"{method} {path}: {status} {answer[:100]!r}")
            elif method == "POST":
                mine.append(json.loads(answer)["id"])

    async def slow(self):
        """Sends and reads a byte at a time."""
        while self.on():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
                for byte in b"GET " + POSTS.encode() + b"?perPage=500 HTTP/1.1\r\nHost: slow\r\n\r\n":
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.05)
                for _ in range(50):
                    await reader.read(64)
                    await asyncio.sleep(0.2)
                writer.transport.abort()
            except OSError:
                pass
            self.abused += 1

    async def half_open(self):
        """Connects, says half of something, and is gone without a word."""
        while self.on():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
                writer.write(random.choice([b"", b"POST " + POSTS.encode() + b" HTTP/1.1\r\nContent-Length: 900\r\n\r\n{", b"GET /api/realtime HTTP/1.1\r\nUpgrade: websocket\r\n"]))
                await asyncio.sleep(random.random() * 2)
                writer.transport.abort()
            except OSError:
                pass
            self.abused += 1
            await asyncio.sleep(0.05)

    async def oversized(self):
        """Declares and sends more than is taken."""
        while self.on():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
                writer.write(f"POST {POSTS} HTTP/1.1\r\nHost: big\r\nContent-Type: application/json\r\nContent-Length: {200 << 20}\r\n\r\n".encode())
                for _ in range(64):
                    writer.write(b"[" * 65536)
                    await asyncio.wait_for(writer.drain(), 10)
                line = await asyncio.wait_for(reader.readline(), 10)
                if line and b" 413 " not in line and b" 400 " not in line:
                    self.errors.append(f"a body too large: {line!r}")
                writer.transport.abort()
            except (OSError, asyncio.TimeoutError):
                pass
            self.abused += 1
            await asyncio.sleep(0.5)

    async def idle_sockets(self):
        """As many connections as asked for that say nothing after one request; whoever is hung up on comes back."""
        while self.on():
            self.idle = [writer for writer in self.idle if not writer.is_closing()]
            for _ in range(min(self.options.idle - len(self.idle), 200)):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1024)
                    writer.write(b"GET /api/health HTTP/1.1\r\nHost: idle\r\n\r\n")
                    await reader.readline()
                    self.idle.append(writer)
                except OSError as error:
                    self.errors.append(f"an idle socket: {error!r}")
            await asyncio.sleep(0.2)

    async def watch(self):
        """Memory and descriptors, after a first fifth to warm up."""
        samples, begun = [], time.monotonic()
        step = max(self.options.minutes * 60 / 60, 1)
        while self.on():
            await asyncio.sleep(step)
            samples.append((self.server.memory_mib(), self.server.descriptors()))
            span = f"{(time.monotonic() - begun) / 60:.1f} min"
            print(f"{span}: {self.done} requests, {len(self.errors)} errors, {samples[-1][0]:.0f} MiB, {samples[-1][1]} descriptors", flush=True)
        return samples[len(samples) // 5 :]

    async def run(self):
        tasks = [self.honest() for _ in range(self.options.clients)]
        tasks += [self.slow() for _ in range(20)] + [self.half_open() for _ in range(20)] + [self.oversized() for _ in range(2)]
        samples, *_ = await asyncio.gather(self.watch(), self.idle_sockets(), *tasks)
        for writer in self.idle:
            writer.transport.abort()
        return samples


def flat(samples, name):
    """The last third is at most a tenth above the first."""
    third = max(len(samples) // 3, 1)
    first, last = statistics.median(samples[:third]), statistics.median(samples[-third:])
    good = last <= first * 1.1 + 1
    print(f"{name}: {first:.0f} at first, {last:.0f} at the end: {'flat' if good else 'GROWN'}")
    return good


def full_disk(binary):
    """Fills a file system of 96 MiB under a server, and looks what becomes of it."""
    server = Server("burrow", binary)
    os.makedirs(server.data)
    place, program = shlex.quote(str(server.data)), shlex.quote(server.binary)
    script = (
        f"mount -t tmpfs -o size=96m none {place} && {program} superuser upsert {EMAIL} {PASSWORD} --dir {place} "
        f"&& exec {program} serve --http 127.0.0.1:{server.port} --dir {place}"
    )
    server.process = subprocess.Popen(["unshare", "-rm", "sh", "-c", script], **QUIET)
    try:
        for _ in range(200):
            try:
                server.sign_in()
                break
            except OSError:
                if server.process.poll() is not None:
                    print("full disk: left out, this system allows no file system of our own")
                    return True
                time.sleep(0.05)
        fields = [{"name": "title", "type": "text"}, {"name": "views", "type": "number"}, {"name": "paper", "type": "file", "maxSize": 8 << 20}]
        server.call("POST", "/api/collections", {"name": "posts", "type": "base", **OPEN, "fields": fields})
        return asyncio.run(fill(server))
    finally:
        server.close()


async def fill(server):
    client, stored, refused = Client(server.port), [], []
    # The file system is seen by the server only, and by us through it.
    ballast = f"/proc/{server.process.pid}/root{server.data}/ballast"
    with open(ballast, "wb") as file:
        file.write(bytes(8 << 20))
    head = b'--XX\r\nContent-Disposition: form-data; name="paper"; filename="a.bin"\r\n\r\n'
    form = "Content-Type: multipart/form-data; boundary=XX\r\n"

    async def create(size):
        if size:
            body = head + os.urandom(size) + b"\r\n--XX--\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"POST {POSTS} HTTP/1.1\r\nHost: full\r\nConnection: close\r\n{form}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.read()
            writer.close()
            return int(answer.split()[1]), answer.split(b"\r\n\r\n", 1)[1]
        return await client.call("POST", POSTS, json.dumps({"title": "x" * 4000}).encode())

    for size in (4 << 20, 256 << 10, 0):
        failures = 0
        for _ in range(40_000):
            status, answer = await create(size)
            if status == 200:
                stored.append(json.loads(answer)["id"])
            else:
                refused.append(status)
                failures += 1
                if failures == 20:
                    break
    reads = [(await client.call("GET", f"{POSTS}/{one}"))[0] for one in stored[-200:]]
    # Room again, as somebody makes it who looks after the machine: writing goes on without a restart.
    os.remove(ballast)
    status = 0
    for _ in range(100):
        status, _ = await create(0)
        if status == 200:
            break
        await asyncio.sleep(0.1)
    left = (await client.call("GET", f"{POSTS}?perPage=1"))[1]
    count = json.loads(left)["totalItems"]
    good = bool(refused) and set(reads) == {200} and status == 200 and count > len(stored) and set(refused) <= {400, 413, 500, 503, 507}
    print(f"full disk: {len(stored)} stored, {len(refused)} refused with {sorted(set(refused))}, reads {sorted(set(reads))}, after making room {status}: {'good' if good else 'BAD'}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--burrow", default=str(ROOT / "target/release/burrow"))
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server("burrow", options.burrow)
    try:
        server.superuser()
        server.start()
        server.sign_in()
        fields = [{"name": "title", "type": "text"}, {"name": "views", "type": "number"}]
        index = ["CREATE INDEX idx_posts_views ON posts (views)"]
        server.call("POST", "/api/collections", {"name": "posts", "type": "base", **OPEN, "fields": fields, "indexes": index})
        soak = Soak(server, options)
        samples = asyncio.run(soak.run())
        spans = sorted(soak.spans)
        print(f"{soak.done} requests of honest clients, {len(soak.errors)} errors, p99 {spans[int(len(spans) * 0.99)] * 1000:.0f} ms; {soak.abused} abuses")
        for error in soak.errors[:5]:
            print("  ", error)
        good = not soak.errors
        good &= flat([memory for memory, _ in samples], "memory, MiB")
        good &= flat([descriptors for _, descriptors in samples], "descriptors")
        server.stop(signal.SIGTERM)
        good &= server.process.returncode == 0
    finally:
        server.close()
    good &= full_disk(options.burrow)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
