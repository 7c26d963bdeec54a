import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
let ann = '';
interface Shape {
  id: string;
  name: string;
  fields: { id: string; name: string; type: string }[];
}
beforeAll(async () => {
  burrow = await start({ superuser: true });
  const posts = await burrow.call<Shape>('POST', '/api/collections', {
    name: 'posts',
    type: 'base',
    listRule: '',
    viewRule: '',
    createRule: '@request.auth.id != "" && title != "secret"',
    fields: [
      { type: 'text', name: 'title', required: true },
      { type: 'select', name: 'state', values: ['draft', 'public'], maxSelect: 1 },
      { type: 'relation', name: 'author', collectionId: '_pb_users_auth_', maxSelect: 1 },
    ],
  });
  await burrow.call('POST', '/api/collections', {
    name: 'comments',
    type: 'base',
    fields: [
      { type: 'relation', name: 'post', collectionId: posts.id, maxSelect: 1 },
      { type: 'editor', name: 'text' },
    ],
  });
  const account = {
    email: 'ann@example.com',
    password: 'a-long-password',
    passwordConfirm: 'a-long-password',
  };
  ann = (await burrow.call<{ id: string }>('POST', '/api/collections/users/records', account)).id;
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

test('the diagram is moved about by mouse and keyboard, and opened from', async () => {
  const v = await visit();
  const { page } = v;
  await story('diagram', v, async () => {
    await signIn(page, burrow, '#/schema');
    const table = page.getByRole('button', { name: /^posts.*author/ });
    await table.waitFor();
    await accessible(page);
    const before = (await table.boundingBox())!;
    await page.mouse.move(before.x + 60, before.y + 12);
    await page.mouse.down();
    await page.mouse.move(before.x + 160, before.y + 92, { steps: 5 });
    await page.mouse.up();
    const after = (await table.boundingBox())!;
    expect(Math.round(after.x - before.x)).toBe(100);
    expect(Math.round(after.y - before.y)).toBe(80);
    await table.focus();
    await page.keyboard.press('ArrowRight');
    expect((await table.boundingBox())!.x).toBeGreaterThan(after.x);
    // The places are kept.
    await page.reload();
    await table.waitFor();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.getByRole('button', { name: 'Arrange anew' }).click();
    await table.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Edit collection' }).waitFor();
    expect(page.url()).toContain('#/data/posts?schema=fields');
  });
});

test('an import is reviewed before it happens', async () => {
  const v = await visit();
  const { page } = v;
  await story('transfer', v, async () => {
    await signIn(page, burrow, '#/schema/transfer');
    await page.getByRole('button', { name: 'None' }).click();
    await page.getByRole('checkbox', { name: 'posts' }).check();
    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    await page.getByText('Copied').waitFor();
    const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as Shape[];
    expect(copied.map((c) => c.name)).toEqual(['posts']);

    const posts = copied[0]!;
    posts.fields = posts.fields.filter((f) => f.name !== 'state');
    posts.fields.push({ id: 'text_subtitle', name: 'subtitle', type: 'text' });
    const tags = { name: 'tags', type: 'base', fields: [{ name: 'label', type: 'text' }] };
    const json = page.getByLabel('Collections as JSON');
    await json.fill('{"no": "name"}');
    await page.getByText('This is not a list of collections').waitFor();
    await json.fill(JSON.stringify([posts, tags]));
    await page.getByText('New tags').waitFor();
    await page.getByLabel('What would change: posts').getByText('"name": "subtitle"').waitFor();
    expect(await page.getByText('would be deleted').count()).toBe(0);
    await accessible(page);
    await page.getByText('Delete collections and fields that the import does not name').click();
    await page.getByText('Deleted comments').waitFor();
    await page.getByText('−state').waitFor();
    await page.getByText('Delete collections and fields that the import does not name').click();
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await page.getByText('Collections imported.').waitFor();
    const now = await burrow.call<Shape>('GET', '/api/collections/posts');
    expect(now.fields.map((f) => f.name)).toEqual(expect.arrayContaining(['title', 'state', 'subtitle']));
    await burrow.call('GET', '/api/collections/tags');

    // The same names under other ids: ours are kept.
    const foreign = {
      ...now,
      id: 'pbc_elsewhere',
      fields: now.fields.map((f) => ({ ...f, id: `x_${f.id}` })),
    };
    await json.fill(JSON.stringify([foreign]));
    await page.getByRole('button', { name: 'Keep our ids' }).click();
    await page.getByText('Nothing: the server has all of this already.').waitFor();
    await json.fill('');
  });
});

test('the API page shows real fields and tries a request as a chosen user', async () => {
  const v = await visit();
  const { page } = v;
  await story('api', v, async () => {
    await signIn(page, burrow, '#/schema/api?c=posts&e=create');
    await page.getByRole('heading', { name: 'Create', exact: true }).waitFor();
    await page.getByRole('row', { name: /^title body text yes/ }).waitFor();
    for (const [tab, code] of [
      ['JavaScript', "pb.collection('posts').create({"],
      ['Dart', "pb.collection('posts').create(body:"],
      ['Python', 'requests.post('],
      ['curl', 'curl -X POST'],
    ] as const) {
      await page.getByRole('tab', { name: tab }).click();
      expect(await page.locator('article pre').first().textContent()).toContain(code);
    }
    await accessible(page);
    // A guest is refused, and learns why in one click; Ann is let in.
    await page.getByLabel('Body').fill('{"title": "From the page"}');
    await page.getByRole('button', { name: 'Send request' }).click();
    await page.getByText(/^400 in \d+ ms/).waitFor();
    const why = page.getByRole('link', { name: 'Why?' });
    expect(await why.getAttribute('href')).toContain('rule=createRule');
    await page.getByLabel('As', { exact: true }).selectOption('users');
    await page.getByRole('textbox', { name: 'Account id' }).fill(ann);
    await page.getByRole('textbox', { name: 'Account id' }).press('Tab');
    await page.getByRole('button', { name: 'Send request' }).click();
    await page.getByText(/^200 in \d+ ms/).waitFor();
    const list = await burrow.call<{ items: { title: string }[] }>('GET', '/api/collections/posts/records');
    expect(list.items.map((r) => r.title)).toEqual(['From the page']);
    await accessible(page);
    // The refused one explains itself.
    await page.getByLabel('Body').fill('{"title": "secret"}');
    await page.getByRole('button', { name: 'Send request' }).click();
    await page.getByText(/^400 in \d+ ms/).waitFor();
    await why.click();
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
    await page.getByText('“secret”').waitFor();
    await page.goto(`${burrow.ui}#/schema/api?c=posts&e=realtime`);
    await page.getByRole('tab', { name: 'WebSocket' }).click();
    await page.getByText("'burrow.v1'").first().waitFor();
  });
});

test('SQL reads by default, and writes only when that is switched on', async () => {
  const v = await visit();
  const { page } = v;
  await story('sql', v, async () => {
    await signIn(page, burrow, '#/sql');
    const editor = page.getByLabel('SQL statement');
    // Tables and columns are completed, those of the tables that are named.
    await editor.pressSequentially('SELECT * FROM po');
    await page.getByRole('option', { name: /^posts/ }).waitFor();
    await accessible(page);
    await editor.press('Tab');
    expect(await editor.inputValue()).toBe('SELECT * FROM posts');
    await editor.pressSequentially(' WHERE ti');
    await page.getByRole('option', { name: /^title/ }).waitFor();
    await editor.press('Escape');
    await editor.fill('SELECT name, type FROM _collections ORDER BY name');
    await editor.press('Control+Enter');
    await page.getByRole('row', { name: /comments/ }).waitFor();
    await accessible(page);
    await page.getByRole('columnheader', { name: 'name' }).getByRole('button').first().click();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByRole('row', { name: /SCAN/ }).waitFor();
    await editor.fill("UPDATE posts SET title = 'x'");
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('The statement failed').waitFor();
    await page.getByText('Read only', { exact: true }).click();
    await page.getByText('There is no undo.').waitFor();
    await page.getByRole('button', { name: 'Run' }).click();
    await accessible(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Run' }).click();
    await page.getByText(/rows? changed in \d+ ms/).waitFor();
    // The history survives the page.
    await page.reload();
    await page.getByRole('button', { name: /SELECT name, type/ }).click();
    expect(await page.getByLabel('SQL statement').inputValue()).toContain('_collections');
    await until('the statement in the address', async () => page.url().includes('q=UPDATE'));
  });
});
