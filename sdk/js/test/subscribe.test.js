// Subscriptions that lose nothing over a break of the connection.

import { test } from "node:test";
import assert from "node:assert/strict";
import PocketBase from "pocketbase";
import { RealtimeError, connect, subscribe } from "../dist/index.js";
import { number, text } from "../../../tests/sdk/fields.js";
import { Wire, World, eventually, everyone, realtime } from "./support.js";

const world = await World.open();
const admin = world.admin;

test("events arrive in order, and what happened during a break arrives afterwards, once", async (t) => {
  await world.collection("ticks", [number("n")], everyone);
  const wire = await Wire.to(world.url);
  const status = [];
  const connection = realtime(t, new PocketBase(wire.url), { onStatus: (now) => status.push(now) });
  const heard = [];
  const subscription = await subscribe(connection, "ticks/*", ({ action, record }) => heard.push([action, record.n]));
  const write = (n) => admin.collection("ticks").create({ n });

  await write(0);
  await eventually("the first event is there", () => heard.length === 1);
  wire.close();
  await eventually("the break is noticed", () => connection.status === "connecting");
  for (let n = 1; n <= 10; n++) await write(n);
  wire.open();
  await eventually("it is all there", () => heard.length === 11);
  await write(11);
  await eventually("the present goes on", () => heard.length === 12);

  assert.deepEqual(
    heard,
    Array.from({ length: 12 }, (_, n) => ["create", n]),
  );
  assert.deepEqual(status, ["connecting", "open", "connecting", "open"]);
  subscription.unsubscribe();
  assert.equal(connection.status, "closed");
});

test("a cursor carries over to another program, and over a restart of the server", async (t) => {
  await world.collection("lasting", [number("n")], everyone);
  const first = realtime(t, world.guest());
  const { cursor } = await subscribe(first, "lasting/*", () => {});
  first.close();
  await admin.collection("lasting").create({ n: 1 });
  await world.server.halt();
  await world.server.launch();

  const heard = [];
  const options = { since: cursor };
  await subscribe(realtime(t, world.guest()), "lasting/*", ({ record }) => heard.push(record.n), options);

  await eventually("the missed event is there", () => heard.length === 1);
  assert.deepEqual(heard, [1]);
});

test("a connection is whoever the PocketBase instance is signed in as, from moment to moment", async (t) => {
  await world.collection("diary", [text("entry")], { listRule: "@request.auth.id != ''", createRule: "" });
  await world.collection("bell", [text("a")], everyone);
  const ann = await world.person("ann");
  const connection = realtime(t, ann);
  const heard = [];
  await subscribe(connection, "diary/*", ({ record }) => heard.push(record.entry));
  assert.equal(connection.record.id, ann.id);

  await admin.collection("diary").create({ entry: "hers" });
  await eventually("she hears", () => heard.length === 1);
  ann.authStore.clear();
  await eventually("she is a guest", () => connection.record === null);
  await admin.collection("diary").create({ entry: "not hers" });
  const rung = [];
  await subscribe(connection, "bell/*", ({ record }) => rung.push(record.a));
  await admin.collection("bell").create({ a: "ring" });
  await eventually("the bell rings", () => rung.length === 1);

  assert.deepEqual(heard, ["hers"]);
});

test("what the server refuses rejects, with its status", async (t) => {
  await world.collection("locked", [text("a")]);
  const connection = realtime(t, world.guest());

  const error = await subscribe(connection, "locked/*", () => {}).catch((reason) => reason);

  assert.ok(error instanceof RealtimeError);
  assert.equal(error.status, 403);
  assert.equal(connection.status, "closed", "nothing is left that needs a connection");
});

test("a subscription that is not allowed any more ends with an error", async (t) => {
  const collection = await world.collection("closing", [text("a")], everyone);
  let ended = null;
  const connection = realtime(t, world.guest());
  await subscribe(connection, "closing/*", () => {}, { onError: (error) => (ended = error) });

  await admin.collections.update(collection.id, { listRule: null });

  await eventually("it has ended", () => ended);
  assert.equal(ended.status, 403);
});

test("without any WebSocket the caller is told what to do", async () => {
  const { WebSocket } = globalThis;
  globalThis.WebSocket = undefined;
  const connection = connect(world.guest());

  await assert.rejects(
    subscribe(connection, "x/*", () => {}),
    /options\.WebSocket/,
  );

  globalThis.WebSocket = WebSocket;
});
