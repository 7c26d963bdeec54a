// What every scenario stands on: a real server process with a directory of its own, the people who use it,
// and ways to wait for something to become true.

import { after } from "node:test";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EventSource } from "eventsource";
import PocketBase, { ClientResponseError } from "pocketbase";

// Node 20 has none of its own; this is the way the SDK's README shows.
globalThis.EventSource = EventSource;

const run = promisify(execFile);

export const binary = process.env.BURROW_BIN ?? fileURLToPath(new URL("../../target/debug/burrow", import.meta.url));

/** Scenarios about Burrow's additions are skipped on any other server. */
export const isBurrow = await run(binary, ["--version"]).then(
  ({ stdout, stderr }) => (stdout + stderr).trim().toLowerCase().startsWith("burrow"),
  (error) => {
    throw new Error(`cannot run ${binary}; build it or set BURROW_BIN`, { cause: error });
  },
);
/** Scenarios about what PocketBase does not have. */
export const onlyBurrow = isBurrow ? {} : { skip: "the server is not Burrow" };

/** Scenarios about what only a server with its data in its directory has. */
export const inDirectory = process.env.BURROW_REAL ? { skip: "the data is in PostgreSQL" } : {};

/** How long a condition may take to come true before the test is called broken. Nothing ever waits this long on purpose. */
const PATIENCE_MS = 15_000;

export const SUPERUSER = { email: "root@example.com", password: "a-long-secret" };
export const PASSWORD = "correct horse";

/** One server process on a temporary directory and a free port. */
export class Server {
  static async start({ publicDir } = {}) {
    const home = await mkdtemp(join(tmpdir(), "burrow-sdk-"));
    const server = new Server(home, await freePort(), publicDir);
    await server.cli("superuser", "upsert", SUPERUSER.email, SUPERUSER.password);
    await server.launch();
    return server;
  }

  constructor(home, port, publicDir) {
    this.home = home;
    this.url = `http://127.0.0.1:${port}`;
    this.output = "";
    this.args = ["serve", "--http", `127.0.0.1:${port}`, "--dir", join(home, "data")];
    if (publicDir) this.args.push("--publicDir", publicDir);
  }

  /** Runs another command of the same binary on the same directory. */
  cli(...args) {
    return run(binary, [...args, "--dir", join(this.home, "data")], { cwd: this.home });
  }

  async launch() {
    this.child = spawn(binary, this.args, { cwd: this.home, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.reaper = () => this.child.kill("SIGKILL");
    process.once("exit", this.reaper);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on("data", (chunk) => (this.output += chunk));
    }

    await eventually("the server answers /api/health", async () => {
      if (this.child.exitCode !== null) throw new Error(`the server ended at once:\n${this.output}`);
      const answer = await fetch(`${this.url}/api/health`).catch(() => null);
      return answer?.status === 200;
    });
  }

  /** Ends the process politely; the directory stays, so that `launch` may follow. */
  async halt() {
    const force = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    this.child.kill("SIGTERM");
    await this.ended;
    clearTimeout(force);
    process.removeListener("exit", this.reaper);
  }

  async discard() {
    await this.halt();
    await rm(this.home, { recursive: true, force: true });
  }
}

/** A server, its superuser and everyone who visits. Closed by itself at the end of the test file. */
export class World {
  static async open(options) {
    const server = await Server.start(options);
    const world = new World(server);
    after(() => world.close());
    await world.admin.collection("_superusers").authWithPassword(SUPERUSER.email, SUPERUSER.password);
    await world.admin.settings.update({ batch: { enabled: true, maxRequests: 50, timeout: 10 } });
    return world;
  }

  constructor(server) {
    this.server = server;
    this.url = server.url;
    this.clients = [];
    this.admin = this.guest();
  }

  /** A fresh client without an account. */
  guest() {
    const client = new PocketBase(this.url);
    client.autoCancellation(false);
    this.clients.push(client);
    return client;
  }

  /** Someone with an account, signed in. `person.id` is the id of the account. */
  async person(name, collection = "users") {
    const email = `${name}@example.com`;
    const client = this.guest();
    await this.admin
      .collection(collection)
      .create({ email, name, password: PASSWORD, passwordConfirm: PASSWORD, verified: true });
    await client.collection(collection).authWithPassword(email, PASSWORD);
    client.id = client.authStore.record.id;
    client.email = email;
    return client;
  }

  people(...names) {
    return Promise.all(names.map((name) => this.person(name)));
  }

  /** Makes a collection; rules that are not named stay locked. */
  collection(name, fields, rest = {}) {
    return this.admin.collections.create({ name, type: "base", fields, ...rest });
  }

  async close() {
    await Promise.all(this.clients.map((client) => client.realtime.unsubscribe().catch(() => {})));
    await this.server.discard();
  }
}

export const everyone = { listRule: "", viewRule: "", createRule: "", updateRule: "", deleteRule: "" };

/** Waits until `check` gives something truthy, and hands that back. */
export async function eventually(what, check) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A queue that a listener fills and a test empties, one message at a time. */
export class Inbox {
  #messages = [];
  #readers = [];

  put = (message) => {
    const reader = this.#readers.shift();
    if (reader) reader(message);
    else this.#messages.push(message);
  };

  get isEmpty() {
    return this.#messages.length === 0;
  }

  async next(what = "a message") {
    if (!this.isEmpty) return this.#messages.shift();
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
    });
    const arrival = new Promise((resolve) => this.#readers.push(resolve));
    return Promise.race([arrival, late]).finally(() => clearTimeout(timer));
  }
}

/** Asserts that the call fails with this status and, if given, with exactly these codes per field. */
export async function refused(call, status, codes) {
  const error = await call.then(
    (value) => assert.fail(`expected status ${status}, got ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  if (!(error instanceof ClientResponseError)) throw error;
  assert.equal(error.status, status, `${error.message} ${JSON.stringify(error.response)}`);
  if (codes) assert.deepEqual(codesOf(error.response.data), codes);
  return error;
}

/** `{title: {code: "x", message: …}}` becomes `{title: "x"}`, at any depth. */
export function codesOf(data) {
  return Object.fromEntries(
    Object.entries(data).map(([key, leaf]) => [
      key,
      typeof leaf.code === "string" && typeof leaf.message === "string" ? leaf.code : codesOf(leaf),
    ]),
  );
}

export function pluck(records, key) {
  return records.map((record) => record[key]);
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
