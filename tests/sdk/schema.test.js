import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, pluck, refused } from "./support.js";
import { bool, json, number, relation, select, text } from "./fields.js";

const world = await World.open();
const { admin } = world;

/** The fields of a collection, with one of them changed. */
const changing = (collection, name, change) =>
  collection.fields.map((field) => (field.name === name ? { ...field, ...change } : field));

test("a renamed field keeps its data", async () => {
  const cats = await world.collection("cats", [text("name"), number("age")], everyone);
  const tom = await admin.collection("cats").create({ name: "Tom", age: 7 });

  await admin.collections.update("cats", { fields: changing(cats, "age", { name: "years" }) });

  const after = await admin.collection("cats").getOne(tom.id);
  assert.equal(after.years, 7);
  assert.equal(after.name, "Tom");
  assert.ok(!("age" in after));
});

test("two fields swap their names in one step", async () => {
  const pairs = await world.collection("pairs", [text("left"), text("right")], everyone);
  const { id } = await admin.collection("pairs").create({ left: "L", right: "R" });
  const swap = { left: "right", right: "left" };

  await admin.collections.update("pairs", {
    fields: pairs.fields.map((field) => ({ ...field, name: swap[field.name] ?? field.name })),
  });

  const { left, right } = await admin.collection("pairs").getOne(id);
  assert.deepEqual([left, right], ["R", "L"]);
});

test("an indexed field is renamed together with its index", async () => {
  const dogs = await world.collection("dogs", [text("chip")], {
    indexes: ["CREATE UNIQUE INDEX `idx_chip` ON `dogs` (`chip`)"],
  });
  await admin.collection("dogs").create({ chip: "1" });
  const fields = changing(dogs, "chip", { name: "tag" });

  await refused(admin.collections.update("dogs", { fields }), 400, {
    indexes: { 0: "validation_invalid_index_expression" },
  });
  await admin.collections.update("dogs", { fields, indexes: ["CREATE UNIQUE INDEX `idx_chip` ON `dogs` (`tag`)"] });

  await refused(admin.collection("dogs").create({ tag: "1" }), 400, { tag: "validation_not_unique" });
});

test("a new field starts with its zero value in old records", async () => {
  const old = await world.collection("old", [text("a")], everyone);
  const { id } = await admin.collection("old").create({ a: "x" });

  await admin.collections.update("old", {
    fields: [
      ...old.fields,
      number("n"),
      bool("b"),
      json("j"),
      select("s", { values: ["p", "q"], maxSelect: 2 }),
      relation("self", old),
    ],
  });

  const { a, n, b, j, s, self } = await admin.collection("old").getOne(id);
  assert.deepEqual({ a, n, b, j, s, self }, { a: "x", n: 0, b: false, j: null, s: [], self: "" });
});

test("a removed field takes its data away", async () => {
  const lists = await world.collection("lists", [text("keep"), text("drop")], everyone);
  const { id } = await admin.collection("lists").create({ keep: "k", drop: "d" });
  const without = lists.fields.filter((field) => field.name !== "drop");

  await admin.collections.update("lists", { fields: without });
  assert.ok(!("drop" in (await admin.collection("lists").getOne(id))));
  await admin.collections.update("lists", { fields: [...without, text("drop")] });

  const back = await admin.collection("lists").getOne(id);
  assert.equal(back.keep, "k");
  assert.equal(back.drop, "");
});

test("one choice becomes many and back without losing the last", async () => {
  const shirts = await world.collection("shirts", [select("sizes", { values: ["s", "m", "l"] })], everyone);
  const shirt = await admin.collection("shirts").create({ sizes: "m" });
  const bare = await admin.collection("shirts").create({});

  const many = await admin.collections.update("shirts", { fields: changing(shirts, "sizes", { maxSelect: 3 }) });
  assert.deepEqual((await admin.collection("shirts").getOne(shirt.id)).sizes, ["m"]);
  assert.deepEqual((await admin.collection("shirts").getOne(bare.id)).sizes, []);

  await admin.collection("shirts").update(shirt.id, { "sizes+": "l" });
  await admin.collections.update("shirts", { fields: changing(many, "sizes", { maxSelect: 1 }) });
  assert.equal((await admin.collection("shirts").getOne(shirt.id)).sizes, "l");
  assert.equal((await admin.collection("shirts").getOne(bare.id)).sizes, "");
});

test("type and target of a field are fixed", async () => {
  const one = await world.collection("one", [text("a")]);
  const two = await world.collection("two", [text("a"), relation("to", one)]);

  await refused(admin.collections.update("two", { fields: changing(two, "a", { type: "number" }) }), 400, {
    fields: { 1: "validation_field_type_change" },
  });
  await refused(admin.collections.update("two", { fields: changing(two, "to", { collectionId: two.id }) }), 400, {
    fields: { 2: { collectionId: "validation_field_relation_change" } },
  });
  await refused(admin.collections.update("two", { type: "auth" }), 400);
});

test("stricter options hold for later writes only", async () => {
  const words = await world.collection("words", [text("w")], everyone);
  const long = await admin.collection("words").create({ w: "longer than five" });

  await admin.collections.update("words", { fields: changing(words, "w", { max: 5 }) });

  assert.equal((await admin.collection("words").getOne(long.id)).w, "longer than five");
  await refused(admin.collection("words").create({ w: "longer than five" }), 400, {
    w: "validation_max_text_constraint",
  });
});

test("a unique index cannot be laid over duplicates", async () => {
  await world.collection("dupes", [text("a")], everyone);
  await admin.collection("dupes").create({ a: "same" });
  await admin.collection("dupes").create({ a: "same" });

  await refused(
    admin.collections.update("dupes", { indexes: ["CREATE UNIQUE INDEX `idx_dupes` ON `dupes` (`a`)"] }),
    400,
    {
      indexes: { 0: "validation_invalid_index_expression" },
    },
  );

  assert.deepEqual((await admin.collections.getOne("dupes")).indexes, []);
});

test("a rule that mentions a removed field stops the change", async () => {
  const guarded = await world.collection("guarded", [text("a"), bool("open")], { listRule: "open = true" });

  await refused(
    admin.collections.update("guarded", { fields: guarded.fields.filter((field) => field.name !== "open") }),
    400,
    { listRule: "validation_invalid_rule" },
  );

  assert.deepEqual(pluck((await admin.collections.getOne("guarded")).fields, "name"), ["id", "a", "open"]);
});

test("an auth collection keeps its system fields", async () => {
  const members = await admin.collections.create({ type: "auth", name: "members", fields: [text("motto")] });

  const kept = await admin.collections.update("members", {
    fields: members.fields.filter((field) => field.name !== "verified"),
    indexes: [],
  });

  assert.ok(pluck(kept.fields, "name").includes("verified"));
  assert.equal(kept.indexes.length, 2);
});
