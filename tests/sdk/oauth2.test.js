// Sign-in by OAuth2 through a real OpenID provider: the manual code flow, and the one over realtime.

import { test } from "node:test";
import assert from "node:assert/strict";
import { PASSWORD, World, everyone, refused } from "./support.js";
import { browse, openProvider } from "./provider.js";
import { text } from "./fields.js";

const world = await World.open();
const { admin } = world;
const provider = await openProvider({
  ann: { name: "Ann", preferred_username: "ann_w", email: "ann@example.com", email_verified: true },
  bob: { name: "Bob", email: "bob@example.com", email_verified: true },
  eve: { name: "Eve", email: "owner@example.com", email_verified: false },
  fay: { name: "Fay", email: "fay@example.com", email_verified: true },
  gus: { name: "Gus", email: "gus@example.com", email_verified: true },
});
const callback = `${world.url}/api/oauth2-redirect`;

function members(name, config = {}, options = {}) {
  return admin.collections.create({
    type: "auth",
    name,
    fields: [text("name")],
    ...everyone,
    oauth2: { enabled: true, mappedFields: { name: "name" }, providers: [provider.config(config)] },
    ...options,
  });
}

/** Goes to the provider as `visitor` and gives what is needed to sign in. */
async function fetchCode(client, collection, visitor) {
  provider.visitor = visitor;
  const methods = await client.collection(collection).listAuthMethods();
  const [offer] = methods.oauth2.providers;
  const back = await browse(offer.authURL + encodeURIComponent(callback), (url) => url.href.startsWith(callback));
  assert.equal(back.searchParams.get("state"), offer.state);
  return { code: back.searchParams.get("code"), offer };
}

async function signIn(client, collection, visitor, createData) {
  const { code, offer } = await fetchCode(client, collection, visitor);
  return client.collection(collection).authWithOAuth2Code(offer.name, code, offer.codeVerifier, callback, createData);
}

for (const [what, config] of [
  ["asked at the userinfo endpoint", { userinfo: true }],
  ["told by a signed statement", { userinfo: false, name: "oidc2" }],
]) {
  test(`a person ${what} gets an account, and the same one again`, async () => {
    const collection = config.userinfo ? "asked" : "told";
    await members(collection, config);
    const ann = world.guest();

    const first = await signIn(ann, collection, "ann", { emailVisibility: true });
    const second = await signIn(world.guest(), collection, "ann");

    assert.equal(first.record.email, "ann@example.com");
    assert.equal(first.record.verified, true);
    assert.equal(first.meta.isNew, true);
    assert.equal(first.meta.id, "ann");
    assert.equal(first.record.name, "Ann");
    assert.ok(first.meta.accessToken);
    assert.equal(second.record.id, first.record.id);
    assert.equal(second.meta.isNew, false);
    const links = await ann.collection("_externalAuths").getFullList();
    assert.deepEqual(
      links.map((link) => [link.provider, link.providerId, link.recordRef]),
      [[config.name ?? "oidc", "ann", first.record.id]],
    );
  });
}

test("a code is good once, and only with its verifier", async () => {
  await members("careful");
  const guest = world.guest();
  const stolen = await fetchCode(guest, "careful", "ann");
  await refused(
    guest.collection("careful").authWithOAuth2Code("oidc", stolen.code, "x".repeat(43), callback),
    400,
    {},
  );
  const { code, offer } = await fetchCode(guest, "careful", "ann");

  await guest.collection("careful").authWithOAuth2Code("oidc", code, offer.codeVerifier, callback);

  await refused(
    world.guest().collection("careful").authWithOAuth2Code("oidc", code, offer.codeVerifier, callback),
    400,
    {},
  );
});

test("a statement of another issuer opens nothing", async () => {
  const config = provider.config({ userinfo: false });
  config.extra.issuers = ["https://somebody.else.example.com"];
  await members("strict", config);
  await refused(signIn(world.guest(), "strict", "ann"), 400, {});
  assert.equal((await admin.collection("strict").getFullList()).length, 0);
});

test("an address that the provider has not proven opens nobody's account", async () => {
  await members("wary");
  const owner = await admin.collection("wary").create({
    email: "owner@example.com",
    password: PASSWORD,
    passwordConfirm: PASSWORD,
    verified: true,
  });

  const { record } = await signIn(world.guest(), "wary", "eve", { email: "eve@example.com" });

  assert.notEqual(record.id, owner.id);
  assert.equal(record.verified, false);
});

test("whoever registered an address without proving it is out once its owner comes", async () => {
  await members("homes");
  const mal = world.guest();
  const registered = await mal
    .collection("homes")
    .create({ email: "bob@example.com", password: PASSWORD, passwordConfirm: PASSWORD });
  await mal.collection("homes").authWithPassword("bob@example.com", PASSWORD);

  const { record } = await signIn(world.guest(), "homes", "bob");

  assert.equal(record.id, registered.id);
  assert.equal(record.verified, true);
  await refused(mal.collection("homes").authRefresh(), 401);
  await refused(world.guest().collection("homes").authWithPassword("bob@example.com", PASSWORD), 400, {});
});

test("somebody signed in links a provider of another address", async () => {
  await members("linked");
  const fay = await world.person("fay-here", "linked");

  const { record } = await signIn(fay, "linked", "fay");
  const again = await signIn(world.guest(), "linked", "fay");

  assert.equal(record.id, fay.id);
  assert.equal(again.record.id, fay.id);
  assert.equal(again.record.email, fay.email);
});

test("the flow in one go: popup, redirect, realtime", async () => {
  await members("allinone");
  provider.visitor = "gus";
  const guest = world.guest();
  let landed;

  const answer = await guest.collection("allinone").authWithOAuth2({
    provider: "oidc",
    urlCallback: async (url) => {
      landed = await browse(url);
    },
  });

  assert.equal(answer.record.email ?? answer.meta.email, "gus@example.com");
  assert.ok(guest.authStore.isValid);
  assert.match(landed.href, /#\/auth\/oauth2-redirect-success$/);
});

test("who turns back at the provider is told so, and has no account", async () => {
  await members("turned");
  provider.visitor = undefined;
  const guest = world.guest();
  let landed;

  const flow = guest.collection("turned").authWithOAuth2({
    provider: "oidc",
    urlCallback: async (url) => {
      landed = await browse(url);
    },
  });

  await assert.rejects(flow, (error) => /access_denied/.test(error.originalError?.message));
  assert.match(landed.href, /#\/auth\/oauth2-redirect-failure$/);
  assert.equal((await admin.collection("turned").getFullList()).length, 0);
});
