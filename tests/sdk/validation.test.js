import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, refused } from "./support.js";
import * as field from "./fields.js";

const world = await World.open();
const { admin } = world;

const others = await world.collection("others", [field.text("name")], everyone);
const some = await admin.collection("others").create({ name: "some" });

// One line per fact: the field, a value it refuses, the code of the refusal.
const blank = "validation_required";
const refusals = [
  [field.text("f", { required: true }), "", blank],
  [field.text("f", { min: 3 }), "ab", "validation_min_text_constraint"],
  [field.text("f", { max: 3 }), "abcd", "validation_max_text_constraint"],
  [field.text("f", { pattern: "^\\d+$" }), "12a", "validation_invalid_format"],
  [field.text("f"), "x".repeat(5001), "validation_max_text_constraint"],
  [field.number("f", { required: true }), 0, blank],
  [field.number("f", { min: 5 }), 4, "validation_min_number_constraint"],
  [field.number("f", { max: 5 }), 6, "validation_max_number_constraint"],
  [field.number("f", { onlyInt: true }), 1.5, "validation_only_int_constraint"],
  [field.bool("f", { required: true }), false, blank],
  [field.email("f", { required: true }), "", blank],
  [field.email("f"), "not an address", "validation_is_email"],
  [field.email("f", { onlyDomains: ["example.com"] }), "a@example.org", "validation_email_domain_not_allowed"],
  [field.email("f", { exceptDomains: ["example.com"] }), "a@example.com", "validation_email_domain_not_allowed"],
  [field.url("f"), "no url", "validation_invalid_url"],
  [field.url("f"), "javascript:alert(1)", "validation_invalid_url"],
  [field.url("f", { onlyDomains: ["example.com"] }), "https://example.org", "validation_url_domain_not_allowed"],
  [field.editor("f", { required: true }), "", blank],
  [field.editor("f", { maxSize: 10 }), "x".repeat(11), "validation_content_size_limit"],
  [field.date("f", { required: true }), "no date", blank],
  [field.date("f", { min: "2024-01-01 00:00:00Z" }), "2023-12-31", "validation_min_greater_equal_than_required"],
  [field.date("f", { max: "2024-01-01 00:00:00Z" }), "2024-01-02", "validation_max_less_equal_than_required"],
  [field.select("f", { values: ["a", "b"], required: true }), "", blank],
  [field.select("f", { values: ["a", "b"] }), "c", "validation_invalid_value"],
  [field.select("f", { values: ["a", "b", "c"], maxSelect: 2 }), ["a", "b", "c"], "validation_too_many_values"],
  [field.relation("f", others, { required: true }), "", blank],
  [field.relation("f", others), "missing00000000", "validation_missing_rel_records"],
  [field.relation("f", others, { maxSelect: 3, minSelect: 2 }), [some.id], "validation_not_enough_values"],
  [field.json("f", { required: true }), {}, blank],
  [field.json("f", { maxSize: 10 }), { long: "enough to fail" }, "validation_json_size_limit"],
  [field.password("f", { required: true }), "", blank],
  [field.password("f", { min: 8 }), "short", "validation_min_text_constraint"],
  [field.password("f", { max: 8 }), "much too long", "validation_max_text_constraint"],
  [field.geoPoint("f", { required: true }), { lon: 0, lat: 0 }, blank],
  [field.geoPoint("f"), { lon: 5, lat: 91 }, "validation_invalid_latitude"],
  [field.geoPoint("f"), { lon: 181, lat: 5 }, "validation_invalid_longitude"],
  [field.file("f", { required: true }), "", blank],
  [field.file("f"), "invented.txt", "validation_invalid_file"],
];
for (const [n, [definition, value, code]] of refusals.entries()) {
  const { type, name, collectionId, ...options } = definition;
  const shown = JSON.stringify(value).slice(0, 40);
  test(`a ${type} field with ${JSON.stringify(options)} refuses ${shown}`, async () => {
    const collection = `refusal_${n}`;
    await world.collection(collection, [definition, field.text("fine")], everyone);

    const error = await refused(admin.collection(collection).create({ f: value, fine: "yes" }), 400, { f: code });

    assert.equal(error.message, "Failed to create record.");
    assert.match(error.response.data.f.message, /^[A-Z"].*\.$/);
    assert.equal((await admin.collection(collection).getList()).totalItems, 0);
  });
}

test("all wrong fields are told at once, on create and on update", async () => {
  await world.collection(
    "forms",
    [field.text("name", { required: true }), field.email("mail"), field.number("age", { min: 18, max: 99 })],
    everyone,
  );
  const forms = world.guest().collection("forms");
  const wrong = { name: "", mail: "nope", age: 12 };
  const codes = { name: blank, mail: "validation_is_email", age: "validation_min_number_constraint" };

  const onCreate = await refused(forms.create(wrong), 400, codes);
  const { id } = await forms.create({ name: "Ann", mail: "ann@example.com", age: 30 });
  const onUpdate = await refused(forms.update(id, wrong), 400, codes);

  assert.equal(onCreate.response.data.age.params.min, 18);
  assert.equal(onUpdate.message, "Failed to update record.");
  assert.equal((await forms.getOne(id)).age, 30);
});

test("zero is free from the limits of an optional number", async () => {
  await world.collection("optional", [field.number("n", { min: 5 })], everyone);

  assert.equal((await admin.collection("optional").create({ n: 0 })).n, 0);
});

test("a unique index speaks through its fields", async () => {
  await world.collection("seats", [field.text("row"), field.number("seat"), field.text("code")], {
    ...everyone,
    indexes: [
      "CREATE UNIQUE INDEX `idx_seat` ON `seats` (`row`, `seat`)",
      "CREATE UNIQUE INDEX `idx_code` ON `seats` (`code`) WHERE `code` != ''",
    ],
  });
  const seats = world.guest().collection("seats");
  await seats.create({ row: "A", seat: 1, code: "x" });

  await refused(seats.create({ row: "A", seat: 1 }), 400, {
    row: "validation_not_unique",
    seat: "validation_not_unique",
  });
  await refused(seats.create({ row: "A", seat: 2, code: "x" }), 400, { code: "validation_not_unique" });
  const other = await seats.create({ row: "B", seat: 1 });
  await refused(seats.update(other.id, { row: "A" }), 400, {
    row: "validation_not_unique",
    seat: "validation_not_unique",
  });
});

test("a body that is no JSON object is a 400", async () => {
  const send = (body, type = "application/json") =>
    fetch(`${world.url}/api/collections/others/records`, { method: "POST", headers: { "content-type": type }, body });

  assert.equal((await send("{broken")).status, 400);
  assert.equal((await send("[1]")).status, 400);
  assert.equal((await send("name=x", "text/plain")).status, 400);
  assert.equal((await send('{"name":"a","name":"b"}')).status, 400);
  const empty = await send("null");
  assert.equal(empty.status, 200);
  assert.equal((await empty.json()).name, "");
});
