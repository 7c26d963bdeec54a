// The pictures of docs/screenshots. Not a test: runs only when it is told where to put them.
//   PICTURES=../docs/screenshots npm run e2e -- pictures
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import type { Page } from 'playwright-core';
import { closeBrowser, signIn, start, visit, type Burrow } from './support';

const folder = process.env.PICTURES ?? '';
let burrow: Burrow;
let bob = '';
let post = '';
let line = '';

const titles = [
  'A burrow of one’s own',
  'Clay, sand and roots',
  'How deep is deep enough',
  'Notes on badgers',
  'Rain and what to do about it',
  'The second entrance',
  'Winter stores',
];

beforeAll(async () => {
  if (folder === '') return;
  burrow = await start({ superuser: true });
  const { call } = burrow;
  await call('PATCH', '/api/settings', {
    logs: { logAuthId: true },
    meta: { appName: 'Warren', appURL: burrow.api },
  });
  const posts = await call<{ id: string }>('POST', '/api/collections', {
    name: 'posts',
    type: 'base',
    listRule: 'state = "public" || author = @request.auth.id',
    viewRule: 'state = "public" || author = @request.auth.id',
    createRule: 'author = @request.auth.id',
    updateRule: 'author = @request.auth.id && @request.body.author:changed = false',
    deleteRule: '@request.auth.id != ""',
    fields: [
      { type: 'text', name: 'title', required: true, presentable: true },
      { type: 'select', name: 'state', values: ['draft', 'public'], maxSelect: 1 },
      { type: 'number', name: 'views' },
      { type: 'relation', name: 'author', collectionId: '_pb_users_auth_', maxSelect: 1 },
      { type: 'date', name: 'published' },
      { type: 'editor', name: 'text' },
      { type: 'json', name: 'extra' },
      { type: 'geoPoint', name: 'place' },
    ],
  });
  await call('POST', '/api/collections', {
    name: 'comments',
    type: 'base',
    listRule: '',
    viewRule: '',
    createRule: '',
    fields: [
      { type: 'relation', name: 'post', collectionId: posts.id, maxSelect: 1, cascadeDelete: true },
      { type: 'relation', name: 'by', collectionId: '_pb_users_auth_', maxSelect: 1 },
      { type: 'text', name: 'text' },
      { type: 'email', name: 'contact' },
    ],
  });
  await call('POST', '/api/collections', {
    name: 'busy_posts',
    type: 'view',
    viewQuery: 'SELECT post AS id, COUNT(*) AS comments FROM comments GROUP BY post',
  });
  const people: string[] = [];
  for (const name of ['ann', 'bob', 'cleo']) {
    const password = 'a-long-password';
    const values = {
      name,
      email: `${name}@example.com`,
      password,
      passwordConfirm: password,
      verified: true,
    };
    people.push((await call<{ id: string }>('POST', '/api/collections/users/records', values)).id);
  }
  bob = people[1]!;
  for (let i = 0; i < 60; i++) {
    const made = await call<{ id: string }>('POST', '/api/collections/posts/records', {
      title: titles[i % titles.length],
      state: i % 3 === 0 ? 'draft' : 'public',
      views: (i * 37) % 500,
      author: people[i % 3],
      published: '2026-02-03 10:00:00Z',
      text: '<p>Everything begins with a hole.</p>',
      place: { lon: 13.4, lat: 52.5 },
    });
    if (i === 0) post = made.id;
    await call('POST', '/api/collections/comments/records', {
      post: made.id,
      by: people[(i + 1) % 3],
      text: 'Good',
    });
  }
  const answer = await fetch(`${burrow.api}/api/collections/users/auth-with-password`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ identity: 'bob@example.com', password: 'a-long-password' }),
  });
  const { token } = (await answer.json()) as { token: string };
  for (let i = 0; i < 30; i++) {
    await fetch(`${burrow.api}/api/collections/posts/records?sort=-views&filter=state='public'`);
    if (i % 4 === 0)
      await fetch(`${burrow.api}/api/collections/posts/records/${post}`, {
        headers: { Authorization: token },
      });
  }
  for (let tries = 0; tries < 200 && line === ''; tries++) {
    const page = await call<{ items: { id: string }[] }>('GET', '/api/logs?filter=data.status=404&perPage=1');
    line = page.items[0]?.id ?? '';
    await new Promise((done) => setTimeout(done, 100));
  }
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

/** As WebP, made by the browser itself. */
async function webp(page: Page, png: Buffer): Promise<Buffer> {
  const url = await page.evaluate(
    async (data) => {
      const image = new Image();
      image.src = data;
      await image.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.width, image.height];
      canvas.getContext('2d')!.drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.82);
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  return Buffer.from(url.split(',')[1]!, 'base64');
}

test.skipIf(folder === '')('pictures of each main page, light and dark', async () => {
  mkdirSync(folder, { recursive: true });
  const pages: [string, () => string, string][] = [
    ['records', () => `#/data/posts?sort=-views&record=${post}`, 'complementary'],
    ['collection', () => '#/data/posts?schema=rules', 'complementary'],
    ['diagram', () => '#/schema/diagram', '[role=button]:has-text("title")'],
    ['explain', () => `#/schema/explain?c=posts&rule=viewRule&record=${post}&as=users/${bob}`, 'h2.verdict'],
    ['exposed', () => '#/schema/exposed', 'section'],
    ['api', () => '#/schema/api?c=posts&e=create', 'article'],
    ['logs', () => `#/logs?log=${line}`, 'section.why'],
    [
      'sql',
      () => `#/sql?q=${encodeURIComponent('SELECT title, state, views FROM posts ORDER BY views DESC')}`,
      'main',
    ],
    ['metrics', () => '#/ops/metrics', 'table'],
    ['live', () => '#/live', 'main'],
    ['backups', () => '#/ops/backups', 'main'],
    ['settings', () => '#/settings', 'section'],
    ['account', () => '#/account', 'main'],
    ['rules', () => '#/schema/rules', 'table, main'],
  ];
  for (const colorScheme of ['light', 'dark'] as const) {
    const v = await visit({ viewport: { width: 1280, height: 760 }, colorScheme });
    await signIn(v.page, burrow);
    const blank = await v.context.newPage();
    for (const [name, path, wait] of pages) {
      await v.page.goto(burrow.ui + path());
      await (wait === 'complementary' ? v.page.getByRole('complementary') : v.page.locator(wait))
        .first()
        .waitFor();
      if (name === 'sql') {
        await v.page.getByRole('button', { name: 'Run' }).click();
        await v.page.getByRole('row').nth(3).waitFor();
      }
      await v.page.waitForLoadState('networkidle').catch(() => undefined);
      const picture = await webp(blank, await v.page.screenshot());
      writeFileSync(join(folder, `${name}-${colorScheme}.webp`), picture);
    }
    await v.context.close();
  }
});
