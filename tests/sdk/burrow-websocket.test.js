// Burrow's realtime over WebSocket (subprotocol burrow.v1), beside the official SDK as the one who writes.

import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, isBurrow, onlyBurrow, pluck } from "./support.js";
import { number, relation, text } from "./fields.js";
import { Socket } from "./socket.js";

const world = isBurrow ? await World.open() : null;
const admin = world?.admin;

/** A connection that ends with the test. */
async function connect(t, protocols) {
  const socket = await Socket.open(world.url, protocols);
  t.after(() => socket.close());
  return socket;
}

async function nextEvent(socket, what) {
  const frame = await socket.news.next(what);
  assert.equal(frame.type, "event", JSON.stringify(frame));
  return frame;
}

const refusedWith = (answer, status) => {
  assert.equal(answer.type, "error", JSON.stringify(answer));
  assert.equal(answer.status, status, JSON.stringify(answer));
  assert.equal(typeof answer.message, "string");
  assert.equal(typeof answer.data, "object");
};

test("the server says hello first, in the subprotocol that was asked for", onlyBurrow, async (t) => {
  const socket = await connect(t);

  assert.equal(socket.raw.protocol, "burrow.v1");
  assert.equal(socket.hello.type, "hello");
  assert.equal(typeof socket.hello.clientId, "string");
  assert.equal(typeof socket.hello.cursor, "string");
  assert.ok(socket.hello.version);
  const plain = await connect(t, []);
  assert.equal(plain.raw.protocol, "");
  assert.notEqual(plain.hello.clientId, socket.hello.clientId);
});

test("a subscriber hears of creation, change and deletion, each with its own cursor", onlyBurrow, async (t) => {
  await world.collection("news", [text("title")], everyone);
  const socket = await connect(t);

  const { sub, cursor, type } = await socket.ask("subscribe", { topic: "news/*" });
  const { id } = await admin.collection("news").create({ title: "one" });
  await admin.collection("news").update(id, { title: "two" });
  await admin.collection("news").delete(id);
  const events = [await nextEvent(socket), await nextEvent(socket), await nextEvent(socket)];

  assert.equal(type, "ok");
  assert.equal(typeof sub, "string");
  assert.deepEqual(pluck(events, "sub"), [sub, sub, sub]);
  assert.deepEqual(pluck(events, "action"), ["create", "update", "delete"]);
  assert.deepEqual(pluck(pluck(events, "record"), "title"), ["one", "two", "two"]);
  assert.deepEqual(pluck(pluck(events, "record"), "id"), [id, id, id]);
  assert.equal(events[0].record.collectionName, "news");
  assert.equal(new Set([cursor, ...pluck(events, "cursor")]).size, 4);
});

test("a topic may name a collection by id, without a star, or one record", onlyBurrow, async (t) => {
  const cups = await world.collection("cups", [number("n")], everyone);
  const cup = await admin.collection("cups").create({ n: 0 });
  const socket = await connect(t);

  const all = await socket.ask("subscribe", { topic: "cups" });
  const byId = await socket.ask("subscribe", { topic: `${cups.id}/*` });
  const one = await socket.ask("subscribe", { topic: `cups/${cup.id}` });
  await admin.collection("cups").create({ n: 1 });
  await admin.collection("cups").update(cup.id, { n: 2 });

  const heard = { [all.sub]: [], [byId.sub]: [], [one.sub]: [] };
  for (let n = 0; n < 5; n++) {
    const event = await nextEvent(socket);
    heard[event.sub].push(event.record.n);
  }
  assert.deepEqual(heard, { [all.sub]: [1, 2], [byId.sub]: [1, 2], [one.sub]: [2] });
});

test("many changes arrive in order, after the answer to the subscription", onlyBurrow, async (t) => {
  await world.collection("ticks", [number("n")], everyone);
  const socket = await connect(t);

  const { sub } = await socket.ask("subscribe", { topic: "ticks/*" });
  for (let n = 0; n < 30; n++) await admin.collection("ticks").create({ n });

  for (let n = 0; n < 30; n++) assert.equal((await nextEvent(socket)).record.n, n);
  const kinds = socket.frames.filter((frame) => frame.type === "ok" || frame.sub === sub).map((frame) => frame.type);
  assert.equal(kinds[0], "ok");
  assert.equal(kinds.length, 31);
});

test("signing in opens what the person may see, signing out closes it again", onlyBurrow, async (t) => {
  const users = await admin.collections.getOne("users");
  const mine = "owner = @request.auth.id";
  await world.collection("diaries", [text("entry"), relation("owner", users)], {
    ...everyone,
    listRule: mine,
    viewRule: mine,
  });
  await world.collection("bell", [text("a")], everyone);
  const [ann, bob] = await world.people("ann", "bob");
  const socket = await connect(t);
  const write = (entry, owner) => admin.collection("diaries").create({ entry, owner: owner.id });
  await socket.ask("subscribe", { topic: "diaries/*" });
  await socket.ask("subscribe", { topic: "bell/*" });

  await write("as a guest", ann);
  // What happened is judged when it is told: the bell says that it was told.
  await admin.collection("bell").create({ a: "told" });
  assert.equal((await nextEvent(socket)).record.a, "told");
  const signedIn = await socket.ask("auth", { token: ann.authStore.token });
  await write("for Bob", bob);
  await write("for Ann", ann);
  const heard = await nextEvent(socket);
  const signedOut = await socket.ask("auth", { token: "" });
  await write("too late", ann);
  await admin.collection("bell").create({ a: "ring" });
  const last = await nextEvent(socket);

  assert.equal(signedIn.type, "ok");
  assert.equal(signedIn.record.id, ann.id);
  assert.equal(signedIn.record.email, ann.email);
  assert.ok(!("tokenKey" in signedIn.record));
  assert.equal(heard.record.entry, "for Ann");
  assert.equal(signedOut.type, "ok");
  assert.equal(signedOut.record, null);
  assert.equal(last.record.a, "ring");
});

test("a token that does not hold is refused, and the connection stays", onlyBurrow, async (t) => {
  const socket = await connect(t);

  refusedWith(await socket.ask("auth", { token: "not.a.token" }), 401);

  assert.equal((await socket.ask("ping")).type, "ok");
});

test("what cannot be had is refused with the status of the HTTP API", onlyBurrow, async (t) => {
  await world.collection("locked", [text("a")]);
  await world.collection("open", [text("a")], everyone);
  const socket = await connect(t);

  refusedWith(await socket.ask("subscribe", { topic: "locked/*" }), 403);
  refusedWith(await socket.ask("subscribe", { topic: "no_such_collection/*" }), 404);
  refusedWith(await socket.ask("subscribe", { topic: "open/*", filter: "missing = 1" }), 400);
  refusedWith(await socket.ask("subscribe", { topic: "open/*", filter: "@request.auth.id = ''" }), 403);
  refusedWith(await socket.ask("subscribe", {}), 400);
  const root = await connect(t);
  await root.ask("auth", { token: admin.authStore.token });
  assert.equal((await root.ask("subscribe", { topic: "locked/*" })).type, "ok");
});

test("a subscription may filter, expand and pick fields", onlyBurrow, async (t) => {
  const shops = await world.collection("shops", [text("name")], everyone);
  await world.collection("sales", [number("price"), relation("shop", shops)], everyone);
  const shop = await admin.collection("shops").create({ name: "Corner" });
  const [dear, cheap] = [await connect(t), await connect(t)];
  await dear.ask("subscribe", { topic: "sales/*", filter: "price > 100", expand: "shop" });
  await cheap.ask("subscribe", { topic: "sales/*", filter: "price <= 100", fields: "price" });

  for (const price of [50, 150, 70]) await admin.collection("sales").create({ price, shop: shop.id });

  const costly = await nextEvent(dear);
  assert.equal(costly.record.price, 150);
  assert.equal(costly.record.expand.shop.name, "Corner");
  assert.deepEqual((await nextEvent(cheap)).record, { price: 50 });
  assert.deepEqual((await nextEvent(cheap)).record, { price: 70 });
});

test("headers and queries of a subscription are seen by the rule", onlyBurrow, async (t) => {
  await world.collection("rooms", [text("topic")], {
    ...everyone,
    listRule: "@request.headers.x_room = topic && @request.query.loud = 'yes'",
  });
  const socket = await connect(t);
  await socket.ask("subscribe", { topic: "rooms/*", headers: { "X-Room": "tea" }, query: { loud: "yes" } });

  await admin.collection("rooms").create({ topic: "coffee" });
  await admin.collection("rooms").create({ topic: "tea" });

  assert.equal((await nextEvent(socket)).record.topic, "tea");
});

test("after an unsubscribe there is silence, other subscriptions go on", onlyBurrow, async (t) => {
  await world.collection("radio", [text("a")], everyone);
  await world.collection("clock", [text("a")], everyone);
  const socket = await connect(t);
  const radio = await socket.ask("subscribe", { topic: "radio/*" });
  await socket.ask("subscribe", { topic: "clock/*" });

  assert.equal((await socket.ask("unsubscribe", { sub: radio.sub })).type, "ok");
  await admin.collection("radio").create({ a: "not heard" });
  await admin.collection("clock").create({ a: "tick" });

  assert.equal((await nextEvent(socket)).record.a, "tick");
  assert.equal((await socket.ask("unsubscribe", { sub: radio.sub })).type, "error");
});

test("a ping is answered with the time and a cursor", onlyBurrow, async (t) => {
  const socket = await connect(t);

  const pong = await socket.ask("ping");

  assert.equal(pong.type, "ok");
  assert.ok(pong.time);
  assert.equal(typeof pong.cursor, "string");
});

test("the id of a request comes back as it was sent", onlyBurrow, async (t) => {
  const socket = await connect(t);

  assert.equal((await socket.ask("ping", {}, "text id")).id, "text id");
  assert.equal((await socket.ask("ping", {}, 7_000_000)).id, 7_000_000);
});

test("a client that comes back with its cursor gets what it missed, once and in order", onlyBurrow, async (t) => {
  await world.collection("ledger", [number("n")], everyone);
  const ledger = admin.collection("ledger");
  const first = await ledger.create({ n: 1 });
  const before = await Socket.open(world.url);
  await before.ask("subscribe", { topic: "ledger/*" });
  await ledger.create({ n: 2 });
  const { cursor } = await nextEvent(before);
  await before.close();

  await ledger.create({ n: 3 });
  await ledger.create({ n: 4 });
  await ledger.delete(first.id);
  const after = await connect(t);
  const answer = await after.ask("subscribe", { topic: "ledger/*", since: cursor });
  await ledger.create({ n: 5 });

  assert.equal(answer.cursor, cursor);
  const heard = [];
  for (let n = 0; n < 4; n++) {
    const { action, record } = await nextEvent(after);
    heard.push([action, record.n]);
  }
  assert.deepEqual(heard, [
    ["create", 3],
    ["create", 4],
    ["delete", 1],
    ["create", 5],
  ]);
  await after.ask("ping");
  assert.ok(after.news.isEmpty);
});

test("a cursor outlives a restart of the server", onlyBurrow, async (t) => {
  await world.collection("lasting", [number("n")], everyone);
  const before = await Socket.open(world.url);
  const { cursor } = await before.ask("subscribe", { topic: "lasting/*" });
  await admin.collection("lasting").create({ n: 1 });

  await world.server.halt();
  assert.equal(await before.closed, 1001);
  await world.server.launch();
  const after = await connect(t);
  await after.ask("subscribe", { topic: "lasting/*", since: cursor });
  await admin.collection("lasting").create({ n: 2 });

  assert.equal((await nextEvent(after)).record.n, 1);
  assert.equal((await nextEvent(after)).record.n, 2);
});

test("both transports tell the same story", onlyBurrow, async (t) => {
  await world.collection("story", [number("n")], everyone);
  const socket = await connect(t);
  await socket.ask("subscribe", { topic: "story/*" });
  const told = [];
  const guest = world.guest();
  await guest.collection("story").subscribe("*", ({ action, record }) => told.push([action, record.n]));
  const last = new Promise((resolve) =>
    guest.collection("story").subscribe("*", ({ action }) => action === "delete" && resolve()),
  );

  const batch = admin.createBatch();
  for (const n of [1, 2, 3]) batch.collection("story").create({ n });
  const [{ body }] = await batch.send();
  await admin.collection("story").update(body.id, { n: 10 });
  await admin.collection("story").delete(body.id);

  const heard = [];
  for (let n = 0; n < 5; n++) {
    const { action, record } = await nextEvent(socket);
    heard.push([action, record.n]);
  }
  await last;
  assert.deepEqual(heard, [
    ["create", 1],
    ["create", 2],
    ["create", 3],
    ["update", 10],
    ["delete", 10],
  ]);
  assert.deepEqual(told, heard);
});

const malformed = [
  "no json",
  "[]",
  "null",
  "42",
  '"ping"',
  "{}",
  '{"id":1}',
  '{"type":"ping"}',
  '{"type":1,"id":1}',
  "",
];
test("a frame that is no message gets an error without id, and the connection stays", onlyBurrow, async (t) => {
  const socket = await connect(t);

  for (const frame of malformed) {
    socket.raw.send(frame);
    const answer = await socket.news.next(`the answer to ${frame}`);
    refusedWith(answer, 400);
    assert.equal(answer.id, null, frame);
  }

  assert.equal((await socket.ask("ping")).type, "ok");
});

test("an unknown type is refused under the id of the message", onlyBurrow, async (t) => {
  const socket = await connect(t);

  refusedWith(await socket.ask("dance"), 400);
  refusedWith(await socket.ask("auth", { token: 42 }), 400);
  refusedWith(await socket.ask("subscribe", { topic: ["a"] }), 400);

  assert.equal((await socket.ask("ping")).type, "ok");
});

test("a binary frame ends the connection with 1003, an oversized one with 1009", onlyBurrow, async () => {
  const binary = await Socket.open(world.url);
  const oversized = await Socket.open(world.url);

  binary.raw.send(Buffer.from([1, 2, 3]));
  oversized.raw.send(JSON.stringify({ type: "ping", id: 1, padding: "x".repeat(70_000) }));

  assert.equal(await binary.closed, 1003);
  assert.equal(await oversized.closed, 1009);
});
