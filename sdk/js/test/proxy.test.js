// Behind nginx as Debian has it: one that buffers answers, and one that cuts what is quiet for a second.

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after } from "node:test";
import { createServer } from "node:net";
import PocketBase from "pocketbase";
import { join, subscribe } from "../dist/index.js";
import { number } from "../../../tests/sdk/fields.js";
import { World, eventually, everyone, realtime } from "./support.js";

const world = await World.open();
await world.collection("ticks", [number("n")], everyone);
await world.admin.settings.update({
  realtime: { channels: [{ pattern: "room:*", joinRule: "", publishRule: "" }] },
  trustedProxy: { headers: ["X-Real-IP"] },
});
const write = (n) => world.admin.collection("ticks").create({ n });

/** nginx in front of the server, with these lines in its location. */
async function nginx(lines) {
  const port = await freePort();
  const home = await mkdtemp(path(tmpdir(), "burrow-nginx-"));
  const config = `
    daemon off; master_process off; pid ${home}/pid; error_log ${home}/error.log;
    events { worker_connections 256; }
    http {
      access_log off;
      client_body_temp_path ${home}/b; proxy_temp_path ${home}/p; fastcgi_temp_path ${home}/f;
      uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass ${world.url};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_set_header X-Real-IP $remote_addr;
          ${lines}
        }
      }
    }`;
  await writeFile(path(home, "nginx.conf"), config);
  const child = spawn(process.env.NGINX ?? "/usr/sbin/nginx", ["-p", home, "-c", path(home, "nginx.conf")], {
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const failed = new Promise((_, reject) =>
    child.once("error", (cause) => reject(new Error("nginx is needed: scripts/setup-tests.sh installs it", { cause }))),
  );
  after(async () => {
    child.kill("SIGTERM");
    await ended;
    await rm(home, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const up = eventually("nginx answers", async () => (await fetch(`${url}/api/health`).catch(() => null))?.status === 200);
  await Promise.race([up, failed]);
  return url;
}

const buffers = "proxy_buffering on; proxy_buffers 16 64k; gzip on; gzip_types *;";
const cuts = "proxy_buffering on; proxy_read_timeout 1s; proxy_send_timeout 1s;";

test("the official SDK hears each event at once through a proxy that buffers", async (t) => {
  const pb = await visitor(t, await nginx(buffers), "ann");
  const heard = [];
  await pb.collection("ticks").subscribe("*", ({ record }) => heard.push(record.n));

  for (let n = 0; n < 5; n++) {
    await write(n);
    await eventually("it is heard", () => heard.length === n + 1);
  }

  assert.deepEqual(heard, [0, 1, 2, 3, 4]);
});

test("the official SDK recovers from a proxy that cuts, and misses nothing", async (t) => {
  const pb = await visitor(t, await nginx(cuts), "bob");
  const heard = [];
  let connects = 0;
  await pb.realtime.subscribe("PB_CONNECT", () => connects++);
  await pb.collection("ticks").subscribe("*", ({ record }) => heard.push(record.n));

  let n = 100;
  while (connects < 3) {
    await write(n++);
    // Quiet for long enough to be cut from time to time, writing while nobody is connected.
    const before = connects;
    await eventually("it is heard or cut", () => heard.includes(n - 1) || connects > before);
    if (n % 3 === 0) await eventually("it was cut", () => connects > before);
  }
  await write(n);
  await eventually("the last is heard", () => heard.includes(n));

  const expected = Array.from({ length: n - 99 }, (_, at) => 100 + at);
  await eventually("all are heard", () => expected.every((one) => heard.includes(one)));
  assert.deepEqual([...new Set(heard)], expected);
});

test("a WebSocket lives behind a proxy that buffers", async (t) => {
  const connection = realtime(t, new PocketBase(await nginx(buffers)));
  const heard = [];
  await subscribe(connection, "ticks/*", ({ record }) => heard.push(record.n));

  for (let n = 1000; n < 1005; n++) {
    await write(n);
    await eventually("it is heard", () => heard.includes(n));
  }

  assert.deepEqual(heard, [1000, 1001, 1002, 1003, 1004]);
});

test("a WebSocket recovers from a proxy that cuts, and misses nothing", async (t) => {
  let breaks = 0;
  const onStatus = (status) => (breaks += Number(status === "connecting"));
  const connection = realtime(t, new PocketBase(await nginx(cuts)), { onStatus });
  const heard = [];
  await subscribe(connection, "ticks/*", ({ record }) => heard.push(record.n));

  let n = 2000;
  while (breaks < 3) {
    await write(n++);
    const before = breaks;
    await eventually("it was cut", () => breaks > before);
  }
  await write(n);
  await eventually("the last is heard", () => heard.includes(n));

  assert.deepEqual(
    heard,
    Array.from({ length: n - 1999 }, (_, at) => 2000 + at),
  );
});

test("members of a channel are asked often enough that such a proxy leaves them alone", async (t) => {
  const url = await nginx("proxy_read_timeout 3s;");
  let breaks = 0;
  const onStatus = (status) => (breaks += Number(status === "connecting"));
  const channel = await join(realtime(t, new PocketBase(url), { onStatus }), "room:quiet");
  const other = await join(realtime(t, world.guest()), "room:quiet");
  const began = Date.now();
  let gone = 0;
  other.onPresence((members) => (gone += Number(members.length < 2)));

  await eventually("it has been quiet for longer than the proxy bears", () => Date.now() - began > 4_000);

  assert.deepEqual([breaks, gone], [1, 0]);
  assert.equal(channel.members.length, 2);
});

/** Somebody signed in, who comes through the proxy. */
async function visitor(t, url, name) {
  const person = await world.person(name);
  const pb = new PocketBase(url);
  pb.autoCancellation(false);
  pb.authStore.save(person.authStore.token, person.authStore.record);
  t.after(() => pb.realtime.unsubscribe());
  return pb;
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
