#!/usr/bin/env python3
"""Connections held, a storm of clients that come back, and what subscribers cost a writer: against a real server, on loopback.

usage: benches/realtime.py [hold] [storm] [create] [owners] [--binary target/release/burrow] [--connections 10000]
                           [--clients 5000] [--missed 10] [--subscribers 1000] [--creates 200] [--owners 10000] [--json]

Server and clients share the machine: read the figures as upper bounds. Needs nothing but Python; file descriptors must
allow for the connections (ulimit -n)."""

import argparse
import asyncio
import base64
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import select
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time

EMAIL, PASSWORD = "root@example.com", "a-long-password"


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

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)


class Api:
    """One kept-alive HTTP connection."""

    def __init__(self, server):
        self.server, self.token = server, ""
        self.reader = self.writer = None

    async def call(self, method, path, body=None):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {self.token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)
        status = int((await self.reader.readline()).split()[1])
        length, chunked = 0, False
        while (line := (await self.reader.readline()).strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            chunked = chunked or line == b"transfer-encoding: chunked"
        assert not chunked, "a chunked answer"
        text = await self.reader.readexactly(length)
        return status, json.loads(text) if text else None

    async def sign_in(self):
        for _ in range(500):
            try:
                status, answer = await self.call(
                    "POST",
                    "/api/collections/_superusers/auth-with-password",
                    {"identity": EMAIL, "password": PASSWORD},
                )
                assert status == 200, answer
                self.token = answer["token"]
                return self
            except OSError:
                self.writer = None
                await asyncio.sleep(0.02)
        raise SystemExit("the server does not answer")

    async def posts(self, rule):
        fields = [{"name": "title", "type": "text"}, {"name": "n", "type": "number"}]
        rules = {"listRule": rule, "viewRule": rule, "createRule": ""}
        status, answer = await self.call(
            "POST", "/api/collections", {"name": "posts", "type": "base", "fields": fields, **rules}
        )
        assert status == 200, answer

    async def create(self, n):
        body = {"title": f"post {n}", "n": n}
        status, answer = await self.call("POST", "/api/collections/posts/records", body)
        assert status == 200, answer


class Client(asyncio.Protocol):
    """A WebSocket client that does as little as possible: it counts events and keeps its last cursor."""

    def __init__(self):
        self.buffer = bytearray()
        self.upgraded = False
        self.events = 0
        self.wanted = 0
        self.cursor = None
        self.opened = asyncio.get_running_loop().create_future()
        self.answered = None
        self.done = None

    @classmethod
    async def open(cls, port):
        loop = asyncio.get_running_loop()
        for attempt in range(50):
            try:
                _, client = await loop.create_connection(cls, "127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.05 * (attempt + 1))
        else:
            raise SystemExit("cannot connect")
        key = base64.b64encode(os.urandom(16)).decode()
        client.transport.write(
            f"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await client.opened
        return client

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        for future in (self.opened, self.answered, self.done):
            if future and not future.done():
                future.set_exception(ConnectionError("the server hung up"))

    def data_received(self, data):
        self.buffer += data
        if not self.upgraded:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self.buffer.startswith(b"HTTP/1.1 101"), bytes(self.buffer[:200])
            del self.buffer[: end + 4]
            self.upgraded = True
        while (frame := self.frame()) is not None:
            self.hear(*frame)

    def frame(self):
        if len(self.buffer) < 2:
            return None
        size, at = self.buffer[1] & 127, 2
        if size == 126:
            if len(self.buffer) < 4:
                return None
            size, at = struct.unpack(">H", self.buffer[2:4])[0], 4
        elif size == 127:
            if len(self.buffer) < 10:
                return None
            size, at = struct.unpack(">Q", self.buffer[2:10])[0], 10
        if len(self.buffer) < at + size:
            return None
        opcode, payload = self.buffer[0] & 15, bytes(self.buffer[at : at + size])
        del self.buffer[: at + size]
        return opcode, payload

    def hear(self, opcode, payload):
        if opcode == 9:
            self.send(payload, 10)
        if opcode != 1:
            return
        if payload.startswith(b'{"type":"event"'):
            self.events += 1
            self.cursor = payload[payload.rindex(b'"cursor":"') + 10 :].split(b'"', 1)[0].decode()
            if self.done and not self.done.done() and self.events >= self.wanted:
                self.done.set_result(None)
            return
        frame = json.loads(payload)
        if frame["type"] == "hello":
            self.opened.set_result(None)
        elif frame["type"] == "ok":
            self.answered.set_result(frame)
        else:
            raise SystemExit(f"unexpected: {frame}")

    def send(self, payload, opcode=1):
        size = len(payload)
        head = bytes([128 | opcode, 128 | size]) if size < 126 else bytes([128 | opcode, 254]) + struct.pack(">H", size)
        # The mask of zeros leaves the payload as it is.
        self.transport.write(head + b"\0\0\0\0" + payload)

    async def sign_in(self, token):
        self.answered = asyncio.get_running_loop().create_future()
        self.send(json.dumps({"type": "auth", "id": 0, "token": token}).encode())
        await self.answered

    async def subscribe(self, since=None):
        message = {"type": "subscribe", "id": 1, "topic": "posts/*"}
        if since:
            message["since"] = since
        self.answered = asyncio.get_running_loop().create_future()
        self.send(json.dumps(message).encode())
        self.cursor = (await self.answered)["cursor"]
        return self

    def expect(self, events):
        self.wanted = self.events + events
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def close(self):
        self.transport.abort()


async def many(count, make, at_once=200):
    """Makes `count` of something, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one():
        async with gate:
            return await make()

    return await asyncio.gather(*(one() for _ in range(count)))


async def settled(server):
    """Resident memory once it has stopped to move."""
    last = server.resident_kib()
    while True:
        await asyncio.sleep(1)
        now = server.resident_kib()
        if abs(now - last) < 256:
            return now
        last = now


async def hold(server, api, args):
    await api.posts("")
    before = await settled(server)
    clients = await many(args.connections, lambda: Client.open(server.port))
    open_kib = await settled(server)
    await asyncio.gather(*(client.subscribe() for client in clients))
    subscribed = await settled(server)
    heard = [client.expect(1) for client in clients]
    await api.create(1)
    await asyncio.gather(*heard)
    after = await settled(server)
    for client in clients:
        client.close()
    each = lambda kib: round((kib - before) / args.connections, 2)
    return {
        "connections": args.connections,
        "before_mib": round(before / 1024, 1),
        "open_kib_each": each(open_kib),
        "subscribed_kib_each": each(subscribed),
        "after_an_event_kib_each": each(after),
    }


async def storm(server, api, args):
    await api.posts("n >= 0")
    clients = await many(args.clients, lambda: Client.open(server.port))
    await asyncio.gather(*(client.subscribe() for client in clients))
    cursors = [client.cursor for client in clients]
    for client in clients:
        client.close()
    for n in range(args.missed):
        await api.create(n)
    await asyncio.sleep(1)

    loop, spawn = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool, multiprocessing.Manager() as manager:
        started, over = manager.Event(), manager.Event()
        visits = loop.run_in_executor(pool, visit, server.port, started, over)
        await loop.run_in_executor(None, started.wait)
        clients, took = await come_back(server, cursors, args)
        over.set()
        waits, errors = await visits
    wrong = sum(client.events != args.missed for client in clients)
    for client in clients:
        client.close()
    return {
        "clients": args.clients,
        "missed_each": args.missed,
        "seconds": round(took, 2),
        "clients_with_wrong_count": wrong,
        "other_requests": len(waits),
        "errors_to_others": errors,
        "others_p50_ms": round(statistics.median(waits) * 1000, 1),
        "others_max_ms": round(max(waits) * 1000, 1),
    }


async def come_back(server, cursors, args):
    """All at once; gives the clients and how long it took until each has heard what it missed."""
    began = time.perf_counter()

    async def back(cursor):
        client = await Client.open(server.port)
        heard = client.expect(args.missed)
        await client.subscribe(cursor)
        await heard
        return client

    clients = await asyncio.gather(*(back(cursor) for cursor in cursors))
    return clients, time.perf_counter() - began


class Known:
    """A server that another process has started."""

    def __init__(self, port):
        self.port = port


def visit(port, started, over):
    """Somebody else's requests meanwhile, from a process of its own; gives how long each took, and errors."""

    async def run():
        visitor, waits, errors = Api(Known(port)), [], 0
        while not over.is_set():
            # Asking the other process whether it is over takes time itself: not each time.
            for _ in range(10):
                began = time.perf_counter()
                status, _ = await visitor.call("GET", "/api/collections/posts/records?perPage=5")
                waits.append(time.perf_counter() - began)
                errors += status != 200
                await asyncio.sleep(0.02)
            started.set()
        return waits, errors

    return asyncio.run(run())


def writer(port, token, creates):
    """20 creates a second in a process of its own, which does not read events; gives the median in milliseconds."""

    async def run():
        api, times = Api(Known(port)), []
        api.token = token
        for n in range(creates):
            began = time.perf_counter()
            await api.create(n)
            times.append(time.perf_counter() - began)
            await asyncio.sleep(max(0, 0.05 - times[-1]))
        return statistics.median(times) * 1000

    return asyncio.run(run())


def listen(port, subscribers, events, ready):
    """Subscribers that do as little as can be done, so that what is measured is the server: true once all events came."""
    poll, left = select.epoll(), subscribers * events
    sockets = {}
    message = json.dumps({"type": "subscribe", "id": 1, "topic": "posts/*"}).encode()
    frame = bytes([129, 128 | len(message)]) + b"\0\0\0\0" + message
    for _ in range(subscribers):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(
            b"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n"
        )
        heard = b""
        while b'"hello"' not in heard:
            heard += sock.recv(4096)
        sock.sendall(frame)
        while b'"ok"' not in heard:
            heard += sock.recv(4096)
        poll.register(sock.fileno(), select.EPOLLIN)
        sockets[sock.fileno()] = sock
    ready.set()
    while left > 0:
        found = poll.poll(10)
        if not found:
            return False
        for fd, _ in found:
            left -= os.read(fd, 65536).count(b'"type":"event"')
    return True


async def create(server, api, args):
    await api.posts("n >= 0 && title != ''")
    loop, spawn = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, spawn) as pool, multiprocessing.Manager() as manager:
        creates = lambda: loop.run_in_executor(pool, writer, server.port, api.token, args.creates)
        await creates()
        alone, listened = [], []
        for _ in range(2):
            alone.append(await creates())
            ready = manager.Event()
            all_heard = loop.run_in_executor(pool, listen, server.port, args.subscribers, args.creates, ready)
            await loop.run_in_executor(None, ready.wait)
            listened.append(await creates())
            assert await all_heard, "events were lost"
    before, after = statistics.mean(alone), statistics.mean(listened)
    return {
        "subscribers": args.subscribers,
        "creates_a_second": 20,
        "p50_ms_with_none": round(before, 3),
        "p50_ms_with_subscribers": round(after, 3),
        "ratio": round(after / before, 2),
    }


async def owners(server, api, args):
    """Server CPU for a change that concerns one of few or of many who listen under `owner = @request.auth.id`."""
    await api.posts("title = @request.auth.id")
    people = [f"owner{n:010d}" for n in range(args.owners)]
    # Past the hashing of 10,000 passwords; a statement is at most 5,000 characters long.
    for at in range(0, len(people), 50):
        rows = ",".join(f"('{id}','{id}@example.com','{id * 2}')" for id in people[at : at + 50])
        query = f"INSERT INTO users (id, email, tokenKey) VALUES {rows}"
        status, answer = await api.call("POST", "/api/sql", {"query": query})
        assert status == 200, answer

    async def cost():
        # What the connecting left to do is done first, and the server has let go of a line that was quiet for so long.
        await asyncio.sleep(2)
        api.writer.close()
        api.writer = None
        before = server.cpu_seconds()
        for n in range(args.creates * 5):
            body = {"title": people[n % 10], "n": n}
            status, answer = await api.call("POST", "/api/collections/posts/records", body)
            assert status == 200, answer
        await asyncio.sleep(1)
        return (server.cpu_seconds() - before) / (args.creates * 5) * 1e6

    clients, costs = [], {}
    await cost()
    for count in (10, args.owners // 10, args.owners):
        waiting = iter(people[len(clients) : count])

        async def listener():
            id = next(waiting)
            status, answer = await api_of_its_own(server, api, f"/api/collections/users/impersonate/{id}")
            assert status == 200, answer
            client = await Client.open(server.port)
            await client.sign_in(answer["token"])
            return await client.subscribe()

        clients += await many(count - len(clients), listener, at_once=50)
        costs[f"cpu_us_a_create_with_{count}"] = round(await cost(), 1)
    heard = [client.events for client in clients]
    for client in clients:
        client.close()
    rounds = args.creates * 5 // 10
    wrong = sum(events != 3 * rounds for events in heard[:10]) + sum(heard[10:])
    return {"owners": args.owners, **costs, "owners_who_heard_wrong": wrong}


async def api_of_its_own(server, api, path):
    other = Api(server)
    other.token = api.token
    try:
        return await other.call("POST", path, {})
    finally:
        other.writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["hold", "storm", "create", "owners"])
    parser.add_argument("--binary", default="target/release/burrow")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--missed", type=int, default=10)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--creates", type=int, default=200)
    parser.add_argument("--owners", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for name, run in (("hold", hold), ("storm", storm), ("create", create), ("owners", owners)):
        if args.what and name not in args.what:
            continue
        server = Server(args.binary)
        try:
            result = await run(server, await Api(server).sign_in(), args)
        finally:
            server.close()
        if args.json:
            print(json.dumps({name: result}))
        else:
            print(name, *(f"\n  {key.replace('_', ' ')}: {value}" for key, value in result.items()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
