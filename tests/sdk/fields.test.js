import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone } from "./support.js";
import * as field from "./fields.js";

const world = await World.open();
const { admin } = world;

const others = await world.collection("others", [field.text("name")], everyone);
await world.collection(
  "everything",
  [
    field.text("text"),
    field.number("number"),
    field.bool("bool"),
    field.email("email"),
    field.url("url"),
    field.editor("editor"),
    field.date("date"),
    field.autodate("made", { onCreate: true }),
    field.autodate("touched", { onUpdate: true }),
    field.select("choice", { values: ["a", "b", "c"] }),
    field.select("choices", { values: ["a", "b", "c"], maxSelect: 3 }),
    field.relation("other", others),
    field.relation("others", others, { maxSelect: 5 }),
    field.file("doc"),
    field.file("docs", { maxSelect: 3 }),
    field.json("json"),
    field.password("secret"),
    field.geoPoint("point"),
  ],
  everyone,
);
const records = world.guest().collection("everything");

const zero = {
  text: "",
  number: 0,
  bool: false,
  email: "",
  url: "",
  editor: "",
  date: "",
  touched: "",
  choice: "",
  choices: [],
  other: "",
  others: [],
  doc: "",
  docs: [],
  json: null,
  secret: "",
  point: { lon: 0, lat: 0 },
};

test("an empty record holds the zero value of every type", async () => {
  const { id, collectionId, collectionName, made, ...values } = await records.create({});

  assert.deepEqual(values, zero);
  assert.notEqual(made, "");
  assert.deepEqual(await records.getOne(id), { id, collectionId, collectionName, made, ...zero });
});

test("every type gives back what was put in, and can be emptied again", async () => {
  const [one, two] = [
    await admin.collection("others").create({ name: "one" }),
    await admin.collection("others").create({ name: "two" }),
  ];
  const values = {
    text: "Grüße, 世界 👋 <b>&</b> \u2028 'quoted' \"double\" \\ back",
    number: -12.75,
    bool: true,
    email: "Ann.O'Neil+tag@example.co.uk",
    url: "https://example.com:8080/a?b=c#d",
    editor: "<p>kept <script>as is</script></p>",
    date: "2024-02-29 23:59:59.123Z",
    choice: "b",
    choices: ["c", "a"],
    other: one.id,
    others: [two.id, one.id],
    json: { list: [1, "two", null, { deep: true }], "": 0 },
    point: { lon: -179.5, lat: 89.25 },
  };

  const { id } = await records.create(values);
  const stored = await records.getOne(id);
  const emptied = await records.update(id, zero);

  for (const [name, value] of Object.entries(values)) assert.deepEqual(stored[name], value, name);
  for (const [name, value] of Object.entries(zero)) {
    if (name !== "touched") assert.deepEqual(emptied[name], value, name);
  }
  assert.notEqual(emptied.touched, "");
});

// One line per fact: field, what is sent, what comes back.
const conversions = [
  ["text", 12.5, "12.5"],
  ["text", true, "true"],
  ["text", null, ""],
  ["text", ["a"], ""],
  ["text", "  spaces stay ", "  spaces stay "],
  ["number", "12", 12],
  ["number", "1e3", 1000],
  ["number", "no number", 0],
  ["number", true, 1],
  ["number", 1e21, 1e21],
  ["number", 0.1, 0.1],
  ["bool", "true", true],
  ["bool", 1, true],
  ["bool", "yes", false],
  ["bool", 0, false],
  ["date", "2024-01-02", "2024-01-02 00:00:00.000Z"],
  ["date", "2024-01-02T03:04:05+02:00", "2024-01-02 01:04:05.000Z"],
  ["date", "2024-01-02 03:04:05.123456Z", "2024-01-02 03:04:05.123Z"],
  ["date", "2024-13-01", ""],
  ["date", "not a date", ""],
  ["date", 1700000000, ""],
  ["choice", ["a", "b"], "b"],
  ["choices", "a", ["a"]],
  ["choices", ["b", "b", "", "a"], ["b", "a"]],
  ["choices", '["a","c"]', ["a", "c"]],
  ["json", "plain", "plain"],
  ["json", '{"a":1}', { a: 1 }],
  ["json", "123", 123],
  ["json", "", ""],
  ["json", "null", null],
  ["json", [], []],
  ["json", false, false],
  ["json", 0, 0],
  ["json", "001", "001"],
  ["point", '{"lon":5,"lat":6}', { lon: 5, lat: 6 }],
  ["point", { lon: 5 }, { lon: 5, lat: 0 }],
  ["point", "nowhere", { lon: 0, lat: 0 }],
  ["secret", "never shown", ""],
];
for (const [name, sent, expected] of conversions) {
  test(`${name} takes ${JSON.stringify(sent)} as ${JSON.stringify(expected)}`, async () => {
    const { id } = await records.create({ [name]: sent });

    assert.deepEqual((await records.getOne(id))[name], expected);
  });
}

test("a text field makes its own value when asked to", async () => {
  await world.collection(
    "tickets",
    [field.text("code", { autogeneratePattern: "T-[0-9]{6}", pattern: "^[A-Z]+-[0-9]+$" })],
    everyone,
  );
  const tickets = world.guest().collection("tickets");

  const made = await tickets.create({});
  const given = await tickets.create({ code: "OWN-1" });
  const prefixed = await tickets.update(given.id, { "code:autogenerate": "X" });
  const cleared = await tickets.update(made.id, { code: "" });

  assert.match(made.code, /^T-\d{6}$/);
  assert.equal(given.code, "OWN-1");
  assert.match(prefixed.code, /^XT-\d{6}$/);
  assert.equal(cleared.code, "");
});

test("hidden fields are for superusers only", async () => {
  await world.collection("notes", [field.text("body"), field.text("review", { hidden: true })], everyone);
  const asGuest = world.guest().collection("notes");
  const asAdmin = admin.collection("notes");

  const made = await asGuest.create({ body: "b", review: "smuggled" });
  await asAdmin.update(made.id, { review: "checked" });
  const seenByGuest = await asGuest.update(made.id, { review: "smuggled again" });
  const seenByAdmin = await asAdmin.getOne(made.id);

  assert.ok(!("review" in made));
  assert.ok(!("review" in seenByGuest));
  assert.equal(seenByAdmin.review, "checked");
});
