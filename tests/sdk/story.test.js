// One long story, as an app lives it: people sign up and write, others read, comment and listen; the schema changes
// beneath them; somebody leaves. What one step makes, later ones stand on.

import { test } from "node:test";
import assert from "node:assert/strict";
import { Inbox, PASSWORD, World, eventually, pluck, refused } from "./support.js";
import { autodate, bool, editor, file, geoPoint, json, number, relation, select, text } from "./fields.js";
import { png } from "./pictures.js";

const world = await World.open();
const { admin } = world;
const people = {};
const posts = {};
const doc = (name) => new File([`the content of ${name}`], name);

test("a magazine gets its collections, their rules and a view", async () => {
  const users = await admin.collections.getOne("users");
  await admin.collections.update("users", {
    listRule: "@request.auth.id != ''",
    viewRule: "@request.auth.id != ''",
    fields: [...users.fields, select("role", { values: ["reader", "writer"], maxSelect: 1 })],
  });
  const tags = await world.collection("tags", [text("name", { required: true })], {
    listRule: "",
    viewRule: "",
    indexes: ["CREATE UNIQUE INDEX idx_tag_name ON tags (name)"],
  });
  const readable = "published = true || author = @request.auth.id";
  const made = await world.collection(
    "posts",
    [
      text("title", { required: true, min: 3 }),
      text("slug", { autogeneratePattern: "[a-z]{6}" }),
      editor("body"),
      bool("published"),
      number("views", { onlyInt: true, min: 0 }),
      relation("tags", tags, { maxSelect: 5 }),
      relation("author", users, { required: true, cascadeDelete: true }),
      file("cover", { mimeTypes: ["image/png"], thumbs: ["30x30"] }),
      file("papers", { maxSelect: 4, protected: true }),
      json("meta"),
      geoPoint("place"),
      select("moods", { values: ["happy", "sad", "odd"], maxSelect: 3 }),
      text("note", { hidden: true }),
      autodate("created", { onCreate: true }),
    ],
    {
      listRule: readable,
      viewRule: readable,
      createRule: "@request.auth.role = 'writer' && author = @request.auth.id",
      updateRule: "author = @request.auth.id && @request.body.author:changed = false",
      deleteRule: "author = @request.auth.id",
    },
  );
  const seen = "post.published = true || post.author = @request.auth.id";
  await world.collection(
    "comments",
    [
      relation("post", made, { required: true, cascadeDelete: true }),
      relation("by", users, { required: true, cascadeDelete: true }),
      text("text", { required: true }),
    ],
    {
      listRule: seen,
      viewRule: seen,
      createRule: "@request.auth.id != '' && by = @request.auth.id && post.published = true",
      deleteRule: "by = @request.auth.id || post.author = @request.auth.id",
    },
  );
  const stats = await admin.collections.create({
    name: "stats",
    type: "view",
    listRule: "",
    viewQuery:
      "SELECT posts.id, posts.title, posts.author, COUNT(comments.id) AS total FROM posts " +
      "LEFT JOIN comments ON comments.post = posts.id GROUP BY posts.id",
  });

  const kinds = Object.fromEntries(stats.fields.map((field) => [field.name, field.type]));
  assert.deepEqual(kinds, { id: "text", title: "text", author: "relation", total: "number" });
  for (const name of ["red", "green", "blue"]) await admin.collection("tags").create({ name });
  await refused(admin.collection("tags").create({ name: "red" }), 400, { name: "validation_not_unique" });
});

test("people sign up, and nobody makes themselves more than they are", async () => {
  for (const [name, role] of [
    ["ann", "writer"],
    ["bob", "writer"],
    ["cyd", "reader"],
  ]) {
    const client = world.guest();
    const email = `${name}@example.com`;
    const form = { email, name, role, password: PASSWORD, passwordConfirm: PASSWORD, emailVisibility: name === "ann" };
    const made = await client.collection("users").create(form);
    assert.ok(!made.verified);
    const { record } = await client.collection("users").authWithPassword(email, PASSWORD);
    client.id = record.id;
    people[name] = client;
  }
  const form = { email: "ann@example.com", password: PASSWORD, passwordConfirm: PASSWORD };
  const guest = world.guest().collection("users");
  await refused(guest.create(form), 400, { email: "validation_not_unique" });
  await refused(guest.create({ ...form, email: "d@example.com", verified: true }), 400, {
    verified: "validation_values_mismatch",
  });

  const found = await people.cyd.collection("users").getFullList({ sort: "name" });
  assert.deepEqual(pluck(found, "email"), ["ann@example.com", undefined, "cyd@example.com"]);
  const byAddress = { filter: "email = 'bob@example.com'" };
  assert.equal((await people.cyd.collection("users").getList(1, 1, byAddress)).totalItems, 0);
});

test("writers write, with tags and places, and readers do not", async () => {
  const tags = pluck(await admin.collection("tags").getFullList({ sort: "name" }), "id");
  for (let i = 0; i < 6; i++) {
    const who = people[i % 2 ? "bob" : "ann"];
    const post = await who.collection("posts").create(
      {
        title: `Post ${i}`,
        body: `<p>Number <b>${i}</b></p>`,
        published: i % 3 !== 0,
        views: i * 10,
        tags: tags.slice(0, i % 4),
        author: who.id,
        meta: { list: [1, i] },
        place: { lon: i * 10, lat: i * 5 },
        moods: ["happy", "sad", "odd"].slice(0, i % 4),
        note: "never taken from a writer",
      },
      { expand: "author,tags" },
    );
    assert.equal(post.expand.author.id, who.id);
    assert.equal(post.expand.tags?.length ?? 0, i % 4);
    assert.match(post.slug, /^[a-z]{6}$/);
    posts[i] = post.id;
  }
  assert.equal((await admin.collection("posts").getOne(posts[0])).note, "");

  const { ann, bob, cyd } = people;
  await refused(cyd.collection("posts").create({ title: "From a reader", author: cyd.id }), 400, {});
  await refused(ann.collection("posts").create({ title: "For bob", author: bob.id }), 400, {});
  await refused(
    ann.collection("posts").create({ title: "No", author: ann.id, views: -1, tags: ["x"], moods: ["angry"] }),
    400,
    {
      title: "validation_min_text_constraint",
      views: "validation_min_number_constraint",
      tags: "validation_missing_rel_records",
      moods: "validation_invalid_value",
    },
  );
});

test("questions are answered for whoever asks", async () => {
  const titles = async (who, filter, options = {}) =>
    pluck((await who.collection("posts").getList(1, 30, { filter, sort: "title", ...options })).items, "title");
  const guest = world.guest();
  assert.deepEqual(await titles(guest, ""), ["Post 1", "Post 2", "Post 4", "Post 5"]);
  assert.deepEqual(await titles(people.ann, ""), ["Post 0", "Post 1", "Post 2", "Post 4", "Post 5"]);
  assert.deepEqual(await titles(admin, "tags.name ?= 'green'"), ["Post 2", "Post 3"]);
  assert.deepEqual(await titles(admin, "tags.name = 'blue'"), ["Post 1", "Post 5"]);
  assert.deepEqual(await titles(admin, "moods:each ?= 'odd'"), ["Post 3"]);
  assert.deepEqual(await titles(admin, "tags:length = 0"), ["Post 0", "Post 4"]);
  assert.deepEqual(await titles(admin, "meta.list.1 >= 4"), ["Post 4", "Post 5"]);
  assert.deepEqual(await titles(admin, "geoDistance(place.lon, place.lat, 20, 10) < 100"), ["Post 2"]);
  const byName = admin.filter("author.name = {:name} && views > {:views}", { name: "bob", views: 10 });
  assert.deepEqual(await titles(people.cyd, byName), ["Post 5"]);
  await refused(titles(guest, "note = ''"), 400);
  await refused(titles(guest, "@request.auth.id = ''"), 403);

  const picked = await guest.collection("posts").getOne(posts[1], {
    expand: "author,tags",
    fields: "title,body:excerpt(4,true),expand.tags.name",
  });
  delete picked.collectionId;
  assert.deepEqual(picked, { title: "Post 1", body: "Numb...", expand: { tags: [{ name: "blue" }] } });
});

test("files come, move and go, and protected ones ask who is there", async () => {
  const mine = people.ann.collection("posts");
  await refused(mine.update(posts[0], { cover: doc("cover.png") }), 400, { cover: "validation_invalid_mime_type" });
  const cover = new File([png(60, 40)], "Cover.png");
  await mine.update(posts[0], { cover, "papers+": [doc("b.txt"), doc("c.txt")] });
  await mine.update(posts[0], { "+papers": doc("a.txt"), "papers+": doc("d.txt") });
  await refused(mine.update(posts[0], { "papers+": doc("e.txt") }), 400, { papers: "validation_too_many_files" });
  let post = await mine.getOne(posts[0]);
  assert.deepEqual(
    post.papers.map((name) => name[0]),
    ["a", "b", "c", "d"],
  );
  post = await mine.update(posts[0], { "papers-": [post.papers[1], "unknown.txt"] });
  assert.equal(post.papers.length, 3);

  const status = async (query) => (await fetch(admin.files.getURL(post, post.papers[0], query))).status;
  assert.equal(await status(), 404);
  assert.equal(await status({ token: await people.bob.files.getToken() }), 404);
  assert.equal(await status({ token: await people.ann.files.getToken() }), 200);
  const thumb = await fetch(admin.files.getURL(post, post.cover, { thumb: "30x30" }));
  assert.equal(thumb.headers.get("content-type"), "image/png");
  const url = admin.files.getURL(post, post.cover);
  await mine.update(posts[0], { cover: null });
  assert.equal((await fetch(url)).status, 404);
});

test("modifiers add up, and rules see what a change would do", async () => {
  const { ann, bob } = people;
  const theirs = bob.collection("posts");
  const [blue, green] = pluck(await admin.collection("tags").getFullList({ sort: "name" }), "id");

  const changed = await theirs.update(posts[1], { "views+": 5, "tags+": green, "tags-": blue, "+moods": "odd" });

  assert.equal(changed.views, 15);
  assert.deepEqual(changed.tags, [green]);
  assert.deepEqual(changed.moods, ["odd", "happy"]);
  await refused(theirs.update(posts[1], { "views+": 0.5 }), 400, { views: "validation_only_int_constraint" });
  await refused(theirs.update(posts[1], { author: ann.id }), 404);
  await theirs.update(posts[1], { author: bob.id, title: "Post 1 again" });
  await refused(ann.collection("posts").update(posts[1], { title: "Mine now" }), 404);
  await refused(ann.collection("posts").delete(posts[1]), 404);
});

test("whoever listens hears what they may see, in order", async () => {
  const { ann, bob, cyd } = people;
  const [hers, his, narrow] = [new Inbox(), new Inbox(), new Inbox()];
  await ann.collection("posts").subscribe("*", hers.put, { fields: "id,title" });
  await cyd.collection("posts").subscribe("*", his.put);
  await bob.collection("comments").subscribe("*", narrow.put, { filter: "text ~ 'loud'" });

  const draft = await ann.collection("posts").create({ title: "Draft", author: ann.id });
  await ann.collection("posts").update(draft.id, { title: "Printed", published: true });
  await cyd.collection("comments").create({ post: draft.id, by: cyd.id, text: "a quiet word" });
  await cyd.collection("comments").create({ post: draft.id, by: cyd.id, text: "a loud word" });
  await ann.collection("posts").delete(draft.id);

  const heard = [await hers.next(), await hers.next(), await hers.next()];
  assert.deepEqual(
    heard.map(({ action, record }) => [action, record.title, record.author]),
    [
      ["create", "Draft", undefined],
      ["update", "Printed", undefined],
      ["delete", "Printed", undefined],
    ],
  );
  assert.deepEqual([(await his.next()).action, (await his.next()).action], ["update", "delete"]);
  assert.equal((await narrow.next()).record.text, "a loud word");
  assert.deepEqual([(await narrow.next()).action, narrow.isEmpty], ["delete", true]);
  await Promise.all([ann, cyd, bob].map((client) => client.realtime.unsubscribe()));
});

test("a batch is done as a whole or not at all", async () => {
  const { ann, bob, cyd } = people;
  const mixed = ann.createBatch();
  mixed
    .collection("posts")
    .create({ id: "fromabatch00001", title: "Batch", author: ann.id, papers: [doc("x.txt")] }, { fields: "papers" });
  mixed.collection("posts").update(posts[2], { "views+": 1 });
  mixed.collection("posts").upsert({ id: "fromabatch00001", title: "Batch, changed" });
  mixed.collection("posts").delete(posts[4]);
  const answers = await mixed.send();
  assert.deepEqual(pluck(answers, "status"), [200, 200, 200, 204]);
  assert.equal(answers[0].body.papers.length, 1);
  assert.equal(answers[1].body.views, 21);
  assert.equal(answers[2].body.title, "Batch, changed");

  const failing = ann.createBatch();
  failing.collection("posts").create({ title: "Lost", author: ann.id });
  failing.collection("posts").update(posts[1], { title: "not hers" });
  const error = await refused(failing.send(), 400);
  assert.deepEqual(Object.keys(error.response.data.requests), ["1"]);
  assert.equal(error.response.data.requests[1].response.status, 404);
  assert.equal((await admin.collection("posts").getList(1, 1, { filter: "title = 'Lost'" })).totalItems, 0);

  for (const [who, of] of [
    [ann, 2],
    [bob, 2],
    [cyd, 1],
  ]) {
    await who.collection("comments").create({ post: posts[of], by: who.id, text: "well" });
  }
  const stats = await world.guest().collection("stats").getFullList({ sort: "-total,title" });
  assert.deepEqual(
    stats.slice(0, 2).map(({ title, total }) => [title, total]),
    [
      ["Post 2", 2],
      ["Post 1 again", 1],
    ],
  );
});

test("the schema changes beneath the records and nothing is lost", async () => {
  const { fields } = await admin.collections.getOne("posts");
  const change = (changes) =>
    admin.collections.update("posts", { fields: fields.map((field) => ({ ...field, ...changes[field.name] })) });
  await change({ views: { name: "reads" }, moods: { maxSelect: 1 } });
  const post = await admin.collection("posts").getOne(posts[3]);
  assert.deepEqual([post.reads, post.moods], [30, "odd"]);
  await refused(change({ published: { name: "shown" } }), 400, {
    listRule: "validation_invalid_rule",
    viewRule: "validation_invalid_rule",
  });

  await admin.collections.update("posts", { name: "articles" });
  await refused(people.ann.collection("posts").getList(), 404);
  const { items } = await people.ann
    .collection("articles")
    .getList(1, 1, { filter: "reads = 21", expand: "comments_via_post.by" });
  assert.deepEqual(items[0].expand.comments_via_post.map((comment) => comment.expand.by.name).sort(), ["ann", "bob"]);
  await admin.collections.update("stats", {
    viewQuery: "SELECT articles.id, articles.reads FROM articles WHERE articles.reads > 20",
  });
  assert.deepEqual(pluck(await people.cyd.collection("stats").getFullList({ sort: "reads" }), "reads"), [21, 30, 50]);
  await refused(admin.collections.delete("tags"), 400);
});

test("who leaves takes along what is theirs", async () => {
  const { ann, bob } = people;
  const [, green] = pluck(await admin.collection("tags").getFullList({ sort: "name" }), "id");
  await admin.collection("tags").delete(green);
  const left = await admin.collection("articles").getFullList();
  assert.ok(left.every((article) => !article.tags.includes(green)));

  await bob.collection("users").delete(bob.id);

  assert.ok((await admin.collection("articles").getFullList()).every((article) => article.author === ann.id));
  assert.deepEqual(pluck(await admin.collection("comments").getFullList(), "by"), [ann.id]);
  await refused(bob.collection("users").authRefresh(), 401);
  const password = { password: "another secret", passwordConfirm: "another secret" };
  await refused(ann.collection("users").update(ann.id, password), 400, { oldPassword: "validation_required" });
  await ann.collection("users").update(ann.id, { ...password, oldPassword: PASSWORD });
  await refused(ann.collection("users").authRefresh(), 401);
  await ann.collection("users").authWithPassword("ann@example.com", "another secret");

  await admin.collections.delete("stats");
  await admin.collections.delete("comments");
  await admin.collections.truncate("articles");
  await eventually("everything is gone", async () => (await admin.collection("articles").getFullList()).length === 0);
  await admin.collections.delete("articles");
  await admin.collections.delete("tags");
});
