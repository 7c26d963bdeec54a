// Passkeys in a real browser with a virtual authenticator: made, used, named, taken away, and attacked.

import { after, test } from "node:test";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { PASSWORD, World, onlyBurrow, refused } from "./support.js";

const world = await World.open();
const { admin } = world;
const origin = world.url.replace("127.0.0.1", "localhost");
let browser;

if (!onlyBurrow.skip) {
  await admin.settings.update({ meta: { appURL: origin }, passkeys: { collections: ["users", "_superusers"] } });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
  });
  after(() => browser.close());
}

/** A device of somebody's: a page of ours in a browser that holds keys. */
async function device({ at = `${origin}/api/health`, verifies = true } = {}) {
  const page = await browser.newPage();
  await page.goto(at);
  const protocol = await page.context().newCDPSession(page);
  await protocol.send("WebAuthn.enable");
  const { authenticatorId } = await protocol.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: verifies,
      automaticPresenceSimulation: true,
    },
  });
  const ask = (kind) => (options) =>
    page.evaluate(
      async ([kind, options]) => {
        const read = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
        const write = (buffer) =>
          btoa(String.fromCharCode(...new Uint8Array(buffer)))
            .replaceAll("+", "-")
            .replaceAll("/", "_")
            .replaceAll("=", "");
        const given = structuredClone(options.publicKey);
        given.challenge = read(given.challenge);
        if (given.user) given.user.id = read(given.user.id);
        for (const list of ["excludeCredentials", "allowCredentials"]) {
          given[list] = (given[list] ?? []).map((known) => ({ ...known, id: read(known.id) }));
        }
        const made = await navigator.credentials[kind]({ publicKey: given });
        const response = { clientDataJSON: write(made.response.clientDataJSON) };
        for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
          if (made.response[part]) response[part] = write(made.response[part]);
        }
        return {
          id: made.id,
          rawId: write(made.rawId),
          type: made.type,
          response,
          clientExtensionResults: made.getClientExtensionResults(),
        };
      },
      [kind, options],
    );
  return {
    create: ask("create"),
    get: ask("get"),
    credentials: async () => (await protocol.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    setVerified: (isUserVerified) => protocol.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    clone: async (credential) => {
      await protocol.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
      await protocol.send("WebAuthn.addCredential", { authenticatorId, credential });
    },
  };
}

const send = (client, collection, what, body = {}) =>
  client.send(`/api/collections/${collection}/${what}`, { method: "POST", body });

async function addPasskey(person, phone, { collection = "users", name = "" } = {}) {
  const { challengeId, options } = await send(person, collection, "passkeys/setup");
  const credential = await phone.create(options);
  return send(person, collection, "passkeys/confirm", { challengeId, name, credential });
}

async function answer(phone, collection = "users") {
  const guest = world.guest();
  const { challengeId, options } = await send(guest, collection, "passkeys/challenge");
  return { challengeId, credential: await phone.get(options) };
}

async function signIn(phone, collection = "users", more = {}) {
  return send(world.guest(), collection, "auth-with-passkey", { ...(await answer(phone, collection)), ...more });
}

test("somebody makes a passkey, signs in with it, names it and takes it away", onlyBurrow, async () => {
  const ann = await world.person("ann");
  const phone = await device();

  const { id } = await addPasskey(ann, phone, { name: "Phone" });
  const { record, token } = await signIn(phone);

  assert.equal(record.id, ann.id);
  const again = world.guest();
  again.authStore.save(token, record);
  await again.collection("users").authRefresh();
  const [row] = await ann.collection("_passkeys").getFullList();
  assert.deepEqual([row.id, row.name], [id, "Phone"]);
  assert.ok(row.lastUsed);
  assert.ok(!("credential" in row) && !("credentialId" in row));

  await send(ann, "users", "passkeys/rename", { id, name: "Old phone" });
  assert.equal((await ann.collection("_passkeys").getOne(id)).name, "Old phone");
  await send(ann, "users", "passkeys/remove", { id });
  await refused(signIn(phone), 400, {});
});

test("a superuser signs in with a passkey", onlyBurrow, async () => {
  const phone = await device();
  await addPasskey(admin, phone, { collection: "_superusers" });
  const { record } = await signIn(phone, "_superusers");
  assert.equal(record.id, admin.authStore.record.id);
  // Not to another collection.
  await refused(signIn(phone, "users"), 400, {});
});

test("an answer is good once, for its own challenge, and unchanged", onlyBurrow, async () => {
  const bob = await world.person("bob");
  const phone = await device();
  await addPasskey(bob, phone);
  const enter = (body) => send(world.guest(), "users", "auth-with-passkey", body);

  const first = await answer(phone);
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => enter(first)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);

  const second = await answer(phone);
  const third = await answer(phone);
  await refused(enter({ ...second, challengeId: third.challengeId }), 400, {});
  // Both are used up by that.
  await refused(enter(third), 400, {});
  await refused(enter({ ...second, challengeId: "x".repeat(30) }), 400, {});
  for (const part of ["signature", "authenticatorData", "clientDataJSON", "userHandle"]) {
    const changed = await answer(phone);
    const bytes = Buffer.from(changed.credential.response[part], "base64url");
    bytes[bytes.length - 2] ^= 1;
    changed.credential.response[part] = bytes.toString("base64url");
    await refused(enter(changed), 400);
  }
  for (const credential of [null, {}, { id: "x" }]) {
    const { challengeId } = await send(world.guest(), "users", "passkeys/challenge");
    await refused(enter({ challengeId, credential }), 400, {});
  }
  assert.ok((await enter(await answer(phone))).token);
});

test("a page elsewhere gets nothing that is good here", onlyBurrow, async () => {
  const cyn = await world.person("cyn");
  // The same machine, another name of the same site.
  const phone = await device({ at: `${origin.replace("localhost", "evil.localhost")}/api/health` });
  const { challengeId, options } = await send(cyn, "users", "passkeys/setup");
  const credential = await phone.create({ publicKey: { ...options.publicKey, rp: { ...options.publicKey.rp, id: undefined } } });
  await refused(send(cyn, "users", "passkeys/confirm", { challengeId, credential }), 400, {});
});

test("a device that has not verified the person opens nothing", onlyBurrow, async () => {
  const dan = await world.person("dan");
  const phone = await device();
  await addPasskey(dan, phone);
  const { challengeId, options } = await send(world.guest(), "users", "passkeys/challenge");
  await phone.setVerified(false);
  options.publicKey.userVerification = "discouraged";
  const credential = await phone.get(options);
  await refused(send(world.guest(), "users", "auth-with-passkey", { challengeId, credential }), 400, {});
});

test("a copied key is noticed by its counter", onlyBurrow, async () => {
  const eve = await world.person("eve");
  const phone = await device();
  await addPasskey(eve, phone);
  const [copy] = await phone.credentials();
  await signIn(phone);
  await signIn(phone);
  await phone.clone(copy);
  await refused(signIn(phone), 400, {});
});

test("setting up takes a sign-in of now, and belongs to who began", onlyBurrow, async () => {
  const fay = await world.person("fay");
  const gus = await world.person("gus");
  const phone = await device();
  const { challengeId, options } = await send(fay, "users", "passkeys/setup");
  const credential = await phone.create(options);
  await refused(send(gus, "users", "passkeys/confirm", { challengeId, credential }), 400, {});
  await refused(send(fay, "users", "passkeys/confirm", { challengeId, credential }), 400, {});

  await fay.collection("users").authRefresh();
  await refused(send(fay, "users", "passkeys/setup"), 403);
  await refused(send(fay, "users", "passkeys/setup", { password: "wrong" }), 403);
  await send(fay, "users", "passkeys/setup", { password: PASSWORD });
  await refused(send(world.guest(), "users", "passkeys/setup"), 401);

  await addPasskey(gus, phone);
  const [row] = await gus.collection("_passkeys").getFullList();
  await refused(send(fay, "users", "passkeys/remove", { id: row.id, password: PASSWORD }), 404);
  await refused(send(fay, "users", "passkeys/rename", { id: row.id, name: "mine" }), 404);
  await refused(gus.collection("_passkeys").delete(row.id), 403);
  await refused(gus.collection("_passkeys").update(row.id, { recordRef: fay.id }), 403);
});

test("where passkeys are off there are none", onlyBurrow, async () => {
  await admin.collections.create({ type: "auth", name: "others", fields: [] });
  await refused(send(world.guest(), "others", "passkeys/challenge"), 403);
  await refused(send(world.guest(), "others", "auth-with-passkey"), 403);
});
