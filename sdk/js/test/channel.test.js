// Channels and presence, over breaks of the connection.

import { test } from "node:test";
import assert from "node:assert/strict";
import PocketBase from "pocketbase";
import { join } from "../dist/index.js";
import { Wire, World, eventually, realtime } from "./support.js";

const world = await World.open();
await world.admin.settings.update({
  realtime: { channels: [{ pattern: "room:*", joinRule: "", publishRule: "" }] },
});
const names = (channel) => channel.members.map((member) => member.presence?.name);

test("members hear each other and see each other come, change and go", async (t) => {
  const [near, far] = [realtime(t, world.guest()), realtime(t, world.guest())];
  const ann = await join(near, "room:talk", { presence: { name: "Ann" } });
  const heard = [];
  const shown = [];
  ann.onMessage((message) => heard.push(message), "say");
  ann.onPresence((members) => shown.push(members.map((member) => member.presence?.name)));

  const bob = await join(far, "room:talk", { presence: { name: "Bob" } });
  await bob.publish("say", { text: "hello" });
  await bob.publish("other", 1);
  await bob.publish("say", { text: "again" });
  await eventually("both are heard", () => heard.length === 2);

  assert.deepEqual(names(bob), ["Ann", "Bob"]);
  assert.deepEqual(
    heard.map(({ payload, from }) => [payload.text, from]),
    [
      ["hello", bob.member],
      ["again", bob.member],
    ],
  );
  await bob.present({ name: "Robert" });
  await eventually("the change is seen", () => names(ann).join() === "Ann,Robert");
  bob.leave();
  await eventually("he is gone", () => names(ann).join() === "Ann");
  assert.deepEqual(shown[0], ["Ann"]);
});

test("messages during a break arrive afterwards, and presence is true again", async (t) => {
  const wire = await Wire.to(world.url);
  const connection = realtime(t, new PocketBase(wire.url));
  const ann = await join(connection, "room:away", { presence: { name: "Ann" } });
  const bob = await join(realtime(t, world.guest()), "room:away", { presence: { name: "Bob" } });
  const heard = [];
  ann.onMessage(({ payload }) => heard.push(payload));
  await bob.publish("n", 0);
  await eventually("the first is there", () => heard.length === 1);
  const before = ann.member;

  wire.close();
  await eventually("Bob sees her go", () => names(bob).join() === "Bob");
  for (const n of [1, 2, 3]) await bob.publish("n", n);
  await bob.present({ name: "Robert" });
  wire.open();
  await eventually("she has it all", () => heard.length === 4);

  assert.deepEqual(heard, [0, 1, 2, 3]);
  await eventually("both see both", () => names(ann).join() === "Robert,Ann" && names(bob).join() === "Robert,Ann");
  assert.notEqual(ann.member, before);
});

test("what was forgotten is a reset, after which the channel goes on", async (t) => {
  const wire = await Wire.to(world.url);
  const reasons = [];
  const ann = await join(realtime(t, new PocketBase(wire.url)), "room:old", { onReset: (reason) => reasons.push(reason) });
  const bob = await join(realtime(t, world.guest()), "room:old");
  const heard = [];
  ann.onMessage(({ payload }) => heard.push(payload));

  wire.close();
  await eventually("she is gone", () => bob.members.length === 1);
  for (let n = 0; n < 300; n++) await bob.publish("n", n);
  wire.open();
  await eventually("she is told", () => reasons.length === 1);
  await bob.publish("n", "on");
  await eventually("it goes on", () => heard.length === 1);

  assert.deepEqual([reasons, heard], [["expired"], ["on"]]);
});

test("a channel that may not be joined rejects, one that may not be any more ends", async (t) => {
  const connection = realtime(t, world.guest());
  await assert.rejects(join(connection, "elsewhere"), { name: "RealtimeError", status: 403 });
  let ended = null;
  await join(connection, "room:closing", { onError: (error) => (ended = error) });

  await world.admin.settings.update({ realtime: { channels: [{ pattern: "room:*" }] } });

  await eventually("it has ended", () => ended);
  assert.equal(ended.status, 403);
});
