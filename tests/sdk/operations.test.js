import { test } from "node:test";
import assert from "node:assert/strict";
import { World, eventually, inDirectory, pluck, refused } from "./support.js";
import { text } from "./fields.js";

const world = await World.open();
const { admin } = world;

test("health is public, and tells superusers more", async () => {
  const forGuest = await world.guest().health.check();
  const forRoot = await admin.health.check();

  assert.equal(forGuest.code, 200);
  assert.equal(forGuest.message, "API is healthy.");
  assert.deepEqual(forGuest.data, {});
  assert.equal(forRoot.data.canBackup, true);
  assert.match(forRoot.data.realIP, /127\.0\.0\.1$/);
});

test("settings are read and changed in part", async () => {
  const before = await admin.settings.getAll();

  const after = await admin.settings.update({ meta: { appName: "Burrow Books" }, logs: { maxDays: 7 } });

  assert.equal(after.meta.appName, "Burrow Books");
  assert.equal(after.meta.senderAddress, before.meta.senderAddress);
  assert.equal(after.logs.maxDays, 7);
  assert.deepEqual(after.smtp, before.smtp);
  assert.deepEqual((await admin.settings.getAll()).meta, after.meta);
});

test("secrets go in and never come out", async () => {
  const after = await admin.settings.update({ smtp: { username: "mailer", password: "hush" } });

  assert.equal(after.smtp.username, "mailer");
  assert.ok(!("password" in after.smtp));
  assert.ok(!JSON.stringify(await admin.settings.getAll()).includes("hush"));
});

test("wrong settings are refused per field and not stored", async () => {
  await refused(admin.settings.update({ meta: { appName: "", senderAddress: "nobody" } }), 400, {
    meta: { appName: "validation_required", senderAddress: "validation_is_email" },
  });
  await refused(admin.settings.update({ backups: { cron: "not a cron" } }), 400, {
    backups: { cron: "validation_invalid_cron" },
  });

  assert.notEqual((await admin.settings.getAll()).meta.appName, "");
});

test("settings, logs and crons are for superusers", async () => {
  const ann = await world.person("ann");

  for (const [visitor, status] of [
    [world.guest(), 401],
    [ann, 403],
  ]) {
    await refused(visitor.settings.getAll(), status);
    await refused(visitor.settings.update({ meta: { appName: "Mine" } }), status);
    await refused(visitor.logs.getList(), status);
    await refused(visitor.logs.getStats(), status);
    await refused(visitor.crons.getFullList(), status);
    await refused(visitor.backups.getFullList(), status);
  }
});

test("requests are logged, found by filter and counted", async () => {
  await world.collection("watched", [text("a")], { listRule: "" });
  await world.guest().collection("watched").getList(1, 3);
  await refused(world.guest().collection("watched").create({ a: "x" }), 403);

  const success = await eventually("the read request is in the log", () =>
    admin.logs
      .getList(1, 1, { filter: "data.url ~ '/api/collections/watched/records?page=1' && data.method = 'GET'" })
      .then((page) => page.items[0]),
  );
  const failure = await eventually("the refused request is in the log", () =>
    admin.logs.getList(1, 1, { filter: "data.status = 403 && data.method = 'POST'" }).then((page) => page.items[0]),
  );

  assert.equal(success.level, 0);
  assert.equal(success.data.type, "request");
  assert.equal(success.data.status, 200);
  assert.equal(success.data.auth, "");
  assert.ok(success.data.execTime >= 0);
  assert.match(success.message, /^GET \/api\/collections\/watched\/records/);
  assert.equal(failure.level, 8);
  assert.deepEqual(await admin.logs.getOne(success.id), success);
  const stats = await admin.logs.getStats({ filter: "data.status = 403" });
  assert.equal(stats.length >= 1, true);
  assert.match(stats[0].date, /^\d{4}-\d\d-\d\d \d\d:00:00\.000Z$/);
  assert.ok(stats[0].total >= 1);
  await refused(admin.logs.getOne("missing00000000"), 404);
  await refused(admin.logs.getList(1, 1, { filter: "no_such = 1" }), 400);
});

test("the server's own jobs are listed and can be started", async () => {
  const jobs = await admin.crons.getFullList();

  assert.ok(pluck(jobs, "id").includes("__pbLogsCleanup__"));
  assert.ok(jobs.every((job) => job.expression.split(" ").length === 5 || job.expression.startsWith("@")));
  assert.equal(await admin.crons.run("__pbLogsCleanup__"), true);
  await refused(admin.crons.run("no_such_job"), 404);
});

test("a backup is made, listed, downloaded and deleted", inDirectory, async () => {
  await admin.backups.create("first_backup.zip");

  const [backup] = await admin.backups.getFullList();
  assert.equal(backup.key, "first_backup.zip");
  assert.ok(backup.size > 0);
  const token = await admin.files.getToken();
  const download = await fetch(admin.backups.getDownloadURL(token, backup.key));
  assert.equal(download.status, 200);
  const bytes = Buffer.from(await download.arrayBuffer());
  assert.equal(bytes.length, backup.size);
  assert.equal(bytes.subarray(0, 2).toString(), "PK");

  await admin.backups.delete(backup.key);
  assert.deepEqual(await admin.backups.getFullList(), []);
  await refused(admin.backups.create("Not A Name"), 400, { name: "validation_match_invalid" });
});

test("unknown paths are 404 with the usual envelope", async () => {
  const get = await fetch(`${world.url}/api/nothing`);
  const post = await fetch(`${world.url}/api/nothing`, { method: "POST" });

  assert.equal(get.status, 404);
  assert.equal(post.status, 404);
  assert.deepEqual(await post.json(), { data: {}, message: "The requested resource wasn't found.", status: 404 });
});

test("browsers of any origin may call the API", async () => {
  const preflight = await fetch(`${world.url}/api/collections/users/records`, {
    method: "OPTIONS",
    headers: {
      Origin: "https://app.example.com",
      "Access-Control-Request-Method": "PATCH",
      "Access-Control-Request-Headers": "authorization,content-type",
    },
  });

  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.match(preflight.headers.get("access-control-allow-methods"), /PATCH/);
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization,content-type");
});

test("data and accounts outlive a restart", async () => {
  await world.collection("lasting", [text("a")], { listRule: "", viewRule: "" });
  const { id } = await admin.collection("lasting").create({ a: "still here" });

  await world.server.halt();
  await world.server.launch();

  assert.equal((await world.guest().collection("lasting").getOne(id)).a, "still here");
  const { record } = await admin.collection("_superusers").authRefresh();
  assert.equal(record.email, "root@example.com");
});
