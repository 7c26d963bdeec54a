import { test } from "node:test";
import assert from "node:assert/strict";
import { Inbox, World, everyone, isBurrow, refused } from "./support.js";
import { bool, number, relation, text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const users = await admin.collections.getOne("users");

/** Subscribes a client and gives the queue of what it is told. */
async function listen(client, collection, topic = "*", options = {}) {
  const inbox = new Inbox();
  const stop = await client.collection(collection).subscribe(topic, inbox.put, options);
  return Object.assign(inbox, { stop });
}

/**
 * Asserts what is told next. Burrow keeps the order of the changes; PocketBase may swap any two that follow each other
 * closely, so there only the set is compared.
 */
async function tells(inbox, expected, pick) {
  const heard = [];
  while (heard.length < expected.length) heard.push(pick(await inbox.next()));
  const settled = (list) => (isBurrow ? list : list.map((each) => JSON.stringify(each)).sort());
  assert.deepEqual(settled(heard), settled(expected));
}

test("everyone who listens hears of creation, change and deletion, in this order", async () => {
  await world.collection("news", [text("title"), number("n")], everyone);
  const [first, second] = [await listen(world.guest(), "news"), await listen(world.guest(), "news")];
  const writer = world.guest().collection("news");

  const { id } = await writer.create({ title: "one" });
  await writer.update(id, { title: "two" });
  await writer.delete(id);

  for (const inbox of [first, second]) {
    const expected = [
      ["create", "news", id, "one"],
      ["update", "news", id, "two"],
      ["delete", "news", id, "two"],
    ];
    await tells(inbox, expected, ({ action, record }) => [action, record.collectionName, record.id, record.title]);
  }
});

test("many changes arrive in the order in which they were made", async () => {
  await world.collection("ticks", [number("n")], everyone);
  const inbox = await listen(world.guest(), "ticks");

  const { id } = await admin.collection("ticks").create({ n: 0 });
  for (let n = 1; n <= 30; n++) await admin.collection("ticks").update(id, { n });

  const expected = Array.from({ length: 31 }, (_, n) => n);
  await tells(inbox, expected, ({ record }) => record.n);
});

test("one record can be watched alone", async () => {
  await world.collection("pots", [text("state")], everyone);
  const [mine, other] = [
    await admin.collection("pots").create({ state: "cold" }),
    await admin.collection("pots").create({ state: "cold" }),
  ];
  const inbox = await listen(world.guest(), "pots", mine.id);

  await admin.collection("pots").update(other.id, { state: "warm" });
  await admin.collection("pots").update(mine.id, { state: "hot" });
  await admin.collection("pots").delete(other.id);
  await admin.collection("pots").delete(mine.id);

  const expected = [
    ["update", mine.id, "hot"],
    ["delete", mine.id, "hot"],
  ];
  await tells(inbox, expected, ({ action, record }) => [action, record.id, record.state]);
});

test("one hears only of records that one may list", async () => {
  await world.collection("mail", [text("body"), relation("to", users)], {
    ...everyone,
    listRule: "to = @request.auth.id",
    viewRule: "to = @request.auth.id",
  });
  const [ann, bob] = await world.people("ann", "bob");
  const [annHears, bobHears, guestHears, rootHears] = [
    await listen(ann, "mail"),
    await listen(bob, "mail"),
    await listen(world.guest(), "mail"),
    await listen(admin, "mail"),
  ];

  await admin.collection("mail").create({ body: "for Ann", to: ann.id });
  await admin.collection("mail").create({ body: "for Bob", to: bob.id });
  await admin.collection("mail").create({ body: "for Ann again", to: ann.id });
  await admin.collection("mail").create({ body: "for Bob again", to: bob.id });

  const body = ({ record }) => record.body;
  await tells(annHears, ["for Ann", "for Ann again"], body);
  await tells(bobHears, ["for Bob", "for Bob again"], body);
  await tells(rootHears, ["for Ann", "for Bob", "for Ann again", "for Bob again"], body);
  assert.ok(guestHears.isEmpty);
});

test("a locked collection is silent for all but superusers", async () => {
  await world.collection("locked", [text("a")]);
  await world.collection("bell", [text("a")], everyone);
  const guest = world.guest();
  const lockedInbox = await listen(guest, "locked");
  const bellInbox = await listen(guest, "bell");
  const rootInbox = await listen(admin, "locked");

  await admin.collection("locked").create({ a: "secret" });
  await admin.collection("bell").create({ a: "ring" });

  assert.equal((await rootInbox.next()).record.a, "secret");
  assert.equal((await bellInbox.next()).record.a, "ring");
  assert.ok(lockedInbox.isEmpty);
});

test("a record that leaves the rule goes silently, and comes back as an update", async () => {
  await world.collection("stage", [text("name"), bool("lit")], { ...everyone, listRule: "lit = true" });
  const inbox = await listen(world.guest(), "stage");
  const stage = admin.collection("stage");

  const { id } = await stage.create({ name: "one", lit: true });
  await stage.update(id, { lit: false });
  await stage.update(id, { name: "two" });
  await stage.update(id, { lit: true });

  const expected = [
    ["create", "one"],
    ["update", "two"],
  ];
  await tells(inbox, expected, ({ action, record }) => [action, record.name]);
});

test("a subscription may filter, expand and pick fields", async () => {
  const shops = await world.collection("shops", [text("name")], everyone);
  await world.collection("sales", [number("price"), relation("shop", shops)], everyone);
  const shop = await admin.collection("shops").create({ name: "Corner" });
  const guest = world.guest();
  const dear = await listen(guest, "sales", "*", { filter: guest.filter("price > {:p}", { p: 100 }), expand: "shop" });
  const cheap = await listen(guest, "sales", "*", { filter: "price <= 100", fields: "price" });

  await admin.collection("sales").create({ price: 50, shop: shop.id });
  await admin.collection("sales").create({ price: 150, shop: shop.id });
  await admin.collection("sales").create({ price: 70, shop: shop.id });

  const costly = await dear.next();
  assert.equal(costly.record.price, 150);
  assert.equal(costly.record.expand.shop.name, "Corner");
  await tells(cheap, [{ price: 50 }, { price: 70 }], ({ record }) => record);
});

test("headers and queries of a subscription are seen by the rule", async () => {
  await world.collection("rooms", [text("topic")], { ...everyone, listRule: "@request.headers.x_room = topic" });
  const inbox = await listen(world.guest(), "rooms", "*", { headers: { "X-Room": "tea" } });

  await admin.collection("rooms").create({ topic: "coffee" });
  await admin.collection("rooms").create({ topic: "tea" });

  assert.equal((await inbox.next()).record.topic, "tea");
});

test("hidden fields and addresses stay hidden", async () => {
  await world.collection("profiles", [text("name"), text("notes", { hidden: true })], everyone);
  const forGuest = await listen(world.guest(), "profiles");
  const forRoot = await listen(admin, "profiles");

  await admin.collection("profiles").create({ name: "Ann", notes: "private" });

  assert.ok(!("notes" in (await forGuest.next()).record));
  assert.equal((await forRoot.next()).record.notes, "private");
});

test("after an unsubscribe there is silence, other subscriptions go on", async () => {
  await world.collection("radio", [text("a")], everyone);
  await world.collection("clock", [text("a")], everyone);
  const guest = world.guest();
  const radio = await listen(guest, "radio");
  const clock = await listen(guest, "clock");
  await admin.collection("radio").create({ a: "heard" });
  assert.equal((await radio.next()).record.a, "heard");

  await radio.stop();
  await admin.collection("radio").create({ a: "not heard" });
  await admin.collection("clock").create({ a: "tick" });

  assert.equal((await clock.next()).record.a, "tick");
  assert.ok(radio.isEmpty);
  assert.equal(guest.realtime.isConnected, true);
  await guest.collection("clock").unsubscribe();
  assert.equal(guest.realtime.isConnected, false, "the SDK hangs up with the last subscription");
});

test("a visitor who signs in hears from then on what they may", async () => {
  await world.collection("members_only", [text("a")], { ...everyone, listRule: "@request.auth.id != ''" });
  await world.person("late");
  const client = world.guest();
  const inbox = await listen(client, "members_only");
  const before = client.realtime.clientId;

  await admin.collection("members_only").create({ a: "too early" });
  await client.collection("users").authWithPassword("late@example.com", "correct horse");
  const again = await listen(client, "members_only", "*", { query: { signedIn: true } });
  await admin.collection("members_only").create({ a: "in time" });

  assert.equal((await again.next()).record.a, "in time");
  assert.equal((await inbox.next()).record.a, "in time");
  assert.equal(client.realtime.clientId, before, "the connection stays the same");
});

test("a connection cannot change hands", async () => {
  await world.collection("desk", [text("a")], everyone);
  const [cleo, dan] = await world.people("cleo", "dan");
  await listen(cleo, "desk");

  cleo.authStore.save(dan.authStore.token, dan.authStore.record);

  await refused(listen(cleo, "desk", "*", { query: { who: "dan" } }), 403);
  await cleo.realtime.unsubscribe();
  const inbox = await listen(cleo, "desk");
  await admin.collection("desk").create({ a: "as Dan, on a new connection" });
  assert.equal((await inbox.next()).action, "create");
});

test("a batch is told after it is done, an undone one never", async () => {
  await world.collection("stock", [text("name", { required: true })], everyone);
  const inbox = await listen(world.guest(), "stock");

  const failing = admin.createBatch();
  failing.collection("stock").create({ name: "phantom" });
  failing.collection("stock").create({ name: "" });
  await refused(failing.send(), 400);
  const good = admin.createBatch();
  for (const name of ["a", "b", "c"]) good.collection("stock").create({ name });
  await good.send();

  await tells(inbox, ["a", "b", "c"], ({ record }) => record.name);
});

test("what a deletion drags along is told as well", async () => {
  const houses = await world.collection("houses", [text("name")], everyone);
  await world.collection("doors", [relation("house", houses, { cascadeDelete: true })], everyone);
  await world.collection("guests_of", [relation("house", houses)], everyone);
  const house = await admin.collection("houses").create({ name: "h" });
  const door = await admin.collection("doors").create({ house: house.id });
  const visitor = await admin.collection("guests_of").create({ house: house.id });
  const guest = world.guest();
  const doors = await listen(guest, "doors");
  const visitors = await listen(guest, "guests_of");

  await admin.collection("houses").delete(house.id);

  const gone = await doors.next();
  assert.deepEqual([gone.action, gone.record.id], ["delete", door.id]);
  const left = await visitors.next();
  assert.deepEqual([left.action, left.record.id, left.record.house], ["update", visitor.id, ""]);
});

test("the SDK finds its way back after the server was away", async () => {
  await world.collection("durable", [text("a")], everyone);
  const guest = world.guest();
  const connections = new Inbox();
  await guest.realtime.subscribe("PB_CONNECT", connections.put);
  const inbox = await listen(guest, "durable");
  await connections.next("the first connection");

  await world.server.halt();
  await world.server.launch();
  await connections.next("the second connection");
  await admin.collection("durable").create({ a: "after the pause" });

  assert.equal((await inbox.next()).record.a, "after the pause");
});

test("the raw stream speaks plain server-sent events", async () => {
  const hangUp = new AbortController();
  const stream = await fetch(`${world.url}/api/realtime`, { signal: hangUp.signal });
  const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
  let hello = "";
  while (!hello.includes("\n\n")) hello += (await reader.read()).value;
  const clientId = /^id:(\S+)\n/.exec(hello)?.[1];
  const post = (body) =>
    fetch(`${world.url}/api/realtime`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  assert.equal(hello, `id:${clientId}\nevent:PB_CONNECT\ndata:{"clientId":"${clientId}"}\n\n`);
  assert.equal((await post({ clientId, subscriptions: ["news/*", "no_such_collection/*"] })).status, 204);
  assert.equal((await post({ clientId: "unknown", subscriptions: [] })).status, 404);
  assert.equal((await post({ subscriptions: [] })).status, 400);
  hangUp.abort();
});
