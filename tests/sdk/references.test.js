import { test } from "node:test";
import assert from "node:assert/strict";
import { World, eventually, refused } from "./support.js";
import { file, relation, text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const records = (name) => admin.collection(name);

const artists = await world.collection("artists", [text("name")]);
const albums = await world.collection("albums", [text("title"), relation("artist", artists, { cascadeDelete: true })]);
await world.collection("songs", [
  text("title"),
  file("audio"),
  relation("albums", albums, { maxSelect: 5, cascadeDelete: true }),
]);
await world.collection("fans", [
  text("name"),
  relation("favourite", artists),
  relation("likes", artists, { maxSelect: 9 }),
]);
await world.collection("contracts", [text("title"), relation("artist", artists, { required: true })]);

test("deleting an artist deletes the albums, and songs that are on no other album", async () => {
  const ann = await records("artists").create({ name: "Ann" });
  const bob = await records("artists").create({ name: "Bob" });
  const first = await records("albums").create({ title: "first", artist: ann.id });
  const second = await records("albums").create({ title: "second", artist: bob.id });
  const only = await records("songs").create({
    title: "only",
    albums: [first.id],
    audio: new File(["la la la"], "song.txt"),
  });
  const both = await records("songs").create({ title: "both", albums: [first.id, second.id] });

  await records("artists").delete(ann.id);

  await refused(records("albums").getOne(first.id), 404);
  await refused(records("songs").getOne(only.id), 404);
  assert.deepEqual((await records("songs").getOne(both.id)).albums, [second.id]);
  await eventually("the file of the deleted song is gone", async () => {
    const answer = await fetch(admin.files.getURL(only, only.audio));
    return answer.status === 404;
  });
});

test("plain references are unlinked", async () => {
  const ann = await records("artists").create({ name: "Ann" });
  const bob = await records("artists").create({ name: "Bob" });
  const fan = await records("fans").create({ name: "Eve", favourite: ann.id, likes: [ann.id, bob.id] });

  await records("artists").delete(ann.id);

  const left = await records("fans").getOne(fan.id);
  assert.equal(left.favourite, "");
  assert.deepEqual(left.likes, [bob.id]);
  assert.equal(left.name, "Eve");
});

test("a required reference stops the deletion, and nothing else is touched", async () => {
  const ann = await records("artists").create({ name: "Ann" });
  const album = await records("albums").create({ title: "kept", artist: ann.id });
  const contract = await records("contracts").create({ title: "signed", artist: ann.id });

  const error = await refused(records("artists").delete(ann.id), 400, {});

  assert.match(error.message, /required relation reference/);
  assert.equal((await records("albums").getOne(album.id)).artist, ann.id);
  await records("contracts").delete(contract.id);
  assert.equal(await records("artists").delete(ann.id), true);
  await refused(records("albums").getOne(album.id), 404);
});

test("a record may refer to itself and to its own kind", async () => {
  const folders = await world.collection("folders", [text("name")]);
  await admin.collections.update("folders", {
    fields: [...folders.fields, relation("parent", folders, { cascadeDelete: true })],
  });
  const root = await records("folders").create({ name: "root" });
  const inner = await records("folders").create({ name: "inner", parent: root.id });
  const leaf = await records("folders").create({ name: "leaf", parent: inner.id });
  await records("folders").update(root.id, { parent: root.id });

  const opened = await records("folders").getOne(leaf.id, { expand: "parent.parent" });
  await records("folders").delete(root.id);

  assert.equal(opened.expand.parent.expand.parent.name, "root");
  assert.equal((await records("folders").getList()).totalItems, 0);
});

test("truncate stops at required references as well", async () => {
  const ann = await records("artists").create({ name: "Ann" });
  await records("contracts").create({ title: "signed", artist: ann.id });

  await refused(admin.collections.truncate("artists"), 400);

  assert.equal((await records("artists").getOne(ann.id)).name, "Ann");
});
