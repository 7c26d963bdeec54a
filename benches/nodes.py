#!/usr/bin/env python3
"""Burrow on PostgreSQL beside the least that a server on axum and tokio-postgres can do, in turns; and how long a change made
through one server takes to a client of another.

usage: scripts/with-postgres.sh benches/nodes.py [--pairs 5] [--seconds 4] [--clients 32] [--burrow target/release/burrow]

Both work on the same PostgreSQL, on tables of 10,000 rows. Needs wrk. Server, database and load share the machine: the ratios
count, not the figures."""

import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import threading
import time

from server import QUIET, ROOT, Floor, Server

POST = """wrk.method="POST"; wrk.headers["Content-Type"]="application/json"; local c=0; request=function() c=c+1
return wrk.format(nil,"%s",nil,'{"title":"title '..c..'","body":"lorem ipsum dolor sit amet","views":1,"public":true}') end"""
RECORDS = "/api/collections/posts/records"


def database():
    name = f"bench_{os.getpid()}"
    subprocess.run(["psql", "-qc", f"CREATE DATABASE {name} TEMPLATE template0", "postgres"], check=True)
    return f"postgres://{os.environ['PGUSER']}@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{name}"


def rate(server, script, asked):
    place = pathlib.Path(server.home) / "wrk.lua"
    place.write_text(script)
    command = ["wrk", "-t1", f"-c{asked.clients}", f"-d{asked.seconds}s", "-s", str(place), server.base]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(f"{server.name}: {out}")
    found = float(next(line for line in out.splitlines() if "Requests/sec" in line).split()[1])
    if found == 0:
        raise SystemExit(f"{server.name}: {out}")
    return found


def compare(burrow, floor, ids, asked):
    pick = "local ids={%s}; local c=0; " % ",".join(f'"{one}"' for one in ids)
    view = pick + 'request=function() c=c+1; return wrk.format("GET","%s/"..ids[c%%#ids+1]) end'
    get = 'request=function() return wrk.format("GET","%s") end'
    rows = {
        "view": (view % RECORDS, 'local c=0; request=function() c=c+1; return wrk.format("GET",string.format("/r/%015d",c%2000)) end'),
        "list": (get % f"{RECORDS}?perPage=30&skipTotal=1", get % "/l"),
        "create": (POST % RECORDS, POST % "/r"),
    }
    for name, (ours, theirs) in rows.items():
        ratios, figures = [], []
        for _ in range(asked.pairs):
            a, b = rate(burrow, ours, asked), rate(floor, theirs, asked)
            ratios.append(a / b)
            figures.append((a, b))
        a, b = (statistics.median(one) for one in zip(*figures))
        print(f"{name:8} burrow {a:8,.0f}/s   floor {b:8,.0f}/s   {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


def listen(server, heard, ready):
    """An event stream that notes when each record arrives."""
    link = socket.create_connection(("127.0.0.1", server.port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(b"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n")
    lines = link.makefile("rb")
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        at = time.perf_counter()
        said = json.loads(line[5:])
        if "clientId" in said:
            server.call("POST", "/api/realtime", {"clientId": said["clientId"], "subscriptions": ["posts/*"]})
            ready.set()
        elif "record" in said:
            heard[said["record"]["title"]] = at


def latency(a, b, count=500):
    heard, sent, ready = {}, {}, threading.Event()
    threading.Thread(target=listen, args=(b, heard, ready), daemon=True).start()
    ready.wait(10)
    link = http.client.HTTPConnection("127.0.0.1", a.port)
    for n in range(count):
        title = f"told {n}"
        sent[title] = time.perf_counter()
        link.request("POST", RECORDS, json.dumps({"title": title}), {"Content-Type": "application/json"})
        link.getresponse().read()
        time.sleep(0.02)
    time.sleep(1)
    took = sorted((heard[title] - sent[title]) * 1000 for title in sent if title in heard)
    at = lambda part: took[int(len(took) * part)]
    print(f"from a create on one server to an event on another: {len(took)} of {count} heard, "
          f"p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms")


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--pairs", type=int, default=5)
    asked.add_argument("--seconds", type=int, default=4)
    asked.add_argument("--clients", type=int, default=32)
    asked.add_argument("--burrow", default=str(ROOT / "target/release/burrow"))
    asked = asked.parse_args()
    address = database()
    nodes = [Server(name, asked.burrow, flags=["--database", address, "--files-dir", "/tmp"]) for name in ("a", "b")]
    a, b = nodes
    subprocess.run([asked.burrow, "superuser", "upsert", "root@example.com", "a-long-password", "--dir", str(a.data), "--database", address], check=True, **QUIET)
    floor = None
    try:
        for node in nodes:
            node.start()
        a.sign_in()
        b.token = a.token
        fields = [{"type": "text", "name": "title"}, {"type": "text", "name": "body"}, {"type": "number", "name": "views"}, {"type": "bool", "name": "public"}]
        a.call("POST", "/api/collections", {"name": "posts", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": fields})
        body = "lorem ipsum dolor sit amet " * 8
        fill = f"""INSERT INTO posts (id, title, body, views, public) SELECT lpad(n::text, 15, '0'), 'title ' || n, '{body}', n, 1
            FROM generate_series(0, 9999) n; ANALYZE posts"""
        subprocess.run(["psql", "-qc", fill, address.rsplit("/", 1)[1]], check=True)
        latency(a, b)
        b.stop()
        other = address.rsplit("/", 1)[0] + "/postgres"
        floor = Floor("floor-postgres", other)
        compare(a, floor, [f"{n:015}" for n in range(2000)], asked)
    finally:
        for one in [*nodes, floor]:
            if one:
                one.close()


if __name__ == "__main__":
    main()
