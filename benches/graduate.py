#!/usr/bin/env python3
"""How fast a directory moves to PostgreSQL while its server takes writes, and whether anything is lost.

usage: scripts/with-postgres.sh benches/graduate.py [--rows 1000000] [--writes 200] [--burrow target/release/burrow]

Imports the rows, then writes so many records a second over HTTP while `burrow graduate` runs and a while after the switch.
Every answered write must be there once, and every row."""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

from server import ROOT, free_port

COLLECTION = [{
    "name": "posts", "type": "base", "createRule": "", "listRule": "",
    "fields": [{"type": "text", "name": "title"}, {"type": "text", "name": "body"}, {"type": "number", "name": "views"},
               {"type": "bool", "name": "public"}, {"type": "date", "name": "due"}],
}]


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--writes", type=int, default=200)
    asked.add_argument("--burrow", default=str(ROOT / "target/release/burrow"))
    asked = asked.parse_args()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        measure(asked, home)


def measure(asked, home):
    directory = str(home / "data")
    run = lambda *words: subprocess.run([asked.burrow, *words, "--dir", directory, "--json"], check=True, capture_output=True, text=True).stdout
    (home / "posts.json").write_text(json.dumps(COLLECTION))
    run("import", "collections", str(home / "posts.json"))
    with open(home / "rows.csv", "w") as file:
        file.write("title,body,views,public,due\n")
        for n in range(asked.rows):
            file.write(f"row {n},lorem ipsum dolor sit amet consectetur {n % 977},{n % 1000},{n % 2},2026-01-02 03:04:05.678Z\n")
    imported = json.loads(run("import", str(home / "rows.csv"), "--into", "posts"))
    print(f"import: {asked.rows / imported['seconds']:,.0f} rows a second")
    port = free_port()
    server = subprocess.Popen([asked.burrow, "serve", "--dir", directory, "--http", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    try:
        follow(asked, run, port)
    finally:
        server.terminate()
        server.wait()


def follow(asked, run, port):
    answered, held, stop = [], [], threading.Event()
    here = threading.local()

    def write(n):
        began = time.monotonic()
        while not stop.is_set():
            try:
                connection = getattr(here, "connection", None) or http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                here.connection = connection
                connection.request("POST", "/api/collections/posts/records", json.dumps({"title": f"new {n}"}), {"Content-Type": "application/json"})
                reply = connection.getresponse()
                body = reply.read()
                if reply.status == 200:
                    answered.append(json.loads(body)["id"])
                    held.append(time.monotonic() - began)
                    return
            except (OSError, http.client.HTTPException):
                here.connection.close()
                here.connection = None
            time.sleep(0.02)

    def clock(pool):
        began = time.monotonic()
        for n in range(10**9):
            if stop.is_set():
                return
            pool.submit(write, n)
            time.sleep(max(0.0, began + (n + 1) / asked.writes - time.monotonic()))

    for _ in range(100):
        try:
            http.client.HTTPConnection("127.0.0.1", port).request("GET", "/api/health")
            break
        except OSError:
            time.sleep(0.1)
    name = f"moved_{os.getpid()}"
    subprocess.run(["psql", "-qc", f"CREATE DATABASE {name} TEMPLATE template0", "postgres"], check=True)
    address = f"postgres://{os.environ['PGUSER']}@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{name}"
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        ticking = threading.Thread(target=clock, args=(pool,))
        ticking.start()
        time.sleep(2)
        began = time.monotonic()
        moved = json.loads(run("graduate", "--to", address))
        took = time.monotonic() - began
        time.sleep(5)
        stop.set()
        ticking.join()
    query = lambda text: subprocess.run(["psql", "-qtAc", text, name], check=True, capture_output=True, text=True).stdout.strip()
    there = set(query("SELECT id FROM posts WHERE title LIKE 'new %'").split())
    lost = [one for one in answered if one not in there]
    rows = int(query("SELECT count(*) FROM posts WHERE title NOT LIKE 'new %'"))
    print(f"moved {moved['rows']:,} rows in {moved['seconds']:.1f} s ({moved['rows'] / moved['seconds']:,.0f} a second, compared), "
          f"{moved['followed']:,} changes followed, {took:.1f} s in all")
    print(f"writes held up for {moved['heldUpSeconds'] * 1000:.0f} ms by the switch; the longest of {len(answered):,} writes took "
          f"{max(held):.2f} s; lost {len(lost)}, rows {'all there' if rows == asked.rows else rows}")
    assert not lost and rows == asked.rows


if __name__ == "__main__":
    main()
