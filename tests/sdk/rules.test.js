import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, pluck, refused } from "./support.js";
import { bool, number, relation, select, text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const users = await admin.collections.getOne("users");
const [ann, bob] = await world.people("ann", "bob");
const guest = world.guest();

const mine = "owner = @request.auth.id";

test("without a rule only superusers get in, and everyone else is told 403", async () => {
  await world.collection("locked", [text("a")]);
  const { id } = await admin.collection("locked").create({ a: "x" });

  for (const visitor of [guest, ann]) {
    const locked = visitor.collection("locked");
    await refused(locked.getList(), 403);
    await refused(locked.getOne(id), 403);
    await refused(locked.create({ a: "y" }), 403);
    await refused(locked.update(id, { a: "y" }), 403);
    await refused(locked.delete(id), 403);
  }
  assert.equal((await admin.collection("locked").getOne(id)).a, "x");
});

test("an empty rule lets everyone in", async () => {
  await world.collection("open", [text("a")], everyone);
  const open = guest.collection("open");

  const { id } = await open.create({ a: "x" });
  await open.update(id, { a: "y" });

  assert.equal((await open.getList()).totalItems, 1);
  assert.equal(await open.delete(id), true);
});

test("owners see and change their own records; to others these do not exist", async () => {
  await world.collection("diaries", [text("entry"), relation("owner", users)], {
    listRule: mine,
    viewRule: mine,
    createRule: "@request.auth.id != '' && owner = @request.auth.id",
    updateRule: mine,
    deleteRule: mine,
  });
  const entry = await ann.collection("diaries").create({ entry: "dear diary", owner: ann.id });

  assert.deepEqual(pluck((await ann.collection("diaries").getList()).items, "id"), [entry.id]);
  for (const visitor of [guest, bob]) {
    const diaries = visitor.collection("diaries");
    assert.equal((await diaries.getList()).totalItems, 0);
    await refused(diaries.getOne(entry.id), 404);
    await refused(diaries.update(entry.id, { entry: "scribble" }), 404);
    await refused(diaries.delete(entry.id), 404);
    await refused(diaries.create({ entry: "forged", owner: ann.id }), 400, {});
  }
  assert.equal((await ann.collection("diaries").update(entry.id, { entry: "changed" })).entry, "changed");
  assert.equal(await ann.collection("diaries").delete(entry.id), true);
});

test("a client's filter narrows the rule and never widens it", async () => {
  await world.collection("papers", [text("title"), bool("public")], { ...everyone, listRule: "public = true" });
  await admin.collection("papers").create({ title: "shown", public: true });
  await admin.collection("papers").create({ title: "hidden", public: false });

  const all = await guest.collection("papers").getFullList({ filter: "public = false || public = true" });

  assert.deepEqual(pluck(all, "title"), ["shown"]);
});

test("an update is judged by the stored record; what is sent is in @request.body", async () => {
  await world.collection("tasks", [text("title"), select("state", { values: ["open", "done"] })], {
    ...everyone,
    updateRule: "state = 'open' && @request.body.title:isset = false",
  });
  const tasks = guest.collection("tasks");
  const { id } = await tasks.create({ title: "t", state: "open" });

  await refused(tasks.update(id, { title: "renamed" }), 404);
  assert.equal((await tasks.update(id, { state: "done" })).state, "done");
  await refused(tasks.update(id, { state: "open" }), 404);
});

test("a field may be frozen with :changed", async () => {
  await world.collection("cards", [text("serial"), text("note")], {
    ...everyone,
    updateRule: "@request.body.serial:changed = false",
  });
  const cards = guest.collection("cards");
  const { id } = await cards.create({ serial: "s1", note: "" });

  assert.equal((await cards.update(id, { serial: "s1", note: "same serial" })).note, "same serial");
  await refused(cards.update(id, { serial: "s2" }), 404);
});

test("a create rule reads the values that are about to be stored", async () => {
  await world.collection("bids", [number("amount")], { ...everyone, createRule: "amount > 0 && amount <= 100" });
  const bids = guest.collection("bids");

  assert.equal((await bids.create({ amount: 50 })).amount, 50);
  await refused(bids.create({ amount: 500 }), 400, {});
  await refused(bids.create({}), 400, {});
});

test("membership of a team opens its records, through relations in both directions", async () => {
  const teams = await world.collection("teams", [text("name"), relation("members", users, { maxSelect: 10 })], {
    ...everyone,
    viewRule: "members.id ?= @request.auth.id",
    listRule: "members.id ?= @request.auth.id",
  });
  await world.collection("files_of_team", [text("title"), relation("team", teams)], {
    ...everyone,
    listRule: "team.members.id ?= @request.auth.id",
    viewRule: "@request.auth.teams_via_members.id ?= team",
  });
  const team = await admin.collection("teams").create({ name: "blue", members: [ann.id] });
  const plan = await admin.collection("files_of_team").create({ title: "plan", team: team.id });

  assert.equal((await ann.collection("files_of_team").getList()).totalItems, 1);
  assert.equal((await ann.collection("files_of_team").getOne(plan.id)).title, "plan");
  assert.equal((await bob.collection("files_of_team").getList()).totalItems, 0);
  await refused(bob.collection("files_of_team").getOne(plan.id), 404);

  await admin.collection("teams").update(team.id, { "members+": bob.id });
  assert.equal((await bob.collection("files_of_team").getOne(plan.id)).title, "plan");
});

test("a rule may look into any other collection", async () => {
  await world.collection("bans", [relation("user", users)]);
  await world.collection("comments", [text("body")], {
    ...everyone,
    createRule: "@request.auth.id != '' && @collection.bans.user != @request.auth.id",
  });

  await ann.collection("comments").create({ body: "before any ban" });
  await admin.collection("bans").create({ user: bob.id });

  await refused(bob.collection("comments").create({ body: "banned" }), 400, {});
  assert.equal((await ann.collection("comments").create({ body: "still fine" })).body, "still fine");
});

test("headers and query parameters can be part of a rule", async () => {
  await world.collection("vault", [text("a")], {
    ...everyone,
    listRule: "@request.headers.x_key = 'sesame' || @request.query.key = 'sesame'",
  });
  await admin.collection("vault").create({ a: "gold" });
  const vault = guest.collection("vault");

  assert.equal((await vault.getList()).totalItems, 0);
  assert.equal((await vault.getList(1, 5, { headers: { "X-Key": "sesame" } })).totalItems, 1);
  assert.equal((await vault.getList(1, 5, { key: "sesame" })).totalItems, 1);
});

test("an expand obeys the view rule of what it shows", async () => {
  const accounts = await world.collection("accounts", [text("iban"), relation("owner", users)], {
    ...everyone,
    viewRule: mine,
  });
  await world.collection("transfers", [relation("account", accounts)], everyone);
  const account = await admin.collection("accounts").create({ iban: "XX00", owner: ann.id });
  const { id } = await admin.collection("transfers").create({ account: account.id });

  const seenByAnn = await ann.collection("transfers").getOne(id, { expand: "account" });
  const seenByBob = await bob.collection("transfers").getOne(id, { expand: "account" });

  assert.equal(seenByAnn.expand.account.iban, "XX00");
  assert.equal(seenByBob.account, account.id);
  assert.equal(seenByBob.expand?.account, undefined);
});

test("an address is shown to its owner, to superusers, and to all only if they wish", async () => {
  await admin.collections.update("users", { listRule: "", viewRule: "" });

  const byBob = await bob.collection("users").getOne(ann.id);
  const byAnn = await ann.collection("users").getOne(ann.id);
  const byRoot = await admin.collection("users").getOne(ann.id);
  assert.ok(!("email" in byBob));
  assert.equal(byAnn.email, ann.email);
  assert.equal(byRoot.email, ann.email);
  assert.equal((await bob.collection("users").getList(1, 1, { filter: `email = '${ann.email}'` })).totalItems, 0);

  await ann.collection("users").update(ann.id, { emailVisibility: true });
  assert.equal((await bob.collection("users").getOne(ann.id)).email, ann.email);
  assert.equal((await bob.collection("users").getList(1, 1, { filter: `email = '${ann.email}'` })).totalItems, 1);
});

test("managers of accounts may do what superusers may, within the update rule", async () => {
  await admin.collections.create({
    type: "auth",
    name: "staff",
    fields: [text("name"), bool("boss")],
    listRule: "",
    viewRule: "",
    updateRule: "@request.auth.boss = true || id = @request.auth.id",
    manageRule: "@request.auth.collectionName = 'staff' && @request.auth.boss = true",
  });
  const boss = await world.person("boss", "staff");
  const clerk = await world.person("clerk", "staff");
  await admin.collection("staff").update(boss.id, { boss: true });

  const managed = await boss.collection("staff").update(clerk.id, { email: "clerk.new@example.com", verified: false });
  assert.equal(managed.email, "clerk.new@example.com");
  assert.equal(managed.verified, false);
  await refused(clerk.collection("staff").update(boss.id, { name: "fired" }), 404);
});

test("a rule that does not parse cannot be saved", async () => {
  const error = await refused(
    world.collection("bad_rules", [text("a")], { listRule: "a = ", viewRule: "b = 1", createRule: "a ~~ 'x'" }),
    400,
    { listRule: "validation_invalid_rule", viewRule: "validation_invalid_rule", createRule: "validation_invalid_rule" },
  );

  assert.match(error.response.data.viewRule.message, /Invalid rule/);
});
