import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
let ann = '';
let note = '';
const RULE = 'owner = @request.auth.id && (status = "open" || @request.auth.verified = true)';

beforeAll(async () => {
  burrow = await start({ superuser: true });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    listRule: RULE,
    viewRule: RULE,
    deleteRule: '',
    fields: [
      { type: 'text', name: 'title' },
      { type: 'text', name: 'status' },
      { type: 'email', name: 'contact' },
      { type: 'relation', name: 'owner', collectionId: '_pb_users_auth_', maxSelect: 1 },
    ],
  });
  // Who was signed in is logged only where the owner wants it.
  await burrow.call('PATCH', '/api/settings', { logs: { logAuthId: true } });
  const account = {
    email: 'ann@example.com',
    password: 'a-long-password',
    passwordConfirm: 'a-long-password',
  };
  ann = (await burrow.call<{ id: string }>('POST', '/api/collections/users/records', account)).id;
  const values = { title: '<img src=x onerror=alert(1)>', status: 'closed', owner: ann };
  note = (await burrow.call<{ id: string }>('POST', '/api/collections/notes/records', values)).id;
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

test('a log is zoomed to a failed request, and the refusal explains itself', async () => {
  const v = await visit();
  const { page } = v;
  await story('refusal explained', v, async () => {
    const answer = await fetch(`${burrow.api}/api/collections/users/auth-with-password`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ identity: 'ann@example.com', password: 'a-long-password' }),
    });
    const { token } = (await answer.json()) as { token: string };
    const refused = await fetch(`${burrow.api}/api/collections/notes/records/${note}`, {
      headers: { Authorization: token },
    });
    expect(refused.status).toBe(404);
    await until('the line in the log', async () => {
      const page = await burrow.call<{ items: unknown[] }>('GET', '/api/logs?filter=data.status=404');
      return page.items.length > 0;
    });

    await signIn(page, burrow, '#/logs');
    const chart = page.getByRole('img', { name: 'Requests over time' });
    await page.locator('figure rect.bad[height]:not([height="0"])').first().waitFor();
    await accessible(page);
    // Drag over the last bars: what happened just now.
    const box = (await chart.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.9, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 2, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await until('the zoom in the address', async () => /from=\d+&to=\d+/.test(page.url()));
    await page.getByText('Failed only').click();
    await page.getByRole('row', { name: new RegExp(`GET /api/collections/notes/records/${note}`) }).click();
    const panel = page.getByRole('complementary');
    await panel.getByText('What did not hold').waitFor();
    await panel.getByText('status = "open" || @request.auth.verified = true', { exact: true }).waitFor();
    expect(await panel.getByRole('link', { name: 'Open the record' }).getAttribute('href')).toContain(note);
    expect(await panel.getByRole('link', { name: 'Open the caller' }).getAttribute('href')).toContain(ann);
    await accessible(page);

    await panel.getByRole('link', { name: 'Why was this refused?' }).click();
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
    await page.getByText('The rule was run again on today’s state').waitFor();
    const result = page.getByRole('region', { name: 'The request is refused' });
    await result.getByText('At least one of these').waitFor();
    await result.getByText('“closed”').waitFor();
    await accessible(page);

    // Another rule is tried on the same record; nothing is saved.
    const rule = page.getByRole('textbox', { name: 'Rule text' });
    await rule.fill('owner = @request.auth.id');
    await page.getByRole('heading', { name: 'The request passes' }).waitFor();
    await page.getByLabel('Who comes').selectOption('');
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
    await rule.fill('title = "x" && nonsense = 1');
    await page.getByText('The rule does not resolve any more').waitFor();
    const saved = await burrow.call<{ viewRule: string }>('GET', '/api/collections/notes');
    expect(saved.viewRule).toBe(RULE);
    // What a record holds is text, whatever it says.
    await rule.fill('title = "x"');
    await page.getByText('“<img src=x onerror=alert(1)>”').waitFor();
  });
});

test('a rule is explained from nothing but the keyboard and the pickers', async () => {
  const v = await visit();
  const { page } = v;
  await story('explain', v, async () => {
    await signIn(page, burrow, '#/schema/explain');
    await page.getByLabel('Collection').selectOption('notes');
    await page.getByText('Name a record to see which clauses hold.').waitFor();
    await page.getByLabel('Who comes').selectOption('users');
    await page.getByRole('button', { name: 'Choose: Account id' }).click();
    await page.getByRole('dialog').getByRole('button', { name: ann }).click();
    await page.getByRole('button', { name: 'Choose: Record id' }).click();
    await page.getByRole('dialog').getByRole('button', { name: note }).click();
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
    await page.getByLabel('Rule', { exact: true }).selectOption('updateRule');
    await page.getByText('The rule is locked: superusers only.').waitFor();
    await page.getByLabel('Rule', { exact: true }).selectOption('createRule');
    await page
      .getByRole('textbox', { name: 'Rule text' })
      .fill('title != "" && @request.body.status:isset = false');
    await page.getByLabel('Submitted values').fill('{"title": "a", "status": "b"}');
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
    await page.getByLabel('Submitted values').fill('{"title": "a"}');
    await page.getByRole('heading', { name: 'The request passes' }).waitFor();
    // Everything is in the address.
    await page.reload();
    await page.getByRole('heading', { name: 'The request passes' }).waitFor();
    await accessible(page);
  });
});

test('what stands open is listed, and leads to its rule', async () => {
  const v = await visit();
  const { page } = v;
  await story('exposed', v, async () => {
    await signIn(page, burrow, '#/schema/exposed');
    const danger = page.getByRole('region', { name: /^Danger/ });
    await danger.getByText('Anybody can delete every record without signing in.').waitFor();
    await accessible(page);
    await page.getByRole('tab', { name: 'Rules' }).click();
    await page.getByRole('link', { name: 'Everyone : notes, Delete' }).waitFor();
    await accessible(page);
    await page.getByRole('link', { name: 'Everyone : notes, Delete' }).click();
    await page.getByRole('complementary').getByRole('textbox', { name: 'Delete' }).waitFor();
  });
});
