import { test } from "node:test";
import assert from "node:assert/strict";
import { World, everyone, eventually, refused } from "./support.js";
import { file, relation, text } from "./fields.js";
import { png, sizeOf } from "./pictures.js";

const world = await World.open();
const { admin } = world;
const users = await admin.collections.getOne("users");
const guest = world.guest();

await world.collection(
  "albums",
  [
    text("title"),
    file("cover", { thumbs: ["30x20", "30x20f", "0x40", "40x0", "20x40t"] }),
    file("pages", { maxSelect: 4 }),
    file("note", { maxSize: 20, mimeTypes: ["text/plain"] }),
  ],
  everyone,
);
const albums = guest.collection("albums");

const page = (name, content = `content of ${name}`) => new File([content], name);
const fetchFile = (record, name, query = {}, init = {}) => fetch(guest.files.getURL(record, name, query), init);
const read = async (record, name, query) => Buffer.from(await (await fetchFile(record, name, query)).arrayBuffer());

/** `one_a1b2c3d4e5.txt` was uploaded as `one.txt`. */
const uploadedAs = (names) => names.map((name) => name.replace(/_[a-z0-9]{10}(?=\.)/, ""));

test("an upload gets a safe unique name and comes back byte for byte", async () => {
  const bytes = Uint8Array.from({ length: 3000 }, (_, n) => n % 256);

  const album = await albums.create({ title: "with cover", cover: new File([bytes], "My Holiday (1).BIN") });

  assert.match(album.cover, /^my_holiday_1_[a-z0-9]{10}\.BIN$/);
  const answer = await fetchFile(album, album.cover);
  assert.equal(answer.status, 200);
  assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes);
  assert.equal(answer.headers.get("content-length"), "3000");
  assert.equal(answer.headers.get("accept-ranges"), "bytes");
  assert.match(answer.headers.get("content-security-policy"), /default-src 'none'.*sandbox/);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
});

test("the same name twice makes two files", async () => {
  const album = await albums.create({ pages: [page("same.txt", "first"), page("same.txt", "second")] });

  assert.equal(new Set(album.pages).size, 2);
  assert.equal((await read(album, album.pages[0])).toString(), "first");
  assert.equal((await read(album, album.pages[1])).toString(), "second");
});

test("files are appended, prepended, reordered and removed by name", async () => {
  const album = await albums.create({ pages: [page("two.txt")] });

  const three = await albums.update(album.id, { "pages+": [page("three.txt")] });
  assert.deepEqual(uploadedAs(three.pages), ["two.txt", "three.txt"]);
  const four = await albums.update(album.id, { "+pages": page("one.txt") });
  assert.deepEqual(uploadedAs(four.pages), ["one.txt", "two.txt", "three.txt"]);
  const without = await albums.update(album.id, { "pages-": [four.pages[1]] });
  assert.deepEqual(uploadedAs(without.pages), ["one.txt", "three.txt"]);
  const turned = await albums.update(album.id, { pages: [without.pages[1], without.pages[0]] });
  assert.deepEqual(uploadedAs(turned.pages), ["three.txt", "one.txt"]);

  assert.equal((await read(turned, turned.pages[1])).toString(), "content of one.txt");
  await eventually("the removed file is gone", async () => (await fetchFile(album, four.pages[1])).status === 404);
});

test("an upload under the plain name replaces what was there", async () => {
  const album = await albums.create({ cover: page("old.txt"), pages: [page("a.old.txt"), page("b.old.txt")] });

  const changed = await albums.update(album.id, { cover: page("new.txt"), pages: page("only.txt") });

  assert.deepEqual(uploadedAs([changed.cover, ...changed.pages]), ["new.txt", "only.txt"]);
  await eventually("the old cover is gone", async () => (await fetchFile(album, album.cover)).status === 404);
});

test("null and an empty list remove everything", async () => {
  const album = await albums.create({ cover: page("cover.txt"), pages: [page("one.txt"), page("two.txt")] });

  const emptied = await albums.update(album.id, { cover: null, pages: [] });

  assert.equal(emptied.cover, "");
  assert.deepEqual(emptied.pages, []);
});

test("size, kind and number of files are limited", async () => {
  await refused(albums.create({ note: page("long.txt", "x".repeat(21)) }), 400, { note: "validation_file_size_limit" });
  await refused(albums.create({ note: new File([png(1, 1).subarray(0, 20)], "sneaky.txt") }), 400, {
    note: "validation_invalid_mime_type",
  });
  const five = ["1.txt", "2.txt", "3.txt", "4.txt", "5.txt"].map((name) => page(name));
  await refused(albums.create({ pages: five }), 400, { pages: "validation_too_many_files" });
  await refused(albums.create({ cover: "never_uploaded.txt" }), 400, { cover: "validation_invalid_file" });
});

test("a refused update leaves the old file in place", async () => {
  const album = await albums.create({ note: page("kept.txt", "short") });

  await refused(albums.update(album.id, { note: page("long.txt", "x".repeat(21)) }), 400);

  assert.equal((await albums.getOne(album.id)).note, album.note);
  assert.equal((await read(album, album.note)).toString(), "short");
});

test("files and deep values travel in one form", async () => {
  await world.collection("mixed", [file("doc"), { type: "json", name: "meta" }, text("title")], everyone);

  const made = await guest.collection("mixed").create({
    doc: page("doc.txt"),
    meta: { list: [1, { a: "b" }] },
    title: "007",
  });

  assert.deepEqual(made.meta, { list: [1, { a: "b" }] });
  assert.equal(made.title, "007");
  assert.equal(uploadedAs([made.doc])[0], "doc.txt");
});

const thumbs = [
  ["30x20", [30, 20]],
  ["30x20f", [30, 15]],
  ["0x40", [80, 40]],
  ["40x0", [40, 20]],
  ["20x40t", [20, 40]],
  ["100x100", [100, 100]],
  ["77x77", [200, 100]],
  ["nonsense", [200, 100]],
];
const picture = await albums.create({ cover: new File([png(200, 100)], "picture.png") });
for (const [thumb, size] of thumbs) {
  test(`the thumb ${thumb} of a 200x100 picture is ${size.join("x")}`, async () => {
    const answer = await fetchFile(picture, picture.cover, { thumb });

    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "image/png");
    assert.match(answer.headers.get("content-disposition"), /^inline/);
    assert.deepEqual(sizeOf(Buffer.from(await answer.arrayBuffer())), size);
  });
}

test("a thumb of something that is no picture is the thing itself", async () => {
  const album = await albums.create({ cover: page("words.txt", "just words") });

  assert.equal((await read(album, album.cover, { thumb: "30x20" })).toString(), "just words");
});

test("a part of a file can be asked for", async () => {
  const album = await albums.create({ cover: page("digits.txt", "0123456789") });
  const part = (range) => fetchFile(album, album.cover, {}, { headers: { Range: range } });

  const middle = await part("bytes=2-4");
  const tail = await part("bytes=-3");
  const open = await part("bytes=7-");
  const beyond = await part("bytes=50-60");

  assert.equal(middle.status, 206);
  assert.equal(middle.headers.get("content-range"), "bytes 2-4/10");
  assert.equal(await middle.text(), "234");
  assert.equal(await tail.text(), "789");
  assert.equal(await open.text(), "789");
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers.get("content-range"), "bytes */10");
});

test("a file that was not changed is not sent again", async () => {
  const album = await albums.create({ cover: page("stable.txt") });
  const first = await fetchFile(album, album.cover);
  await first.arrayBuffer();

  const again = await fetchFile(
    album,
    album.cover,
    {},
    {
      headers: { "If-Modified-Since": first.headers.get("last-modified") },
      cache: "no-store",
    },
  );

  assert.equal(again.status, 304);
});

test("a download is an attachment, and HTML is never shown inline", async () => {
  const album = await albums.create({
    cover: new File([png(2, 2)], "dot.png"),
    pages: [page("page.html", "<html><script>alert(1)</script></html>")],
  });

  const shown = await fetchFile(album, album.cover);
  const saved = await fetchFile(album, album.cover, { download: 1 });
  const html = await fetchFile(album, album.pages[0]);

  assert.match(shown.headers.get("content-disposition"), /^inline/);
  assert.equal(saved.headers.get("content-disposition"), `attachment; filename="${album.cover}"`);
  assert.match(html.headers.get("content-disposition"), /^attachment/);
});

test("unknown names, records and collections are 404", async () => {
  const album = await albums.create({ cover: page("there.txt") });
  const status = async (path) => (await fetch(`${world.url}/api/files/${path}`)).status;

  assert.equal(await status(`albums/${album.id}/${album.cover}`), 200, "by name of the collection too");
  assert.equal(await status(`albums/${album.id}/other.txt`), 404);
  assert.equal(await status(`albums/missing00000000/${album.cover}`), 404);
  assert.equal(await status(`nowhere/${album.id}/${album.cover}`), 404);
  assert.equal(await status(`albums/${album.id}/..%2F..%2F..%2Fdata.db`), 404);
});

test("a protected file opens with the token of somebody who may view the record", async () => {
  await world.collection("letters", [file("scan", { protected: true }), relation("to", users)], {
    viewRule: "to = @request.auth.id",
  });
  const [ann, bob] = await world.people("ann", "bob");
  const letter = await admin.collection("letters").create({ scan: page("letter.txt", "dear Ann"), to: ann.id });
  const open = async (token) => (await fetchFile(letter, letter.scan, token ? { token } : {})).status;

  assert.equal(await open(await ann.files.getToken()), 200);
  assert.equal(await open(await admin.files.getToken()), 200);
  assert.equal(await open(await bob.files.getToken()), 404);
  assert.equal(await open(""), 404);
  assert.equal(await open("not.a.token"), 404);
  assert.equal(await open(ann.authStore.token), 404, "a token for signing in opens no files");
  const byHeader = await fetchFile(letter, letter.scan, {}, { headers: { Authorization: ann.authStore.token } });
  assert.equal(byHeader.status, 404, "the header is not looked at");
  await refused(guest.files.getToken(), 401);
});

test("an avatar is uploaded by its owner", async () => {
  const eve = await world.person("eve");

  const changed = await eve.collection("users").update(eve.id, { avatar: new File([png(8, 8)], "me.png") });
  await refused(eve.collection("users").update(eve.id, { avatar: page("me.txt") }), 400, {
    avatar: "validation_invalid_mime_type",
  });

  assert.deepEqual(sizeOf(await read(changed, changed.avatar)), [8, 8]);
});
