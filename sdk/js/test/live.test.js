// Live queries: the result is always what a list request would answer.

import { test } from "node:test";
import assert from "node:assert/strict";
import PocketBase from "pocketbase";
import { live } from "../dist/index.js";
import { number, text } from "../../../tests/sdk/fields.js";
import { Wire, World, eventually, everyone, realtime } from "./support.js";

const world = await World.open();
const admin = world.admin;
const numbers = (items) => items?.map((item) => item.n);

test("a callback hears each result, the break of the connection aside", async (t) => {
  await world.collection("scores", [number("n")], everyone);
  const wire = await Wire.to(world.url);
  const connection = realtime(t, new PocketBase(wire.url));
  const scores = admin.collection("scores");
  const first = await scores.create({ n: 5 });
  const results = [];

  const query = live(connection, "scores", { filter: "n > 2", sort: "-n", limit: 2 }, (items) =>
    results.push(numbers(items)),
  );
  await eventually("the first result is there", () => query.items);
  assert.deepEqual(numbers(query.items), [5]);
  await scores.create({ n: 9 });
  await scores.create({ n: 7 });
  await scores.create({ n: 1 });
  await eventually("the best two are there", () => numbers(query.items).join() === "9,7");
  wire.cut();
  await scores.update(first.id, { n: 8 });
  await eventually("the change is there", () => numbers(query.items).join() === "9,8");
  await scores.delete(first.id);
  await eventually("the window is filled again", () => numbers(query.items).join() === "9,7");

  assert.deepEqual(results[0], [5]);
  query.close();
  assert.equal(connection.status, "closed");
});

test("a loop sees the latest result and ends the query when it is left", async (t) => {
  await world.collection("notes", [text("title")], everyone);
  const connection = realtime(t, world.guest());
  const seen = [];

  for await (const notes of live(connection, "notes", { sort: "title" })) {
    seen.push(notes.map((note) => note.title));
    if (notes.length === 2) break;
    await admin.collection("notes").create({ title: `note ${notes.length}` });
  }

  assert.deepEqual(seen.at(-1), ["note 0", "note 1"]);
  assert.equal(connection.status, "closed");
});

test("a refusal ends a loop with the server's error", async (t) => {
  await world.collection("sealed", [text("a")]);
  const connection = realtime(t, world.guest());

  const loop = async () => {
    for await (const items of live(connection, "sealed")) assert.fail(JSON.stringify(items));
  };

  await assert.rejects(loop, { name: "RealtimeError", status: 403 });
});
