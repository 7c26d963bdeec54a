// Brings the collections of an example onto a running server:
//
//   node examples/import.mjs examples/chat http://127.0.0.1:8090 EMAIL PASSWORD
//
// EMAIL and PASSWORD belong to a superuser. Collections that exist already are brought up to date;
// nothing is deleted, so the command may be repeated.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [directory, server, identity, password] = process.argv.slice(2);
if (!password) {
  fail("usage: node examples/import.mjs DIRECTORY URL EMAIL PASSWORD");
}

const collections = JSON.parse(
  await readFile(join(directory, "collections.json"), "utf8").catch((error) => fail(error.message)),
);
const { token } = await call("POST", "/api/collections/_superusers/auth-with-password", { identity, password });
await call("PUT", "/api/collections/import", { collections, deleteMissing: false }, token);
console.log(`Imported ${collections.map((each) => each.name).join(", ")} into ${server}`);

async function call(method, path, body, token = "") {
  const answer = await fetch(new URL(path, server), {
    method,
    headers: { "Content-Type": "application/json", Authorization: token },
    body: JSON.stringify(body),
  }).catch(() => fail(`no server answers at ${server}; is it running?`));
  const text = await answer.text();
  if (!answer.ok) {
    fail(`${method} ${path} was refused with status ${answer.status}:\n${text}`);
  }
  return text ? JSON.parse(text) : null;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
