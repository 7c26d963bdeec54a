// What needs no server.

import { test } from "node:test";
import assert from "node:assert/strict";
import { apply } from "../dist/live.js";
import { delay } from "../dist/backoff.js";

test("changes are done one after the other and leave the old result as it was", () => {
  const before = Object.freeze([{ id: "a" }, { id: "b" }, { id: "c" }]);

  const after = apply(before, [
    { op: "remove", id: "b" },
    { op: "update", id: "a", index: 1, record: { id: "a", n: 1 } },
    { op: "add", index: 0, record: { id: "d" } },
  ]);

  assert.deepEqual(after, [{ id: "d" }, { id: "c" }, { id: "a", n: 1 }]);
  assert.deepEqual(before, [{ id: "a" }, { id: "b" }, { id: "c" }]);
});

test("delays grow to half a minute, and no two clients wait alike", () => {
  const least = [0, 1, 2, 3, 20, 1000].map((attempt) => delay(attempt, () => 0));
  const most = [0, 1, 2, 3, 20, 1000].map((attempt) => delay(attempt, () => 1));

  assert.deepEqual(least, [125, 250, 500, 1000, 15_000, 15_000]);
  assert.deepEqual(most, [250, 500, 1000, 2000, 30_000, 30_000]);
});
