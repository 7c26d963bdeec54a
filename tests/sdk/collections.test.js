import { test } from "node:test";
import assert from "node:assert/strict";
import { World, pluck, refused } from "./support.js";
import { autodate, bool, file, number, relation, select, text } from "./fields.js";

const world = await World.open();
const { admin } = world;

test("a fresh server has the stock collections", async () => {
  const all = await admin.collections.getFullList({ sort: "name" });

  const names = pluck(all, "name");
  for (const name of ["_authOrigins", "_externalAuths", "_mfas", "_otps", "_superusers", "users"]) {
    assert.ok(names.includes(name), name);
  }
  const users = all.find((each) => each.name === "users");
  assert.equal(users.id, "_pb_users_auth_");
  assert.equal(users.type, "auth");
  assert.equal(users.system, false);
  assert.equal(users.createRule, "");
  assert.equal(users.listRule, "id = @request.auth.id");
});

test("the superuser makes a collection and finds it by name, by id and in the list", async () => {
  const made = await admin.collections.create({
    name: "books",
    type: "base",
    listRule: "",
    fields: [text("title", { required: true, max: 100 }), number("pages"), bool("lent")],
    indexes: ["CREATE INDEX `idx_books_title` ON `books` (`title`)"],
  });

  assert.match(made.id, /^pbc_\d+$/);
  assert.deepEqual(pluck(made.fields, "name"), ["id", "title", "pages", "lent"]);
  assert.equal(made.fields[0].primaryKey, true);
  assert.equal(made.fields[0].autogeneratePattern, "[a-z0-9]{15}");
  assert.equal(made.fields[1].required, true);
  assert.equal(made.listRule, "");
  assert.equal(made.viewRule, null);
  assert.deepEqual(made.indexes, ["CREATE INDEX `idx_books_title` ON `books` (`title`)"]);
  assert.deepEqual(await admin.collections.getOne("books"), made);
  assert.deepEqual(await admin.collections.getOne(made.id), made);
  assert.deepEqual(await admin.collections.getFirstListItem("name = 'books'"), made);
  const page = await admin.collections.getList(1, 1, { filter: "type = 'base' && system = false" });
  assert.equal(page.totalItems, 1);
});

test("names are found in any case", async () => {
  await world.collection("Mixed", [text("a")]);

  assert.equal((await admin.collections.getOne("mIXED")).name, "Mixed");
  await refused(world.collection("mixed", []), 400, { name: "validation_collection_name_exists" });
});

test("rules and options are changed by an update, the rest stays", async () => {
  await world.collection("shelves", [text("label")]);

  const changed = await admin.collections.update("shelves", { listRule: "@request.auth.id != ''", viewRule: "" });

  assert.equal(changed.listRule, "@request.auth.id != ''");
  assert.equal(changed.viewRule, "");
  assert.deepEqual(pluck(changed.fields, "name"), ["id", "label"]);
  assert.equal((await admin.collections.update("shelves", { listRule: null })).listRule, null);
});

test("a collection is renamed, and its records come along", async () => {
  await world.collection("old_name", [text("a")]);
  const record = await admin.collection("old_name").create({ a: "kept" });

  await admin.collections.update("old_name", { name: "new_name" });

  await refused(admin.collection("old_name").getList(), 404);
  const found = await admin.collection("new_name").getOne(record.id);
  assert.equal(found.a, "kept");
  assert.equal(found.collectionName, "new_name");
});

test("a collection is deleted, but not while another one points to it", async () => {
  const target = await world.collection("parents", [text("a")]);
  await world.collection("children", [relation("parent", target)]);

  const error = await refused(admin.collections.delete("parents"), 400);
  assert.match(error.message, /children/);
  await admin.collections.delete("children");
  assert.equal(await admin.collections.delete("parents"), true);

  await refused(admin.collections.getOne("parents"), 404);
});

test("system collections stay", async () => {
  await refused(admin.collections.delete("_superusers"), 400);
  await refused(admin.collections.update("_superusers", { name: "bosses" }), 400, {
    name: "validation_collection_system_name_change",
  });
});

test("truncate empties a collection and keeps it", async () => {
  await world.collection("drafts", [text("a")]);
  await admin.collection("drafts").create({ a: "1" });
  await admin.collection("drafts").create({ a: "2" });

  assert.equal(await admin.collections.truncate("drafts"), true);

  assert.equal((await admin.collection("drafts").getList()).totalItems, 0);
});

test("what is wrong with a definition is told per field", async () => {
  const make = (definition) => admin.collections.create(definition);

  await refused(make({ name: "", type: "base" }), 400, { name: "validation_required" });
  await refused(make({ name: "no spaces", type: "base" }), 400, { name: "validation_match_invalid" });
  await refused(make({ name: "odd", type: "other" }), 400, { type: "validation_in_invalid" });
  await refused(make({ name: "bad_rule", type: "base", listRule: "missing = 1" }), 400, {
    listRule: "validation_invalid_rule",
  });
  await refused(
    make({ name: "bad_fields", type: "base", fields: [text("no spaces"), number("n", { min: 10, max: 1 })] }),
    400,
    {
      fields: { 1: { name: "validation_match_invalid" }, 2: { max: "validation_min_number_constraint" } },
    },
  );
  await refused(make({ name: "twins", type: "base", fields: [text("a"), number("A")] }), 400, {
    fields: { 2: { name: "validation_duplicated_field_name" } },
  });
  await refused(make({ name: "lost", type: "base", fields: [relation("to", { id: "nowhere" })] }), 400, {
    fields: { 1: { collectionId: "validation_field_relation_missing_collection" } },
  });
  await refused(make({ name: "choice", type: "base", fields: [select("s", { values: [] })] }), 400, {
    fields: { 1: { values: "validation_required" } },
  });
  await refused(make({ name: "bad_index", type: "base", indexes: ["CREATE NONSENSE"] }), 400, {
    indexes: { 0: "validation_invalid_index_expression" },
  });
});

test("only superusers see definitions", async () => {
  const ann = await world.person("ann");

  await refused(world.guest().collections.getFullList(), 401);
  await refused(ann.collections.getFullList(), 403);
  await refused(ann.collections.create({ name: "mine", type: "base" }), 403);
  await refused(world.guest().collections.delete("users"), 401);
});

test("scaffolds are blank collections of each type", async () => {
  const scaffolds = await admin.collections.getScaffolds();

  assert.deepEqual(Object.keys(scaffolds).sort(), ["auth", "base", "view"]);
  assert.equal(scaffolds.base.name, "");
  assert.deepEqual(pluck(scaffolds.base.fields, "name"), ["id"]);
  assert.deepEqual(pluck(scaffolds.auth.fields, "name"), [
    "id",
    "password",
    "tokenKey",
    "email",
    "emailVisibility",
    "verified",
  ]);
  assert.equal(scaffolds.auth.passwordAuth.enabled, true);
  assert.equal(scaffolds.auth.indexes.length, 2);
  assert.equal(scaffolds.view.viewQuery, "");
});

test("import makes new collections and changes known ones in one step", async () => {
  const first = await world.collection("im_authors", [text("name"), number("born")]);

  const done = await admin.collections.import([
    { id: first.id, name: "im_authors", type: "base", listRule: "", fields: [text("name"), text("motto")] },
    {
      id: "im_books_id",
      name: "im_books",
      type: "base",
      fields: [text("title"), relation("author", first, { cascadeDelete: true })],
    },
  ]);

  assert.equal(done, true);
  const authors = await admin.collections.getOne("im_authors");
  assert.equal(authors.listRule, "");
  assert.deepEqual(new Set(pluck(authors.fields, "name")), new Set(["id", "name", "motto", "born"]), "nothing is lost");
  const books = await admin.collections.getOne("im_books");
  assert.equal(books.id, "im_books_id");
  assert.equal(books.fields.find((each) => each.name === "author").collectionId, first.id);
});

test("collections that refer to each other are imported in any order", async () => {
  await admin.collections.import([
    { id: "ring_one_id", name: "ring_one", type: "base", fields: [relation("two", { id: "ring_two_id" })] },
    { id: "ring_two_id", name: "ring_two", type: "base", fields: [relation("one", { id: "ring_one_id" })] },
  ]);

  assert.equal((await admin.collections.getOne("ring_one")).fields[1].collectionId, "ring_two_id");
});

test("a failing import leaves everything as it was", async () => {
  await world.collection("steady", [text("a")]);

  await refused(
    admin.collections.import([
      { name: "steady", type: "base", listRule: "", fields: [text("a"), text("b")] },
      { name: "broken", type: "base", listRule: "missing = 1" },
    ]),
    400,
    { collections: "validation_collections_import_failure" },
  );

  const steady = await admin.collections.getOne("steady");
  assert.equal(steady.listRule, null);
  assert.deepEqual(pluck(steady.fields, "name"), ["id", "a"]);
  await refused(admin.collections.getOne("broken"), 404);
  await refused(admin.collections.import([]), 400, { collections: "validation_required" });
});

test("an export can be imported again without changing anything", async () => {
  const before = await admin.collections.getFullList({ sort: "name" });

  await admin.collections.import(before, true);

  const after = await admin.collections.getFullList({ sort: "name" });
  const withoutTimes = (each) => ({ ...each, updated: "" });
  assert.deepEqual(after.map(withoutTimes), before.map(withoutTimes));
});

test("a view collection shows what its query says, and is read-only", async () => {
  const orders = await world.collection("orders", [
    text("customer"),
    number("total"),
    file("receipt"),
    autodate("created", { onCreate: true }),
  ]);
  await admin.collection("orders").create({ customer: "Ann", total: 10 });
  const second = await admin.collection("orders").create({ customer: "Bob", total: 30 });

  const view = await admin.collections.create({
    name: "big_orders",
    type: "view",
    listRule: "",
    viewRule: "",
    viewQuery:
      "SELECT o.id, o.customer, o.total, o.id as source, (o.total * 2) as doubled FROM orders o WHERE o.total > 20",
  });

  const shape = Object.fromEntries(view.fields.map((each) => [each.name, each.type]));
  assert.deepEqual(shape, { id: "text", customer: "text", total: "number", source: "relation", doubled: "json" });
  assert.equal(view.fields.find((each) => each.name === "source").collectionId, orders.id);
  const { items } = await world.guest().collection("big_orders").getList();
  assert.equal(items.length, 1);
  assert.equal(items[0].id, second.id);
  assert.equal(items[0].customer, "Bob");
  assert.equal(items[0].doubled, 60);
  const withSource = await admin.collection("big_orders").getOne(second.id, { expand: "source" });
  assert.equal(withSource.expand.source.total, 30);
  await refused(admin.collection("big_orders").create({ customer: "Eve" }), 400);
  await refused(admin.collection("big_orders").delete(second.id), 400);
});

test("a grouping view counts, and follows its tables", async () => {
  await world.collection("votes", [text("party")]);
  for (const party of ["red", "red", "blue"]) await admin.collection("votes").create({ party });
  await admin.collections.create({
    name: "tally",
    type: "view",
    listRule: "",
    viewQuery: "SELECT party as id, count(id) as votes FROM votes GROUP BY party",
  });
  const guest = world.guest();

  const before = await guest.collection("tally").getFullList({ sort: "-votes" });
  await admin.collection("votes").create({ party: "blue" });
  await admin.collection("votes").create({ party: "blue" });
  const after = await guest.collection("tally").getFullList({ sort: "-votes", filter: "votes > 2" });

  assert.deepEqual(
    before.map((each) => [each.id, each.votes]),
    [
      ["red", 2],
      ["blue", 1],
    ],
  );
  assert.deepEqual(
    after.map((each) => [each.id, each.votes]),
    [["blue", 3]],
  );
});

test("a query that cannot be a view is refused", async () => {
  const view = (viewQuery) => admin.collections.create({ name: "impossible", type: "view", viewQuery });

  const badQuery = "validation_invalid_view_query";

  await refused(view("SELECT * FROM users"), 400, { viewQuery: badQuery, fields: "validation_required" });
  await refused(view("SELECT name FROM users"), 400, { viewQuery: badQuery, fields: "validation_missing_primary_key" });
  await refused(view("DELETE FROM users"), 400, { viewQuery: badQuery, fields: "validation_required" });
  await refused(view(""), 400, { viewQuery: "validation_required", fields: "validation_required" });
});

test("a collection that a view reads cannot be deleted", async () => {
  await world.collection("ground", [text("a")]);
  await admin.collections.create({ name: "above", type: "view", viewQuery: "SELECT id, a FROM ground" });

  await refused(admin.collections.delete("ground"), 400);
  await admin.collections.delete("above");

  assert.equal(await admin.collections.delete("ground"), true);
});
