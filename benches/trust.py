#!/usr/bin/env python3
"""Whether what a server tells of changes can be trusted: order, stale ends, missed events. Against real servers, on loopback.

usage: benches/trust.py [--binary target/release/burrow] [--peer path/to/pocketbase] [--updates 2000] [--batches 300] [--json]

  order   updates of one record by four writers at once, each adding one: events that show less than one before them
  stale   batches of twenty updates of one record: batches after which the last thing heard is not the last one written
  missed  ten records made while a signed-in client is away: how many it hears of when it has come back

Each is done over an event stream, as the official SDK speaks it, and with Burrow over a WebSocket too. Needs nothing but
Python."""

import argparse
import base64
import http.client
import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

EMAIL, PASSWORD = "root@example.com", "a-long-password"
PATIENCE = 10


class Server:
    """A binary on a directory of its own, and a superuser who writes."""

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
        self.token = ""
        self.local = threading.local()
        for _ in range(500):
            try:
                self.token = self.sign_in("_superusers", EMAIL)
                break
            except OSError:
                self.local = threading.local()
                time.sleep(0.02)
        self.call("PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 50, "timeout": 30}})
        fields = [{"name": "title", "type": "text"}, {"name": "n", "type": "number"}]
        rule = "@request.auth.id != '' || n >= 0"
        self.call(
            "POST",
            "/api/collections",
            {"name": "posts", "type": "base", "fields": fields, "listRule": rule, "viewRule": rule},
        )

    def call(self, method, path, body, token=None):
        if not hasattr(self.local, "http"):
            self.local.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", "Authorization": self.token if token is None else token}
        self.local.http.request(method, path, json.dumps(body), headers)
        answer = self.local.http.getresponse()
        text = answer.read()
        assert 200 <= answer.status < 300, (method, path, answer.status, text)
        return json.loads(text) if text else None

    def sign_in(self, collection, email):
        path = f"/api/collections/{collection}/auth-with-password"
        return self.call("POST", path, {"identity": email, "password": PASSWORD})["token"]

    def post(self, n=0):
        return self.call("POST", "/api/collections/posts/records", {"title": "post", "n": n})["id"]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)


class Ear:
    """A connection whose events come out of a queue, read by a thread of its own."""

    def __init__(self, server, token):
        self.server, self.token, self.events = server, token, queue.Queue()
        self.sock = socket.create_connection(("127.0.0.1", server.port))
        self.file = self.sock.makefile("rb")
        self.open()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while (event := self.next()) is not None:
                self.events.put(event)
        except (OSError, ValueError, IndexError):
            pass

    def hear(self, patience=PATIENCE):
        """The next event; none when nothing comes any more."""
        try:
            return self.events.get(timeout=patience)
        except queue.Empty:
            return None

    def break_off(self):
        """As when a phone goes into a tunnel: no farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Stream(Ear):
    """Server-Sent Events as the official SDK uses them: it does not say where it was."""

    name = "event stream"

    def open(self):
        self.sock.sendall(b"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n")
        while self.file.readline() != b"\r\n":
            pass
        self.text = b""
        client = self.message()["clientId"]
        body = {"clientId": client, "subscriptions": ["posts/*"]}
        headers = {"Content-Type": "application/json", "Authorization": self.token, "User-Agent": "bench"}
        submit = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        submit.request("POST", "/api/realtime", json.dumps(body), headers)
        assert submit.getresponse().status == 204

    def message(self):
        while True:
            while b"\n\n" in self.text:
                message, self.text = self.text.split(b"\n\n", 1)
                data = [line[5:] for line in message.split(b"\n") if line.startswith(b"data:")]
                if data:
                    return json.loads(data[0])
            size = int(self.file.readline() or b"0", 16)
            if size == 0:
                return None
            self.text += self.file.read(size)
            self.file.read(2)

    def next(self):
        message = self.message()
        return message and message["record"]

    def come_back(self):
        return Stream(self.server, self.token)


class Socket(Ear):
    """Burrow's WebSocket, which resumes at a cursor."""

    name = "WebSocket"

    def __init__(self, server, token, since=None):
        self.cursor = since
        super().__init__(server, token)

    def open(self):
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while self.file.readline() != b"\r\n":
            pass
        assert self.frame()["type"] == "hello"
        self.ask({"type": "auth", "token": self.token})
        message = {"type": "subscribe", "topic": "posts/*"}
        self.cursor = self.ask({**message, "since": self.cursor} if self.cursor else message)["cursor"]

    def ask(self, message):
        payload = json.dumps({"id": 1, **message}).encode()
        # The mask of zeros leaves the payload as it is.
        self.sock.sendall(bytes([129, 254]) + struct.pack(">H", len(payload)) + b"\0\0\0\0" + payload)
        answer = self.frame()
        assert answer["type"] == "ok", answer
        return answer

    def frame(self):
        while True:
            head = self.file.read(2)
            size = head[1] & 127
            if size == 126:
                size = struct.unpack(">H", self.file.read(2))[0]
            payload = self.file.read(size)
            if head[0] & 15 == 1:
                return json.loads(payload)

    def next(self):
        frame = self.frame()
        self.cursor = frame["cursor"]
        return frame["record"]

    def come_back(self):
        return Socket(self.server, self.token, self.cursor)


def order(server, ear, args):
    record, writers = server.post(), 4

    def write():
        for _ in range(args.updates // writers):
            server.call("PATCH", f"/api/collections/posts/records/{record}", {"n+": 1})

    assert ear.hear()["id"] == record
    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    heard, highest, wrong = 0, 0, 0
    while heard < args.updates and (event := ear.hear()):
        heard += 1
        wrong += event["n"] < highest
        highest = max(highest, event["n"])
    for thread in threads:
        thread.join()
    return {"updates": args.updates, "heard": heard, "out_of_order": wrong}


def stale(server, ear, args):
    record, each, wrong, lost = server.post(), 20, 0, 0
    assert ear.hear()["id"] == record
    for batch in range(args.batches):
        url = f"/api/collections/posts/records/{record}"
        requests = [{"method": "PATCH", "url": url, "body": {"n": batch * each + at + 1}} for at in range(each)]
        server.call("POST", "/api/batch", {"requests": requests})
        heard = [event["n"] for _ in range(each) if (event := ear.hear(2))]
        lost += each - len(heard)
        wrong += not heard or heard[-1] != (batch + 1) * each
    return {"batches": args.batches, "stale_ends": wrong, "events_lost": lost}


def missed(server, ear, args):
    server.post()
    assert ear.hear()
    ear.break_off()
    time.sleep(0.5)
    made = [server.post(n) for n in range(10)]
    ear = ear.come_back()
    heard = []
    while len(heard) < 10 and (event := ear.hear(3)):
        heard.append(event["id"])
    return {"missed": 10, "heard": sum(id in made for id in heard), "in_order": heard == made[: len(heard)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/burrow")
    parser.add_argument("--peer")
    parser.add_argument("--updates", type=int, default=2_000)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    runs = [(args.binary, Stream), (args.binary, Socket)] + ([(args.peer, Stream)] if args.peer else [])
    for binary, transport in runs:
        server = Server(binary)
        try:
            person = {"email": "ann@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD}
            server.call("POST", "/api/collections/users/records", person)
            token = server.sign_in("users", "ann@example.com")
            for name, run in (("order", order), ("stale", stale), ("missed", missed)):
                ear = transport(server, token)
                result = run(server, ear, args)
                title = f"{os.path.basename(binary)}, {transport.name}, {name}"
                if args.json:
                    print(json.dumps({title: result}), flush=True)
                else:
                    print(f"{title}:", *(f"{key.replace('_', ' ')} {value}" for key, value in result.items()), flush=True)
        finally:
            server.close()


if __name__ == "__main__":
    main()
