import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, pluck, refused } from "./support.js";
import { file, number, relation, text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const users = await admin.collections.getOne("users");
const guest = world.guest();

await world.collection(
  "items",
  [text("name", { required: true }), number("n"), file("docs", { maxSelect: 3 })],
  everyone,
);
const items = guest.collection("items");

test("creates, updates, upserts and deletes go in one step, answered in order", async () => {
  const old = await items.create({ name: "old", n: 1 });
  const doomed = await items.create({ name: "doomed" });

  const batch = guest.createBatch();
  batch.collection("items").create({ name: "new" }, { fields: "name,n" });
  batch.collection("items").update(old.id, { "n+": 4 });
  batch.collection("items").upsert({ id: old.id, name: "renamed" });
  batch.collection("items").upsert({ id: "freshidentifier", name: "inserted" });
  batch.collection("items").delete(doomed.id);
  const answers = await batch.send();

  assert.deepEqual(pluck(answers, "status"), [200, 200, 200, 200, 204]);
  assert.deepEqual(answers[0].body, { name: "new", n: 0 });
  assert.equal(answers[1].body.n, 5);
  assert.equal(answers[2].body.name, "renamed");
  assert.equal(answers[2].body.n, 5);
  assert.equal(answers[3].body.id, "freshidentifier");
  assert.equal(answers[4].body, null);
  await refused(items.getOne(doomed.id), 404);
});

test("a later request sees what an earlier one wrote", async () => {
  const batch = guest.createBatch();
  batch.collection("items").create({ id: "firstthenagain1", name: "first", n: 1 });
  batch.collection("items").update("firstthenagain1", { "n+": 1 });
  const [, second] = await batch.send();

  assert.equal(second.body.n, 2);
});

test("files are sent along, each to its own request", async () => {
  const batch = guest.createBatch();
  batch.collection("items").create({ name: "with one", docs: new File(["one"], "one.txt") });
  batch.collection("items").create({ name: "without" });
  batch.collection("items").create({ name: "with two", docs: [new File(["a"], "a.txt"), new File(["bb"], "b.txt")] });
  const [one, none, two] = pluck(await batch.send(), "body");

  assert.equal(one.docs.length, 1);
  assert.deepEqual(none.docs, []);
  assert.equal(two.docs.length, 2);
  assert.equal(await (await fetch(guest.files.getURL(one, one.docs[0]))).text(), "one");
  assert.equal(await (await fetch(guest.files.getURL(two, two.docs[1]))).text(), "bb");

  const more = guest.createBatch();
  more.collection("items").update(two.id, { "docs+": new File(["ccc"], "c.txt") });
  const [appended] = pluck(await more.send(), "body");
  assert.equal(appended.docs.length, 3);
});

test("one failure undoes everything and is told by its place", async () => {
  const kept = await items.create({ name: "kept", n: 1 });

  const batch = guest.createBatch();
  batch.collection("items").create({ id: "neverwritten123", name: "x" });
  batch.collection("items").update(kept.id, { n: 99 });
  batch.collection("items").create({ name: "" });
  batch.collection("items").delete(kept.id);
  const error = await refused(batch.send(), 400);

  assert.deepEqual(Object.keys(error.response.data.requests), ["2"]);
  const { code, response } = error.response.data.requests["2"];
  assert.equal(code, "batch_request_failed");
  assert.equal(response.status, 400);
  assert.equal(response.data.name.code, "validation_required");
  await refused(items.getOne("neverwritten123"), 404);
  assert.equal((await items.getOne(kept.id)).n, 1);
});

test("rules hold inside a batch, for the person who sends it", async () => {
  await world.collection("notes", [text("body"), relation("owner", users)], {
    createRule: "owner = @request.auth.id",
    viewRule: "owner = @request.auth.id",
    listRule: "owner = @request.auth.id",
  });
  const [ann, bob] = await world.people("ann", "bob");

  const good = ann.createBatch();
  good.collection("notes").create({ body: "1", owner: ann.id });
  good.collection("notes").create({ body: "2", owner: ann.id });
  await good.send();
  const bad = ann.createBatch();
  bad.collection("notes").create({ body: "3", owner: ann.id });
  bad.collection("notes").create({ body: "forged", owner: bob.id });
  const forged = await refused(bad.send(), 400);
  const closed = ann.createBatch();
  closed.collection("notes").delete("missing00000000");
  const locked = await refused(closed.send(), 400);

  assert.equal(forged.response.data.requests["1"].response.status, 400);
  assert.equal(locked.response.data.requests["0"].response.status, 403);
  assert.equal((await ann.collection("notes").getList()).totalItems, 2);
});

test("the number of requests is limited, and none at all is an error", async () => {
  const empty = guest.createBatch();
  await refused(empty.send(), 400, { requests: "validation_required" });

  const large = guest.createBatch();
  for (let n = 0; n < 51; n++) large.collection("items").create({ name: `${n}` });
  await refused(large.send(), 400, { requests: "validation_length_too_long" });
});

test("batches can be switched off", async () => {
  await admin.settings.update({ batch: { enabled: false } });

  const batch = admin.createBatch();
  batch.collection("items").create({ name: "x" });
  await refused(batch.send(), 403);

  await admin.settings.update({ batch: { enabled: true } });
  assert.equal((await batch.send()).length, 1);
});
