import { test } from "node:test";
import assert from "node:assert/strict";
import { getTokenPayload, isTokenExpired } from "pocketbase";
import { PASSWORD, SUPERUSER, World, refused } from "./support.js";

const world = await World.open();
const { admin } = world;

test("a visitor signs up, signs in and is remembered by the auth store", async () => {
  const ann = world.guest();
  const account = await ann.collection("users").create({
    email: "ann.signup@example.com",
    name: "Ann",
    password: PASSWORD,
    passwordConfirm: PASSWORD,
  });
  assert.equal(account.name, "Ann");
  assert.equal(account.verified, false);
  assert.equal(account.emailVisibility, false);
  assert.ok(!("email" in account), "the address is not shown to the guest who made the account");
  assert.ok(!("password" in account));
  assert.ok(!("tokenKey" in account));

  const answer = await ann.collection("users").authWithPassword("ann.signup@example.com", PASSWORD);

  assert.equal(answer.record.id, account.id);
  assert.equal(answer.record.email, "ann.signup@example.com");
  assert.equal(ann.authStore.isValid, true);
  assert.equal(ann.authStore.isSuperuser, false);
  assert.equal(ann.authStore.token, answer.token);
  assert.equal(ann.authStore.record.id, account.id);
  const claims = getTokenPayload(answer.token);
  assert.equal(claims.type, "auth");
  assert.equal(claims.id, account.id);
  assert.equal(claims.collectionId, account.collectionId);
  assert.equal(claims.refreshable, true);
  assert.ok(claims.exp * 1000 > Date.now());
});

test("a wrong password and an unknown address fail in the same way", async () => {
  await world.person("bob.wrong");
  const stranger = world.guest();

  const wrong = await refused(
    stranger.collection("users").authWithPassword("bob.wrong@example.com", "not this one"),
    400,
    {},
  );
  const unknown = await refused(
    stranger.collection("users").authWithPassword("nobody@example.com", "not this one"),
    400,
    {},
  );

  assert.equal(wrong.message, "Failed to authenticate.");
  assert.equal(unknown.message, wrong.message);
  assert.equal(stranger.authStore.isValid, false);
});

test("an empty sign-in form names the missing fields", async () => {
  await refused(world.guest().collection("users").authWithPassword("", ""), 400, {
    identity: "validation_required",
    password: "validation_required",
  });
});

test("sign-up explains what is wrong with the form", async () => {
  const users = world.guest().collection("users");

  await refused(users.create({ email: "x@example.com", password: PASSWORD, passwordConfirm: "different" }), 400, {
    passwordConfirm: "validation_values_mismatch",
  });
  await refused(users.create({ email: "no address", password: PASSWORD, passwordConfirm: PASSWORD }), 400, {
    email: "validation_is_email",
  });
  await refused(users.create({ email: "x@example.com", password: "short", passwordConfirm: "short" }), 400, {
    password: "validation_min_text_constraint",
  });
});

test("an address can be taken only once", async () => {
  await world.person("taken");

  await refused(
    world
      .guest()
      .collection("users")
      .create({ email: "taken@example.com", password: PASSWORD, passwordConfirm: PASSWORD }),
    400,
    { email: "validation_not_unique" },
  );
});

test("a visitor cannot declare themselves verified", async () => {
  await refused(
    world.guest().collection("users").create({
      email: "self@example.com",
      password: PASSWORD,
      passwordConfirm: PASSWORD,
      verified: true,
    }),
    400,
    { verified: "validation_values_mismatch" },
  );
});

test("refresh gives a new valid token for the same account", async () => {
  const ann = await world.person("ann.refresh");
  const before = ann.authStore.token;

  const answer = await ann.collection("users").authRefresh();

  assert.equal(answer.record.id, ann.id);
  assert.equal(answer.record.email, ann.email);
  assert.equal(ann.authStore.token, answer.token);
  assert.ok(getTokenPayload(answer.token).exp >= getTokenPayload(before).exp);
});

test("refresh without a token is 401, with a token of another collection 403", async () => {
  await refused(world.guest().collection("users").authRefresh(), 401);
  await refused(admin.collection("users").authRefresh(), 403);
});

test("signing out is local: the store is empty and the next request is a guest's", async () => {
  const ann = await world.person("ann.leaves");
  const seen = [];
  const stopListening = ann.authStore.onChange((token, record) => seen.push([token, record]));

  ann.authStore.clear();
  stopListening();

  assert.equal(ann.authStore.isValid, false);
  assert.equal(ann.authStore.record, null);
  assert.deepEqual(seen, [["", null]]);
  await refused(ann.collection("users").getOne(ann.id), 404);
});

test("a broken token is no error, it only makes a guest", async () => {
  const ann = await world.person("ann.broken");
  ann.authStore.save("not.a.token", ann.authStore.record);

  const { items } = await ann.collection("users").getList();

  assert.deepEqual(items, []);
});

test("the store survives the round trip through a cookie", async () => {
  const ann = await world.person("ann.cookie");
  const cookie = ann.authStore.exportToCookie({ secure: false });
  const sameAnnLater = world.guest();

  sameAnnLater.authStore.loadFromCookie(cookie);

  assert.equal(sameAnnLater.authStore.record.id, ann.id);
  const me = await sameAnnLater.collection("users").getOne(ann.id);
  assert.equal(me.email, ann.email);
});

test("changing the password needs the old one and ends all other sessions", async () => {
  const ann = await world.person("ann.newpass");
  const users = ann.collection("users");
  const change = { password: "another secret", passwordConfirm: "another secret" };

  await refused(users.update(ann.id, change), 400, { oldPassword: "validation_required" });
  await refused(users.update(ann.id, { ...change, oldPassword: "wrong one" }), 400, {
    oldPassword: "validation_invalid_old_password",
  });
  await users.update(ann.id, { ...change, oldPassword: PASSWORD });

  await refused(users.authRefresh(), 401);
  await refused(users.authWithPassword(ann.email, PASSWORD), 400);
  await users.authWithPassword(ann.email, "another secret");
  assert.equal(ann.authStore.isValid, true);
});

test("an owner can neither change their address nor verify it by an update", async () => {
  const ann = await world.person("ann.address");

  await refused(ann.collection("users").update(ann.id, { email: "other@example.com" }), 400, {
    email: "validation_values_mismatch",
  });
  await refused(ann.collection("users").update(ann.id, { verified: false }), 400, {
    verified: "validation_values_mismatch",
  });
  const unchanged = await ann.collection("users").update(ann.id, { email: ann.email, verified: true, name: "Ann B." });
  assert.equal(unchanged.name, "Ann B.");
});

test("a superuser may set address and password of anyone directly", async () => {
  const bob = await world.person("bob.managed");

  await admin.collection("users").update(bob.id, {
    email: "bob.moved@example.com",
    password: "given secret",
    passwordConfirm: "given secret",
  });

  const answer = await bob.collection("users").authWithPassword("bob.moved@example.com", "given secret");
  assert.equal(answer.record.id, bob.id);
});

test("a superuser impersonates a user with a token that cannot be renewed", async () => {
  const bob = await world.person("bob.impersonated");

  const asBob = await admin.collection("users").impersonate(bob.id, 600);

  assert.equal(asBob.authStore.record.id, bob.id);
  assert.equal(asBob.authStore.isValid, true);
  assert.equal(admin.authStore.isSuperuser, true, "the superuser stays signed in");
  const claims = getTokenPayload(asBob.authStore.token);
  assert.equal(claims.refreshable, false);
  assert.ok(claims.exp * 1000 <= Date.now() + 601_000);
  const me = await asBob.collection("users").getOne(bob.id);
  assert.equal(me.email, bob.email);
  const again = await asBob.collection("users").authRefresh();
  assert.equal(getTokenPayload(again.token).exp, claims.exp);
});

test("only superusers may impersonate", async () => {
  const [ann, bob] = await world.people("ann.imp", "bob.imp");

  await refused(ann.collection("users").impersonate(bob.id, 60), 403);
  await refused(world.guest().collection("users").impersonate(bob.id, 60), 401);
  await refused(admin.collection("users").impersonate("missing00000000", 60), 404);
  await refused(admin.collection("users").impersonate(bob.id, -1), 400, {
    duration: "validation_min_greater_equal_than_required",
  });
});

test("a superuser signs in and the store knows it", async () => {
  const root = world.guest();

  const { record } = await root.collection("_superusers").authWithPassword(SUPERUSER.email, SUPERUSER.password);

  assert.equal(record.collectionName, "_superusers");
  assert.equal(root.authStore.isSuperuser, true);
  assert.equal(isTokenExpired(root.authStore.token), false);
});

test("the ways to sign in are listed", async () => {
  const methods = await world.guest().collection("users").listAuthMethods();

  assert.deepEqual(methods.password, { enabled: true, identityFields: ["email"] });
  assert.deepEqual(methods.oauth2, { enabled: false, providers: [] });
  assert.deepEqual(methods.otp, { enabled: false, duration: 0 });
  assert.deepEqual(methods.mfa, { enabled: false, duration: 0 });
});

test("a collection may ask more of those who sign in", async () => {
  await admin.collections.create({
    type: "auth",
    name: "members",
    authRule: "verified = true",
    createRule: "",
    listRule: "id = @request.auth.id",
    viewRule: "id = @request.auth.id",
  });
  const eve = world.guest();
  const account = await eve
    .collection("members")
    .create({ email: "eve@example.com", password: PASSWORD, passwordConfirm: PASSWORD });

  await refused(eve.collection("members").authWithPassword("eve@example.com", PASSWORD), 403);
  await admin.collection("members").update(account.id, { verified: true });
  const { record } = await eve.collection("members").authWithPassword("eve@example.com", PASSWORD);

  assert.equal(record.id, account.id);
});

test("people may sign in by a name of their choice when the collection says so", async () => {
  await admin.collections.create({
    type: "auth",
    name: "players",
    createRule: "",
    fields: [{ type: "text", name: "nick", required: true }],
    indexes: ["CREATE UNIQUE INDEX `idx_nick` ON `players` (`nick` COLLATE NOCASE)"],
    passwordAuth: { enabled: true, identityFields: ["nick", "email"] },
  });
  const kim = world.guest();
  await kim.collection("players").create({
    nick: "Kim",
    email: "kim@example.com",
    password: PASSWORD,
    passwordConfirm: PASSWORD,
  });

  const byNick = await kim.collection("players").authWithPassword("kIM", PASSWORD);
  const byEmail = await kim.collection("players").authWithPassword("kim@example.com", PASSWORD);

  assert.equal(byNick.record.id, byEmail.record.id);
});

test("a deleted account is a guest from then on", async () => {
  const ann = await world.person("ann.deleted");

  await ann.collection("users").delete(ann.id);

  assert.equal(ann.authStore.isValid, false, "the SDK signs out whoever deletes themselves");
  await refused(ann.collection("users").authWithPassword(ann.email, PASSWORD), 400);
});

test("mails for verification and password reset are promised to anyone", async () => {
  const guest = world.guest();

  assert.equal(await guest.collection("users").requestPasswordReset("nobody@example.com"), true);
  assert.equal(await guest.collection("users").requestVerification("nobody@example.com"), true);
  await refused(guest.collection("users").confirmVerification("nonsense"), 400, {
    token: "validation_invalid_token_claims",
  });
  await refused(guest.collection("users").confirmPasswordReset("nonsense", PASSWORD, PASSWORD), 400, {
    token: "validation_invalid_token",
  });
});
