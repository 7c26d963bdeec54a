import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, eventually, pluck, refused } from "./support.js";
import { autodate, bool, json, number, relation, select, text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const guest = world.guest();

const tags = await world.collection("tags", [text("name")], everyone);
await world.collection(
  "posts",
  [
    text("title"),
    number("likes"),
    bool("pinned"),
    select("colours", { values: ["red", "green", "blue", "grey"], maxSelect: 4 }),
    select("mood", { values: ["calm", "angry"] }),
    relation("tags", tags, { maxSelect: 10 }),
    json("extra"),
    autodate("created", { onCreate: true }),
    autodate("updated", { onCreate: true, onUpdate: true }),
  ],
  everyone,
);
const posts = guest.collection("posts");

test("a record is made, read, changed and deleted", async () => {
  const made = await posts.create({ title: "Hello", likes: 1 });
  assert.match(made.id, /^[a-z0-9]{15}$/);
  assert.equal(made.collectionName, "posts");
  assert.match(made.created, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(made.updated >= made.created);

  assert.deepEqual(await posts.getOne(made.id), made);

  const changed = await posts.update(made.id, { title: "Hello again" });
  assert.equal(changed.title, "Hello again");
  assert.equal(changed.likes, 1, "what is not sent stays");
  assert.equal(changed.created, made.created);

  assert.equal(await posts.delete(made.id), true);
  await refused(posts.getOne(made.id), 404);
  await refused(posts.update(made.id, { title: "x" }), 404);
  await refused(posts.delete(made.id), 404);
});

test("one may choose the id of a new record, but only a free and proper one", async () => {
  const made = await posts.create({ id: "abcdefghij12345", title: "chosen" });

  assert.equal(made.id, "abcdefghij12345");
  await refused(posts.create({ id: "abcdefghij12345" }), 400, { id: "validation_not_unique" });
  await refused(posts.create({ id: "short" }), 400, { id: "validation_min_text_constraint" });
  await refused(posts.create({ id: "UPPERCASE_IDENT" }), 400, { id: "validation_invalid_format" });
  await refused(posts.update(made.id, { id: "zyxwvutsrq98765" }), 400, { id: "validation_pk_change" });
});

test("unknown keys are ignored, dates of creation cannot be forged", async () => {
  const made = await admin.collection("posts").create({ nonsense: 1, created: "2001-01-01 00:00:00.000Z" });

  assert.ok(!("nonsense" in made));
  assert.ok(made.created > "2020");
});

test("updated moves with every change, created never does", async () => {
  const made = await posts.create({ title: "tick" });

  const later = await eventually("the clock has moved", async () => {
    const touched = await posts.update(made.id, {});
    return touched.updated > made.updated && touched;
  });

  assert.equal(later.created, made.created);
});

test("an unknown collection or an empty id is a 404", async () => {
  await refused(guest.collection("nowhere").getList(), 404);
  await refused(guest.collection("nowhere").create({ a: 1 }), 404);
  await refused(posts.getOne(""), 404);
});

test("pages tell where they are and how many there are", async () => {
  const pages = await world.collection("pages", [number("n")], everyone);
  for (let n = 1; n <= 7; n++) await admin.collection("pages").create({ n });
  const list = guest.collection(pages.id);

  const second = await list.getList(2, 3, { sort: "n" });
  const beyond = await list.getList(9, 3, { sort: "n" });
  const uncounted = await list.getList(1, 3, { sort: "-n", skipTotal: true });

  assert.deepEqual(
    { ...second, items: pluck(second.items, "n") },
    {
      page: 2,
      perPage: 3,
      totalItems: 7,
      totalPages: 3,
      items: [4, 5, 6],
    },
  );
  assert.equal(beyond.page, 9);
  assert.deepEqual(beyond.items, []);
  assert.deepEqual(pluck(uncounted.items, "n"), [7, 6, 5]);
  assert.equal(uncounted.totalItems, -1);
  assert.equal(uncounted.totalPages, -1);
  assert.equal((await list.getList(1, 5000)).perPage, 1000);
  assert.equal((await list.getList(-1, 0)).perPage, 30);
});

test("the full list is fetched in batches until the last", async () => {
  await world.collection("many", [number("n")], everyone);
  for (let first = 0; first < 60; first += 20) {
    const batch = admin.createBatch();
    for (let n = first; n < first + 20; n++) batch.collection("many").create({ n });
    await batch.send();
  }
  const many = guest.collection("many");

  const all = await many.getFullList({ batch: 25, sort: "n" });
  const some = await many.getFullList({ filter: "n >= 50", sort: "n" });

  assert.deepEqual(
    pluck(all, "n"),
    Array.from({ length: 60 }, (_, n) => n),
  );
  assert.deepEqual(pluck(some, "n"), [50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
});

test("the first match is found, or the SDK says 404", async () => {
  await posts.create({ title: "needle", likes: 1 });
  await posts.create({ title: "needle", likes: 2 });

  const best = await posts.getFirstListItem("title = 'needle'", { sort: "-likes" });

  assert.equal(best.likes, 2);
  await refused(posts.getFirstListItem("title = 'no such thing'"), 404);
});

test("numbers are raised and lowered in place", async () => {
  const { id } = await posts.create({ likes: 10 });

  assert.equal((await posts.update(id, { "likes+": 5 })).likes, 15);
  assert.equal((await posts.update(id, { "likes-": 7.5 })).likes, 7.5);
  assert.equal((await posts.create({ "likes+": 3 })).likes, 3);
});

test("choices are appended, prepended and removed", async () => {
  const { id } = await posts.create({ colours: ["green"] });

  assert.deepEqual((await posts.update(id, { "colours+": "blue" })).colours, ["green", "blue"]);
  assert.deepEqual((await posts.update(id, { "+colours": ["red"] })).colours, ["red", "green", "blue"]);
  assert.deepEqual((await posts.update(id, { "colours+": ["red", "grey"] })).colours, ["red", "green", "blue", "grey"]);
  assert.deepEqual((await posts.update(id, { "colours-": ["red", "blue"] })).colours, ["green", "grey"]);
  assert.deepEqual((await posts.update(id, { "colours-": "absent" })).colours, ["green", "grey"]);
});

test("a single choice is replaced by an append and emptied by a removal", async () => {
  const { id } = await posts.create({ mood: "calm" });

  assert.equal((await posts.update(id, { "mood+": "angry" })).mood, "angry");
  assert.equal((await posts.update(id, { "mood-": "angry" })).mood, "");
});

test("relations are appended, prepended and removed", async () => {
  const [a, b, c] = pluck(
    [
      await guest.collection("tags").create({ name: "a" }),
      await guest.collection("tags").create({ name: "b" }),
      await guest.collection("tags").create({ name: "c" }),
    ],
    "id",
  );
  const { id } = await posts.create({ tags: [b] });

  assert.deepEqual((await posts.update(id, { "tags+": [c] })).tags, [b, c]);
  assert.deepEqual((await posts.update(id, { "+tags": a })).tags, [a, b, c]);
  assert.deepEqual((await posts.update(id, { "tags-": [a, c] })).tags, [b]);
  await refused(posts.update(id, { "tags+": "missing00000000" }), 400, { tags: "validation_missing_rel_records" });
});

test("null sets a field to its zero value", async () => {
  const { id } = await posts.create({
    title: "x",
    likes: 3,
    pinned: true,
    colours: ["red"],
    mood: "calm",
    extra: { a: 1 },
  });

  const emptied = await posts.update(id, {
    title: null,
    likes: null,
    pinned: null,
    colours: null,
    mood: null,
    extra: null,
  });

  const { title, likes, pinned, colours, mood, extra } = emptied;
  assert.deepEqual(
    { title, likes, pinned, colours, mood, extra },
    {
      title: "",
      likes: 0,
      pinned: false,
      colours: [],
      mood: "",
      extra: null,
    },
  );
});

test("a form is understood as well as JSON", async () => {
  const form = new FormData();
  form.append("title", "from a form");
  form.append("likes", "42");
  form.append("pinned", "true");
  form.append("colours", "red");
  form.append("colours", "blue");
  form.append("@jsonPayload", JSON.stringify({ extra: { deep: [1, 2] } }));

  const made = await posts.create(form);

  assert.equal(made.title, "from a form");
  assert.equal(made.likes, 42);
  assert.equal(made.pinned, true);
  assert.deepEqual(made.colours, ["red", "blue"]);
  assert.deepEqual(made.extra, { deep: [1, 2] });
});

test("a second request of the same kind cancels the first, unless told otherwise", async () => {
  const hasty = world.guest().autoCancellation(true);

  const [first, second] = await Promise.allSettled([
    hasty.collection("posts").getList(1, 1),
    hasty.collection("posts").getList(1, 2),
  ]);

  assert.equal(first.status, "rejected");
  assert.equal(first.reason.isAbort, true);
  assert.equal(second.status, "fulfilled");
});

test("hooks of the SDK see the request before and the answer after", async () => {
  const client = world.guest();
  const seen = [];
  client.beforeSend = (url, options) => {
    seen.push(`${options.method} ${new URL(url).pathname}`);
    return { url, options };
  };
  client.afterSend = (response, data) => {
    seen.push(response.status);
    return { ...data, touched: true };
  };

  const page = await client.collection("posts").getList(1, 1);

  assert.deepEqual(seen, ["GET /api/collections/posts/records", 200]);
  assert.equal(page.touched, true);
});
