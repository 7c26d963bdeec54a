import { after, test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { PASSWORD, SUPERUSER, World, eventually, onlyBurrow, isBurrow, refused } from "./support.js";
import { png } from "./pictures.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
after(() => browser.close());

const chat = await openExample("chat");
const todo = await openExample("todo");

/** A server that serves the example, prepared with the command that its README gives. */
async function openExample(name) {
  const world = await World.open({ publicDir: `${root}examples/${name}/public` });
  world.imported = await importInto(world, name);
  return world;
}

function importInto(world, name, password = SUPERUSER.password) {
  return run(process.execPath, ["examples/import.mjs", `examples/${name}`, world.url, SUPERUSER.email, password], {
    cwd: root,
  });
}

/** A window of its own, as if on another device. Anything the page complains about fails the test. */
async function openWindow(t, world, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && complaints.push(message.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  await page.goto(world.url);
  return page;
}

async function joinChat(t, name, options) {
  const page = await openWindow(t, chat, options);
  await page.getByRole("button", { name: "I have no account yet" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Email").fill(`${name.toLowerCase()}@example.com`);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByLabel("Name of the new room").waitFor();
  return page;
}

async function openRoom(page, name) {
  await page.getByLabel("Name of the new room").fill(name);
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("heading", { name }).waitFor();
  await page.getByLabel("Message", { exact: true }).waitFor();
}

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

async function signInToTodo(page, button, email, password = PASSWORD) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: button }).click();
}

async function addTodo(page, title) {
  await page.getByLabel("New todo").fill(title);
  await page.getByRole("button", { name: "Add" }).click();
}

const titles = (page) => page.locator("#todos li span").allTextContents();

test("the collections are imported by the documented command, also twice", async () => {
  assert.match(chat.imported.stdout, /Imported users, rooms, messages/);
  assert.match(todo.imported.stdout, /Imported todos/);

  await importInto(chat, "chat");
  const failure = await importInto(chat, "chat", "wrong password").catch((error) => error);

  assert.equal(failure.code, 1);
  assert.match(failure.stderr, /status 400/);
  const users = await chat.admin.collections.getOne("users");
  assert.deepEqual(users.fields.map((field) => field.name).sort(), [
    "avatar",
    "created",
    "email",
    "emailVisibility",
    "id",
    "name",
    "password",
    "tokenKey",
    "updated",
    "verified",
  ]);
});

test("the SDK that the chat carries is the published one", async () => {
  const carried = await readFile(`${root}examples/chat/public/vendor/pocketbase.es.mjs`, "utf8");
  const published = await readFile(new URL("node_modules/pocketbase/dist/pocketbase.es.mjs", import.meta.url), "utf8");

  assert.equal(carried, published);
});

test("two people chat with each other live", async (t) => {
  const ann = await joinChat(t, "Ann");
  const bob = await joinChat(t, "Bob");

  await openRoom(ann, "Garden");
  await bob.getByRole("button", { name: "Garden" }).click();
  await bob.getByText("Nothing said here yet.").waitFor();
  await say(ann, "The tulips are out <b>today</b>");
  await bob.getByText("The tulips are out <b>today</b>").waitFor();
  await say(bob, "Lovely!");
  await ann.getByText("Lovely!").waitFor();

  const heard = ann.locator(".message", { hasText: "Lovely!" });
  assert.equal(await heard.locator("strong").textContent(), "Bob");
  assert.equal(await ann.locator(".message").count(), 2);
  await bob.locator(".message.mine").getByRole("button", { name: "Delete" }).click();
  await ann.getByText("Lovely!").waitFor({ state: "detached" });
  assert.equal(await ann.locator(".message").count(), 1);
});

test("somebody who reloads stays signed in and finds what was said", async (t) => {
  const cleo = await joinChat(t, "Cleo");
  await openRoom(cleo, "Attic");
  await say(cleo, "dusty up here");
  await cleo.getByText("dusty up here").waitFor();

  await cleo.reload();
  await cleo.getByRole("button", { name: "Attic" }).click();

  await cleo.getByText("dusty up here").waitFor();
  await cleo.getByRole("button", { name: "Sign out" }).click();
  await cleo.getByLabel("Email").waitFor();
});

test("an answer that comes late hides nothing that happened meanwhile", async (t) => {
  const pat = await joinChat(t, "Pat");
  await openRoom(pat, "Cellar");
  let release;
  const released = new Promise((resolve) => (release = resolve));
  let held = false;
  await pat.route("**/rooms/records?*", async (route) => {
    const answer = await route.fetch();
    held = true;
    await released;
    await route.fulfill({ response: answer });
  });

  await pat.reload();
  await eventually("the answer is on its way", () => held);
  await openRoom(pat, "Meanwhile");
  await say(pat, "still here");
  await pat.getByText("still here").waitFor();
  release();
  await pat.getByRole("button", { name: "Cellar" }).waitFor();

  assert.equal(await pat.getByText("still here").isVisible(), true);
  assert.equal(await pat.getByRole("heading", { level: 1 }).textContent(), "Meanwhile");
});

test("a new picture is shown beside one's messages, to others too", async (t) => {
  const dan = await joinChat(t, "Dan");
  const eve = await joinChat(t, "Eve");
  await openRoom(dan, "Studio");
  await eve.getByRole("button", { name: "Studio" }).click();
  await say(dan, "before");
  await eve.getByText("before").waitFor();

  await dan
    .getByLabel("Change your picture")
    .and(dan.locator("input"))
    .setInputFiles({ name: "dan.png", mimeType: "image/png", buffer: png(120, 120) });
  await dan.locator(".me img.avatar").waitFor();
  await say(dan, "after");

  const picture = eve.locator(".message", { hasText: "after" }).locator("img.avatar");
  await picture.waitFor();
  await eventually("the picture is loaded as a thumb", () =>
    picture.evaluate((image) => image.complete && image.naturalWidth === 100),
  );
  await dan.locator(".message", { hasText: "before" }).locator("img.avatar").waitFor();
});

test("the chat says what is wrong instead of failing silently", async (t) => {
  const fay = await joinChat(t, "Fay");
  await openRoom(fay, "Kitchen");
  await fay.getByLabel("Name of the new room").fill("kitchen");
  await fay.getByRole("button", { name: "Add" }).click();
  await fay.getByRole("alert").getByText("name: Value must be unique.").waitFor();

  await fay.getByRole("button", { name: "Sign out" }).click();
  await fay.getByRole("button", { name: "I have an account" }).click();
  await fay.getByLabel("Email").fill("fay@example.com");
  await fay.getByLabel("Password").fill("wrong password");
  await fay.getByRole("button", { name: "Sign in" }).click();

  await fay.getByRole("alert").getByText("Failed to authenticate.").waitFor();
});

test("on a phone one sees either the rooms or a room", async (t) => {
  const gil = await joinChat(t, "Gil", { viewport: { width: 360, height: 640 } });
  const rooms = gil.getByLabel("Name of the new room");
  const message = gil.getByLabel("Message", { exact: true });

  await openRoom(gil, "Pocket");
  assert.equal(await rooms.isVisible(), false);
  await gil.getByRole("button", { name: "Back to the rooms" }).click();
  await rooms.waitFor();

  assert.equal(await message.isVisible(), false);
  const overflow = await gil.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(overflow, 0);
});

test("the chat's rules are closed to guests and to forgers", async () => {
  const [hal, ivy] = await chat.people("hal", "ivy");
  const guest = chat.guest();
  const room = await hal.collection("rooms").create({ name: "Rules", owner: hal.id });
  const message = await hal.collection("messages").create({ room: room.id, author: hal.id, body: "mine" });

  assert.equal((await guest.collection("messages").getList()).totalItems, 0);
  assert.equal((await guest.collection("users").getList()).totalItems, 0);
  await refused(guest.collection("messages").create({ room: room.id, author: hal.id, body: "x" }), 400);
  await refused(ivy.collection("messages").create({ room: room.id, author: hal.id, body: "x" }), 400);
  await refused(ivy.collection("rooms").create({ name: "Fake", owner: hal.id }), 400);
  await refused(ivy.collection("messages").delete(message.id), 404);
  await refused(hal.collection("messages").update(message.id, { body: "changed" }), 403);
  await refused(ivy.collection("rooms").delete(room.id), 404);
  await refused(hal.collection("rooms").update(room.id, { owner: ivy.id }), 404);
});

test("a todo list is kept on the server, and belongs to one person", async (t) => {
  const page = await openWindow(t, todo);
  await signInToTodo(page, "Create account", "jan@example.com");
  await page.getByText("Nothing to do.").waitFor();

  await addTodo(page, "Water <i>plants</i>");
  await addTodo(page, "Read a book");
  await page.getByLabel("Water <i>plants</i>", { exact: true }).check();
  await page.locator("li.done").waitFor();
  await page.reload();

  await eventually("both todos are back", async () => (await titles(page)).length === 2);
  assert.deepEqual(await titles(page), ["Water <i>plants</i>", "Read a book"]);
  assert.equal(await page.getByLabel("Water <i>plants</i>", { exact: true }).isChecked(), true);
  await page.getByRole("button", { name: "Delete Read a book" }).click();
  await page.getByText("Read a book").waitFor({ state: "detached" });

  const stranger = await openWindow(t, todo);
  await signInToTodo(stranger, "Create account", "kai@example.com");
  await stranger.getByText("Nothing to do.").waitFor();
});

test("the todo list says what is wrong with a sign-in", async (t) => {
  const page = await openWindow(t, todo);

  await signInToTodo(page, "Sign in", "nobody@example.com");

  await page.getByRole("alert").getByText("Failed to authenticate.").waitFor();
});

test("a server that is not Burrow is named as such, and the list still works", { skip: isBurrow }, async (t) => {
  const page = await openWindow(t, todo);
  await signInToTodo(page, "Create account", "lea@example.com");

  await page.getByText("This server has no realtime over WebSocket").waitFor();
  await addTodo(page, "by hand");
  await page.getByText("by hand").waitFor();
  const lea = todo.guest();
  await lea.collection("users").authWithPassword("lea@example.com", PASSWORD);
  await lea.collection("todos").create({ title: "elsewhere", owner: lea.authStore.record.id });
  await page.getByRole("button", { name: "reading it again" }).click();

  await page.getByText("elsewhere").waitFor();
});

test("a todo appears on a second screen live", onlyBurrow, async (t) => {
  const desk = await openWindow(t, todo);
  await signInToTodo(desk, "Create account", "mia@example.com");
  await desk.getByText("Live", { exact: true }).waitFor();
  const phone = await openWindow(t, todo, { viewport: { width: 360, height: 640 } });
  await signInToTodo(phone, "Sign in", "mia@example.com");
  await phone.getByText("Live", { exact: true }).waitFor();

  await addTodo(desk, "Buy bread");
  await phone.getByText("Buy bread").waitFor();
  await phone.getByLabel("Buy bread", { exact: true }).check();
  await desk.locator("li.done", { hasText: "Buy bread" }).waitFor();
  await desk.getByRole("button", { name: "Delete Buy bread" }).click();
  await phone.getByText("Buy bread").waitFor({ state: "detached" });
});

test("a screen that was cut off hears what it missed, without reading the list again", onlyBurrow, async (t) => {
  const page = await openWindow(t, todo);
  await signInToTodo(page, "Create account", "noa@example.com");
  await page.getByText("Live", { exact: true }).waitFor();
  await addTodo(page, "before");
  await page.getByText("before").waitFor();
  const noa = todo.guest();
  await noa.collection("users").authWithPassword("noa@example.com", PASSWORD);
  let listsRead = 0;
  page.on("request", (request) => {
    if (request.method() === "GET" && request.url().includes("/todos/records")) listsRead += 1;
  });

  await todo.server.halt();
  await page.getByText("Connecting…").waitFor();
  await todo.server.launch();
  await noa.collection("todos").create({ title: "meanwhile", owner: noa.authStore.record.id });

  await page.getByText("meanwhile").waitFor();
  assert.deepEqual(await titles(page), ["before", "meanwhile"]);
  assert.equal(listsRead, 0);
});
