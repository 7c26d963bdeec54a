// One-time passwords and second factors. No mail is needed: superusers get their codes from the command line, and may
// make one for anybody else through the API.

import { test } from "node:test";
import assert from "node:assert/strict";
import { PASSWORD, World, refused } from "./support.js";
import { text } from "./fields.js";

const world = await World.open();
const { admin } = world;

/** An auth collection with codes switched on. */
function codeCollection(name, options = {}) {
  return admin.collections.create({ type: "auth", name, fields: [text("name")], otp: { enabled: true }, ...options });
}

/** A code as the mail would bring it: `{id, password}`. */
async function codeFor(person) {
  const { collectionId: collectionRef, id: recordRef } = person.authStore.record;
  const { id } = await admin.collection("_otps").create({ collectionRef, recordRef, password: "246810" });
  return { id, password: "246810" };
}

test("somebody signs in with a code, once", async () => {
  await codeCollection("friends");
  const ann = await world.person("ann", "friends");
  const code = await codeFor(ann);
  const device = world.guest().collection("friends");

  const { record, token } = await device.authWithOTP(code.id, code.password);

  assert.equal(record.id, ann.id);
  assert.equal(record.email, ann.email);
  assert.ok(token);
  await refused(device.authWithOTP(code.id, code.password), 400, {});
});

test("a wrong code, and a code of another collection, open nothing", async () => {
  await codeCollection("reds");
  await codeCollection("blues");
  const code = await codeFor(await world.person("rita", "reds"));
  const guest = world.guest();

  await refused(guest.collection("reds").authWithOTP(code.id, "135790"), 400, {});
  await refused(guest.collection("reds").authWithOTP("missing00000000", code.password), 400, {});
  await refused(guest.collection("blues").authWithOTP(code.id, code.password), 400, {});
  await refused(guest.collection("reds").authWithOTP("", ""), 400, {
    otpId: "validation_required",
    password: "validation_required",
  });
});

test("asking for a code does not tell whether an address is known", async () => {
  await codeCollection("quiet");

  const { otpId } = await world.guest().collection("quiet").requestOTP("nobody@example.com");

  assert.match(otpId, /^[a-z0-9]{15}$/);
  await refused(world.guest().collection("quiet").requestOTP("no address"), 400, { email: "validation_is_email" });
});

test("where codes are switched off they are refused with 403", async () => {
  await admin.collections.create({ type: "auth", name: "plain" });

  await refused(world.guest().collection("plain").requestOTP("ann@example.com"), 403);
  await refused(world.guest().collection("plain").authWithOTP("missing00000000", "123456"), 403);
});

test("who must bring two factors is not let in with one, or with the same one twice", async () => {
  await codeCollection("bank", { mfa: { enabled: true, rule: "name = 'carl'" } });
  const guest = world.guest();
  const bank = guest.collection("bank");
  const person = { password: PASSWORD, passwordConfirm: PASSWORD };
  const carl = await admin.collection("bank").create({ ...person, email: "carl@example.com", name: "carl" });
  await admin.collection("bank").create({ ...person, email: "free@example.com", name: "free" });

  const { response } = await refused(bank.authWithPassword(carl.email, PASSWORD), 401);
  assert.deepEqual(Object.keys(response), ["mfaId"]);
  assert.equal(guest.authStore.isValid, false);
  await refused(bank.authWithPassword(carl.email, PASSWORD, response), 400);
  const asCarl = await admin.collection("bank").impersonate(carl.id, 60);
  const code = await codeFor(asCarl);
  const { record } = await bank.authWithOTP(code.id, code.password, response);
  assert.equal(record.id, carl.id);

  const later = await codeFor(asCarl);
  await refused(bank.authWithOTP(later.id, later.password, response), 400);
  const free = await bank.authWithPassword("free@example.com", PASSWORD);
  assert.equal(free.record.name, "free", "the rule names Carl only");
});

test("two factors need two ways to sign in", async () => {
  await admin.collections.create({ type: "auth", name: "single" });

  await refused(admin.collections.update("single", { mfa: { enabled: true } }), 400, {
    mfa: { enabled: "validation_mfa_not_enough_auths" },
  });
});

test("codes for superusers come from the command line, and always as a second factor", async () => {
  const email = "otto@example.com";
  await admin.collection("_superusers").create({ email, password: PASSWORD, passwordConfirm: PASSWORD });
  const changed = await admin.collections.update("_superusers", { otp: { enabled: true, length: 6 } });
  assert.equal(changed.mfa.enabled, true, "codes alone would be too weak");
  const otto = world.guest();

  const { response } = await refused(otto.collection("_superusers").authWithPassword(email, PASSWORD), 401);
  const { stdout } = await world.server.cli("superuser", "otp", email);
  const [, id] = /Id:\s+(\S+)/.exec(stdout);
  const [, password] = /Pass:\s+(\S+)/.exec(stdout);
  const { record } = await otto.collection("_superusers").authWithOTP(id, password, response);

  assert.match(password, /^\d{6}$/);
  assert.equal(record.email, email);
  assert.equal(otto.authStore.isSuperuser, true);
  await refused(admin.collections.update("_superusers", { otp: { enabled: false } }), 400, {
    mfa: { enabled: "validation_mfa_not_enough_auths" },
  });
  const off = await admin.collections.update("_superusers", { otp: { enabled: false }, mfa: { enabled: false } });
  assert.equal(off.mfa.enabled, false);
});
