import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, pluck, refused } from "./support.js";
import { bool, date, editor, geoPoint, json, number, relation, select, text } from "./fields.js";

// A small library: Ann wrote two books, Bob one; readers left reviews, and one shelf holds several books.
const world = await World.open();
const { admin } = world;
const guest = world.guest();

const countries = await world.collection("countries", [text("name")], everyone);
const authors = await world.collection(
  "authors",
  [text("name"), relation("country", countries), text("diary", { hidden: true })],
  everyone,
);
const genres = await world.collection("genres", [text("name"), number("rank")], everyone);
const books = await world.collection(
  "books",
  [
    text("title"),
    number("pages"),
    bool("lent"),
    date("published"),
    select("labels", { values: ["new", "rare", "worn"], maxSelect: 3 }),
    json("meta"),
    geoPoint("place"),
    editor("blurb"),
    relation("author", authors),
    relation("genres", genres, { maxSelect: 5 }),
  ],
  everyone,
);
await world.collection("reviews", [text("body"), number("stars"), relation("book", books)], {
  ...everyone,
  listRule: "stars > 0",
  viewRule: "stars > 0",
});
await world.collection("secrets", [text("body"), relation("book", books)]);
await world.collection("covers", [text("art"), relation("book", books)], {
  ...everyone,
  indexes: ["CREATE UNIQUE INDEX `idx_cover` ON `covers` (`book`)"],
});

const make = (collection, data) => admin.collection(collection).create(data);
const norway = await make("countries", { name: "Norway" });
const ann = await make("authors", { name: "Ann", country: norway.id, diary: "private" });
const bob = await make("authors", { name: "bob" });
const [crime, poetry, travel] = [
  await make("genres", { name: "crime", rank: 1 }),
  await make("genres", { name: "poetry", rank: 2 }),
  await make("genres", { name: "travel", rank: 3 }),
];
const fjord = await make("books", {
  title: "Fjord",
  pages: 320,
  lent: true,
  published: "2020-05-01 12:00:00Z",
  labels: ["new", "rare"],
  meta: { isbn: "111", prints: [3, 5] },
  place: { lon: 10.75, lat: 59.91 },
  blurb: "<p>Cold <b>water</b> and</p><p>long nights</p><script>alert(1)</script>",
  author: ann.id,
  genres: [crime.id, travel.id],
});
const glacier = await make("books", {
  title: "glacier 100%",
  pages: 90,
  published: "2024-02-29 00:00:00Z",
  labels: ["new"],
  meta: { isbn: "222" },
  author: ann.id,
  genres: [travel.id],
});
const hills = await make("books", { title: "Hills", pages: 90, author: bob.id });
const nothing = await make("books", {});
await make("reviews", { body: "fine", stars: 4, book: fjord.id });
await make("reviews", { body: "finest", stars: 5, book: fjord.id });
await make("reviews", { body: "unlisted", stars: 0, book: hills.id });
await make("secrets", { body: "hush", book: fjord.id });
const cover = await make("covers", { art: "a boat", book: fjord.id });

const catalogue = guest.collection("books");
const names = { [fjord.id]: "fjord", [glacier.id]: "glacier", [hills.id]: "hills", [nothing.id]: "nothing" };
const matching = async (filter, client = catalogue) =>
  (await client.getFullList({ filter, sort: "@rowid" })).map((book) => names[book.id]).join(" ");

// One line per fact: what the filter says, and which books answer to it.
const filters = [
  ["title = 'Fjord'", "fjord"],
  ["title = 'fjord'", ""],
  ["title:lower = 'fjord'", "fjord"],
  ["title != 'Fjord'", "glacier hills nothing"],
  ["title ~ 'I'", "glacier hills"],
  ["title !~ 'i'", "fjord nothing"],
  ["title ~ '100%'", ""],
  ["title ~ '100\\\\%'", "glacier"],
  ["title ~ 'f%'", "fjord"],
  ["title = ''", "nothing"],
  ["title = null", "nothing"],
  ["pages > 90", "fjord"],
  ["pages >= 90 && lent = false", "glacier hills"],
  ["pages < 90", "nothing"],
  ["lent = true", "fjord"],
  ["published >= '2024-01-01'", "glacier"],
  ["published = ''", "hills nothing"],
  ["published < @now && published != ''", "fjord glacier"],
  ["pages = 90 || lent = true && title = 'Hills'", "glacier hills"],
  ["(pages = 90 || lent = true) && title = 'Hills'", "hills"],
  ["labels:each ?= 'new'", "fjord glacier"],
  ["labels:each = 'new'", "glacier"],
  ["labels:length = 2", "fjord"],
  ["labels:length = 0", "hills nothing"],
  ["meta.isbn = '222'", "glacier"],
  ["meta.prints.1 = 5", "fjord"],
  ["meta = null", "hills nothing"],
  ["place.lat > 59", "fjord"],
  ["geoDistance(place.lon, place.lat, 10.7, 59.9) < 10", "fjord"],
  ["author.name = 'Ann'", "fjord glacier"],
  ["author.country.name = 'Norway'", "fjord glacier"],
  ["author.name != 'Ann'", "hills nothing"],
  ["author = ''", "nothing"],
  ["genres.name ?= 'travel'", "fjord glacier"],
  ["genres.name = 'travel'", "glacier"],
  ["genres.rank ?> 1 && genres.rank ?< 2", ""],
  ["genres:length > 1", "fjord"],
  ["reviews_via_book.stars ?= 5", "fjord"],
  ["reviews_via_book.id ?!= '' && pages > 0", "fjord"],
  ["pages > 0 // only those with pages\n && lent = false", "glacier hills"],
  ["strftime('%Y', published) = '2020'", "fjord"],
];
for (const [filter, expected] of filters) {
  test(`the filter ${filter.replace("\n", " ⏎ ")} finds: ${expected || "no book"}`, async () => {
    assert.equal(await matching(filter), expected);
  });
}

test("the SDK's filter helper carries any value safely", async () => {
  const quote = 'it\'s a "quoted" \\ title';
  const odd = await make("books", { title: quote, pages: 7, published: "2001-02-03 04:05:06.789Z" });
  names[odd.id] = "odd";

  assert.equal(await matching(guest.filter("title = {:title}", { title: "Fjord" })), "fjord");
  assert.equal(await matching(guest.filter("title ~ {:t} && pages = {:n}", { t: "it's", n: 7 })), "odd");
  assert.equal(await matching(guest.filter("title = {:t}", { t: 'it\'s a "quoted" ' })), "");
  assert.equal(await matching(guest.filter("lent = {:yes}", { yes: true })), "fjord");
  assert.equal(
    await matching(guest.filter("published = {:when}", { when: new Date("2001-02-03T04:05:06.789Z") })),
    "odd",
  );
  assert.equal(await matching(guest.filter("author = {:nobody} && pages = 7", { nobody: null })), "odd");
  assert.equal(await matching(guest.filter("title = {:evil}", { evil: "' || title != '" })), "");
  await admin.collection("books").delete(odd.id);
});

test("a bad filter or sort is a plain 400", async () => {
  for (const filter of [
    "title",
    "title = ",
    "nothing_such = 1",
    "title == 'a'",
    "title = 'a' AND pages = 1",
    "(title = 'a'",
  ]) {
    await refused(catalogue.getList(1, 1, { filter }), 400, {});
  }
  await refused(catalogue.getList(1, 1, { sort: "nothing_such" }), 400, {});
  await refused(catalogue.getList(1, 1, { filter: "title = 'x' || ".repeat(250) + "title = 'x'" }), 400);
});

test("hidden fields and closed collections cannot be searched by guests", async () => {
  const writers = guest.collection("authors");

  await refused(writers.getList(1, 1, { filter: "diary ~ 'p'" }), 400);
  await refused(writers.getList(1, 1, { sort: "diary" }), 400);
  await refused(catalogue.getList(1, 1, { filter: "secrets_via_book.body ~ 'h'" }), 400);
  await refused(catalogue.getList(1, 1, { filter: "@request.auth.id = ''" }), 403);
  await refused(catalogue.getList(1, 1, { filter: "@collection.secrets.body ~ 'h'" }), 403);
  const found = await admin.collection("authors").getList(1, 5, { filter: "diary = 'private'" });
  assert.deepEqual(pluck(found.items, "name"), ["Ann"]);
});

test("a filter sees only those related records that the guest may list", async () => {
  assert.equal(await matching("reviews_via_book.body ?= 'unlisted'"), "");
  assert.equal(await matching("reviews_via_book.body ?= 'unlisted'", admin.collection("books")), "hills");
});

test("records are sorted by one or several keys, also through relations", async () => {
  const order = async (sort) => pluck(await catalogue.getFullList({ sort }), "title");

  assert.deepEqual(await order("title"), ["", "Fjord", "Hills", "glacier 100%"]);
  assert.deepEqual(await order("-title"), ["glacier 100%", "Hills", "Fjord", ""]);
  assert.deepEqual(await order("title:lower"), ["", "Fjord", "glacier 100%", "Hills"]);
  assert.deepEqual(await order("-pages,-title"), ["Fjord", "glacier 100%", "Hills", ""]);
  assert.deepEqual(await order("pages,+title"), ["", "Hills", "glacier 100%", "Fjord"]);
  assert.deepEqual(await order("-author.name,title"), ["Hills", "Fjord", "glacier 100%", ""]);
  assert.deepEqual(await order("-@rowid"), ["", "Hills", "glacier 100%", "Fjord"]);
  assert.equal((await order("@random")).length, 4);
});

test("relations are expanded, nested ones too", async () => {
  const book = await catalogue.getOne(fjord.id, { expand: "author.country,genres" });

  assert.equal(book.expand.author.name, "Ann");
  assert.equal(book.expand.author.expand.country.name, "Norway");
  assert.deepEqual(pluck(book.expand.genres, "name"), ["crime", "travel"], "in the order of the field");
  assert.ok(!("diary" in book.expand.author), "hidden fields stay hidden");
  const asAdmin = await admin.collection("books").getOne(fjord.id, { expand: "author" });
  assert.equal(asAdmin.expand.author.diary, "private");
});

test("records that point here are expanded as a list, or as one if unique", async () => {
  const book = await catalogue.getOne(fjord.id, { expand: "reviews_via_book,covers_via_book" });
  const writer = await guest.collection("authors").getOne(ann.id, { expand: "books_via_author.reviews_via_book" });

  assert.deepEqual(pluck(book.expand.reviews_via_book, "body").sort(), ["fine", "finest"]);
  assert.equal(book.expand.covers_via_book.id, cover.id);
  const [first, second] = writer.expand.books_via_author.toSorted((a, b) => a.title.localeCompare(b.title));
  assert.equal(first.expand.reviews_via_book.length, 2);
  assert.equal(second.title, "glacier 100%");
});

test("what may not be seen is left out of an expand", async () => {
  const book = await catalogue.getOne(fjord.id, { expand: "secrets_via_book,author" });
  const other = await catalogue.getOne(hills.id, { expand: "reviews_via_book" });
  const wrong = await catalogue.getOne(fjord.id, { expand: "no_such_relation" });

  assert.deepEqual(Object.keys(book.expand), ["author"]);
  assert.deepEqual(other.expand, {});
  assert.equal(wrong.expand, undefined);
  const asAdmin = await admin.collection("books").getOne(fjord.id, { expand: "secrets_via_book" });
  assert.equal(asAdmin.expand.secrets_via_book[0].body, "hush");
});

test("only the fields asked for are answered", async () => {
  const book = await catalogue.getOne(fjord.id, { expand: "author", fields: "title,expand.author.name,meta.isbn" });
  const page = await catalogue.getList(1, 1, { sort: "-pages", fields: "id,pages" });
  const star = await catalogue.getOne(fjord.id, { expand: "author", fields: "*,expand.author.name" });
  const none = await catalogue.getOne(fjord.id, { fields: "unknown" });

  assert.deepEqual(book, { title: "Fjord", meta: { isbn: "111" }, expand: { author: { name: "Ann" } } });
  assert.deepEqual(page.items, [{ id: fjord.id, pages: 320 }]);
  assert.equal(page.totalItems, 4);
  assert.equal(star.pages, 320);
  assert.deepEqual(star.expand, { author: { name: "Ann" } });
  assert.deepEqual(none, {});
});

test("an excerpt is plain text of limited length", async () => {
  const short = await catalogue.getOne(fjord.id, { fields: "blurb:excerpt(10,true)" });
  const whole = await catalogue.getOne(fjord.id, { fields: "blurb:excerpt(200)" });

  assert.equal(short.blurb, "Cold water...");
  assert.equal(whole.blurb, "Cold water and long nights");
  await refused(catalogue.getOne(fjord.id, { fields: "blurb:excerpt(0)" }), 400);
});

test("a create and an update answer with expand and fields as well", async () => {
  const made = await catalogue.create(
    { title: "fresh", author: ann.id },
    { expand: "author", fields: "title,expand.author.name" },
  );
  const { id } = await catalogue.getFirstListItem("title = 'fresh'");
  const changed = await catalogue.update(id, { author: bob.id }, { expand: "author", fields: "expand.author.name" });

  assert.deepEqual(made, { title: "fresh", expand: { author: { name: "Ann" } } });
  assert.deepEqual(changed, { expand: { author: { name: "bob" } } });
  await catalogue.delete(id);
});
