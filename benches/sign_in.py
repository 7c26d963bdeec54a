#!/usr/bin/env python3
"""Signing in: whether its time tells who has an account, what it costs others, and how far from the bare hash it is.

usage: benches/sign_in.py [timing] [crowd] [rate] [--binary target/release/burrow] [--tries 2000] [--clients 4]
                          [--waiting 200] [--lists 200] [--seconds 10] [--bare HASHES_A_SECOND] [--json]

timing  wrong passwords of known and unknown people, in random order: two-sample Kolmogorov-Smirnov and Mann-Whitney tests.
        Each try claims an address of its own behind a trusted proxy, so that no throttle answers in its place.
crowd   lists at a fixed rate (open loop: each is timed from when it was due) while sign-ins wait for the hashing pool, and
        what the server's memory comes to.
rate    sign-ins a second with the right password, as many as the pool takes, and what one costs; `cargo bench --bench argon2` gives the figure
        of the bare library to compare with (--bare).

Server and clients share the machine. Needs nothing but Python."""

import argparse
import asyncio
import json
import math
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

EMAIL, PASSWORD = "root@example.com", "a-long-password"
SIGN_IN = "/api/collections/users/auth-with-password"


class Server:
    """The binary on a directory of its own."""

    def __init__(self, binary):
        self.home = tempfile.mkdtemp(prefix="burrow-bench-")
        data = os.path.join(self.home, "data")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([binary, "superuser", "upsert", EMAIL, PASSWORD, "--dir", data], check=True, **quiet)
        address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen([binary, "serve", "--http", address, "--dir", data], **quiet)

    def resident_mib(self, what="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(what + ":"))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self):
        """Of all its threads: what others do on the machine changes it little."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)


class Client:
    """One kept-alive HTTP connection."""

    def __init__(self, server):
        self.server, self.token = server, ""
        self.reader = self.writer = None

    async def call(self, method, path, body=None, headers=""):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {self.token}\r\n{headers}"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)
        status = int((await self.reader.readline()).split()[1])
        length = 0
        while (line := (await self.reader.readline()).strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, await self.reader.readexactly(length)


async def prepared(server, people):
    """The superuser's connection, on a server with `people` members, a collection to list, and a proxy to believe."""
    owner = Client(server)
    for _ in range(500):
        try:
            body = {"identity": EMAIL, "password": PASSWORD}
            status, text = await owner.call("POST", "/api/collections/_superusers/auth-with-password", body)
            break
        except OSError:
            owner.writer = None
            await asyncio.sleep(0.02)
    owner.token = json.loads(text)["token"]

    async def done(method, path, body):
        status, text = await owner.call(method, path, body)
        assert status == 200, (path, status, text)

    await done("PATCH", "/api/settings", {"trustedProxy": {"headers": ["X-Forwarded-For"]}, "logs": {"maxDays": 0}})
    fields = [{"name": "title", "type": "text"}]
    await done("POST", "/api/collections", {"name": "posts", "type": "base", "fields": fields, "listRule": ""})
    for n in range(100):
        await done("POST", "/api/collections/posts/records", {"title": f"post {n}"})
    for n in range(people):
        body = {"email": person(n), "password": PASSWORD, "passwordConfirm": PASSWORD, "verified": True}
        await done("POST", "/api/collections/users/records", body)
    return owner


def person(n):
    return f"person{n:04}@example.com"


def from_elsewhere(rng):
    """An address in a network that nobody else claims."""
    return f"X-Forwarded-For: {rng.randrange(11, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.1\r\n"


def ks(one, other):
    """Statistic and p-value of the two-sample Kolmogorov-Smirnov test."""
    one, other = sorted(one), sorted(other)
    i = j = 0
    most = 0.0
    while i < len(one) and j < len(other):
        at = min(one[i], other[j])
        while i < len(one) and one[i] <= at:
            i += 1
        while j < len(other) and other[j] <= at:
            j += 1
        most = max(most, abs(i / len(one) - j / len(other)))
    n = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    x = (n + 0.12 + 0.11 / n) * most
    p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return most, min(max(p, 0.0), 1.0)


def mann_whitney(one, other):
    """How often a value of `one` is the larger (0.5: cannot be told), and the p-value."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += sum(1 for _, side in ranked[at:end] if side == 0) * (at + end + 1) / 2
        at = end
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return u / (n * m), math.erfc(abs(z) / math.sqrt(2))


async def timing(server, args):
    people = 50
    await prepared(server, people)
    rng = random.Random(args.seed)
    kinds = ["known", "unknown"] * (args.tries // 2)
    rng.shuffle(kinds)
    spent = {"known": [], "unknown": []}
    answers = set()
    queue = iter(enumerate(kinds))

    async def worker():
        client = Client(server)
        for n, kind in queue:
            # Names of equal length: the size of a request is not what is asked about.
            who = person(rng.randrange(people) + (0 if kind == "known" else 5000))
            body = {"identity": who, "password": "wrong-password"}
            headers = from_elsewhere(rng)
            began = time.perf_counter()
            status, text = await client.call("POST", SIGN_IN, body, headers)
            if n >= args.clients * 5:
                spent[kind].append(time.perf_counter() - began)
            answers.add((status, text))

    await asyncio.gather(*(worker() for _ in range(args.clients)))
    known, unknown = spent["known"], spent["unknown"]
    distance, p_ks = ks(known, unknown)
    larger, p_mw = mann_whitney(known, unknown)
    milli = lambda values, q: round(statistics.quantiles(values, n=100)[q - 1] * 1000, 2)
    return {
        "tries": len(known) + len(unknown),
        "answers": len(answers),
        "known ms p5/p50/p95/p99": [milli(known, q) for q in (5, 50, 95, 99)],
        "unknown ms p5/p50/p95/p99": [milli(unknown, q) for q in (5, 50, 95, 99)],
        "ks distance": round(distance, 4),
        "ks p": round(p_ks, 4),
        "known is slower": round(larger, 4),
        "mann-whitney p": round(p_mw, 4),
        "told apart (p < 0.01)": p_ks < 0.01 or p_mw < 0.01,
    }


async def crowd(server, args):
    await prepared(server, 1)
    before = server.resident_mib()
    stop = asyncio.Event()
    answered = {}
    late = []

    async def sign_in(n):
        client, rng = Client(server), random.Random(n)
        while not stop.is_set():
            body = {"identity": person(0), "password": "wrong-password"}
            status, _ = await client.call("POST", SIGN_IN, body, from_elsewhere(rng))
            answered[status] = answered.get(status, 0) + 1

    async def lists(clients, due):
        client = clients.pop() if clients else Client(server)
        status, _ = await client.call("GET", "/api/collections/posts/records?perPage=30")
        assert status == 200, status
        late.append(time.perf_counter() - due)
        clients.append(client)

    async def at_rate(seconds):
        late.clear()
        clients, running = [], []
        begin = time.perf_counter()
        for n in range(int(args.lists * seconds)):
            due = begin + n / args.lists
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            running.append(asyncio.create_task(lists(clients, due)))
        await asyncio.gather(*running)
        return [round(statistics.quantiles(late, n=100)[q - 1] * 1000, 2) for q in (50, 95, 99)]

    alone = await at_rate(min(args.seconds, 5))
    waiting = [asyncio.create_task(sign_in(n)) for n in range(args.waiting)]
    await asyncio.sleep(1)
    beside = await at_rate(args.seconds)
    peak = server.resident_mib("VmHWM")
    stop.set()
    await asyncio.gather(*waiting)
    return {
        "lists ms p50/p95/p99 alone": alone,
        f"the same while {args.waiting} sign-ins wait": beside,
        "lists": len(late),
        "sign-ins answered by status": answered,
        "resident MiB before, at most": [round(before, 1), round(peak, 1)],
    }


async def rate(server, args):
    await prepared(server, 1)
    end = time.perf_counter() + args.seconds
    done = 0

    async def worker(n):
        nonlocal done
        client, rng = Client(server), random.Random(n)
        while time.perf_counter() < end:
            body = {"identity": person(0), "password": PASSWORD}
            status, text = await client.call("POST", SIGN_IN, body, from_elsewhere(rng))
            assert status == 200, text
            done += 1

    began, spent = time.perf_counter(), server.cpu_seconds()
    await asyncio.gather(*(worker(n) for n in range(args.clients)))
    spent = server.cpu_seconds() - spent
    threads = max(1, (os.cpu_count() or 1) - 1)
    found = done / (time.perf_counter() - began) / threads
    answer = {
        "hashing threads": threads,
        "sign-ins a second and thread": round(found, 2),
        "CPU ms a sign-in": round(spent / done * 1000, 2),
    }
    if args.bare:
        answer["of the bare library"] = f"{found / args.bare:.1%}"
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["timing", "crowd", "rate"], default=[])
    parser.add_argument("--binary", default="target/release/burrow")
    parser.add_argument("--tries", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--waiting", type=int, default=200)
    parser.add_argument("--lists", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--bare", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for name in args.what or ["timing", "crowd", "rate"]:
        server = Server(args.binary)
        try:
            found = asyncio.run(globals()[name](server, args))
        finally:
            server.close()
        if args.json:
            print(json.dumps({name: found}))
            continue
        print(name)
        for key, value in found.items():
            print(f"  {key}: {value}")


if __name__ == "__main__":
    main()
