import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
let ann: string;
beforeAll(async () => {
  burrow = await start({ superuser: true });
  const account = {
    email: 'ann@example.com',
    password: 'a-long-password',
    passwordConfirm: 'a-long-password',
  };
  ann = (await burrow.call<{ id: string }>('POST', '/api/collections/users/records', account)).id;
  await burrow.call('POST', '/api/sql', {
    query: `INSERT INTO _externalAuths (id, collectionRef, recordRef, provider, providerId, created, updated)
      SELECT 'link00000000001', id, '${ann}', 'github', '4711', '2026-01-01 00:00:00.000Z', '2026-01-01 00:00:00.000Z'
      FROM _collections WHERE name = 'users'`,
  });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    fields: [
      { type: 'text', name: 'title' },
      { type: 'text', name: 'body' },
    ],
  });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});
const me = (token: string) =>
  fetch(`${burrow.api}/api/collections/users/auth-refresh`, {
    method: 'POST',
    headers: { Authorization: token },
  });

test('an account from the inside: act as it, end its tokens, unlink its sign-ins', async () => {
  const v = await visit();
  const { page } = v;
  await story('person', v, async () => {
    await signIn(page, burrow, `#/data/users?record=${ann}`);
    const form = page.getByRole('complementary');
    await form.getByText('4711').waitFor();
    await form.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Send a verification mail' }).waitFor();
    await page.getByRole('menuitem', { name: 'Send a password reset mail' }).waitFor();
    await page.getByRole('menuitem', { name: 'Act as this account' }).click();
    const dialog = page.getByRole('dialog', { name: /A token to act as/ });
    await dialog.getByLabel('Seconds that it works').fill('600');
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    const token = (await dialog.locator('pre').first().textContent()) ?? '';
    const claims = JSON.parse(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'))) as {
      id: string;
      exp: number;
    };
    expect(claims.id).toBe(ann);
    const seen = (path: string) =>
      fetch(`${burrow.api}${path}`, { headers: { Authorization: token } }).then((r) => r.status);
    expect(await seen(`/api/collections/users/records/${ann}`)).toBe(200);
    await accessible(page);
    await dialog.getByRole('button', { name: 'Close' }).click();

    await form.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Sign out everywhere' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByText('All tokens of this account ended.').waitFor();
    // A guest may not see it: the token says nothing any more.
    expect(await seen(`/api/collections/users/records/${ann}`)).toBe(404);
    expect((await me(token)).status).toBe(401);

    await form.getByRole('button', { name: 'Unlink github' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Unlink github' }).click();
    await form.getByText('4711').waitFor({ state: 'detached' });
    const left = await burrow.call<{ items: unknown[] }>('GET', '/api/collections/_externalAuths/records');
    expect(left.items).toEqual([]);
    await accessible(page);
  });
});

test('what was typed and not saved is offered back after an accident, never a password', async () => {
  const v = await visit();
  const { page } = v;
  await story('draft', v, async () => {
    await signIn(page, burrow, '#/data/notes?new=1');
    await page.getByRole('complementary').getByLabel('title').fill('Half a thought');
    const stored = () =>
      page.evaluate(() => Object.entries(localStorage).filter(([k]) => k.includes('draft')));
    await until('the draft in the browser', async () => (await stored()).length === 1);
    // The tab is gone without a word, as when the browser or the machine dies.
    const second = await v.context.newPage();
    await page.close({ runBeforeUnload: false });
    await second.goto(`${burrow.ui}#/data/notes?new=1`);
    const form = second.getByRole('complementary');
    await form.getByText('Something was typed here before').waitFor();
    await accessible(second);
    await form.getByRole('button', { name: 'Restore it' }).click();
    expect(await form.getByLabel('title').inputValue()).toBe('Half a thought');
    await form.getByRole('button', { name: 'Create record' }).click();
    await second.getByText(/^Record \w+ created\.$/).waitFor();
    const left = () => second.evaluate(() => Object.keys(localStorage).filter((k) => k.includes('draft')));
    await until('nothing left behind', async () => (await left()).length === 0);

    await second.goto(`${burrow.ui}#/data/users?new=1`);
    await form.getByLabel('email', { exact: false }).first().fill('bob@example.com');
    await form.getByRole('button', { name: 'Generate' }).click();
    await until('the draft', async () => (await left()).length === 1);
    const kept = await second.evaluate(() => JSON.stringify({ ...localStorage }));
    const password = await second.evaluate(() => navigator.clipboard.readText());
    expect(password.length).toBeGreaterThan(10);
    expect(kept).toContain('bob@example.com');
    expect(kept).not.toContain(password);
  });
});

test('a new server starts from the backup of another', async () => {
  await burrow.call('POST', '/api/backups', { name: 'other.zip' });
  const token = (await burrow.call<{ token: string }>('POST', '/api/files/token')).token;
  const zip = await fetch(`${burrow.api}/api/backups/other.zip?token=${token}`);
  const path = join(tmpdir(), `burrow-other-${process.pid}.zip`);
  writeFileSync(path, Buffer.from(await zip.arrayBuffer()));
  const fresh = await start({ superuser: false });
  const v = await visit();
  const { page } = v;
  await story('installer from a backup', v, async () => {
    await page.goto(fresh.ui + (await fresh.installer()));
    await page.getByRole('heading', { name: 'Create the first superuser' }).waitFor();
    await accessible(page);
    await page.getByLabel('Choose a backup (ZIP)').setInputFiles(path);
    const reloaded = page.waitForEvent('load', { timeout: 60_000 });
    await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
    await reloaded;
    await signIn(page, fresh, '#/data/users');
    await page.getByRole('row', { name: /ann@example\.com/ }).waitFor();
    await accessible(page);
  });
  await fresh.stop();
});
