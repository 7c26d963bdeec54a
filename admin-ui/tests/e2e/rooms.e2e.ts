import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  accessible,
  closeBrowser,
  signIn,
  start,
  story,
  until,
  visit,
  EMAIL,
  PASSWORD,
  type Burrow,
} from './support';

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    fields: [
      { type: 'text', name: 'title', required: true },
      { type: 'number', name: 'rank' },
      { type: 'text', name: 'owner' },
    ],
  });
  for (let i = 0; i < 140; i++)
    await burrow.call('POST', '/api/collections/notes/records', {
      title: `Note ${String(i).padStart(3, '0')}`,
      rank: i % 7,
    });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

test('signing in says what is wrong and comes back in place', async () => {
  const v = await visit();
  const { page } = v;
  await story('sign in', v, async () => {
    const account = { email: 'other@example.com', password: PASSWORD, passwordConfirm: PASSWORD };
    const other = await burrow.call<{ id: string }>('POST', '/api/collections/_superusers/records', account);
    await page.goto(`${burrow.ui}#/data/notes?sort=title`);
    await page.getByRole('heading', { name: 'Sign in to Burrow' }).waitFor();
    await page.getByLabel('Email').fill(account.email);
    await page.getByLabel('Password', { exact: true }).fill('wrong');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').getByText('Email or password is wrong.').waitFor();
    await accessible(page);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password', { exact: true }).press('Enter');
    // The deep link is still there.
    await page.getByRole('row', { name: /Note 000/ }).click();
    const form = page.getByRole('complementary');
    await form.getByLabel('title').fill('Typed before the end');

    // Every token of the superuser dies while a form is open.
    await burrow.call('PATCH', `/api/collections/_superusers/records/${other.id}`, {
      password: `${PASSWORD}2`,
      passwordConfirm: `${PASSWORD}2`,
    });
    await form.getByRole('button', { name: 'Save record' }).click();
    const dialog = page.getByRole('dialog', { name: 'Your session ended' });
    await dialog.getByLabel('Password', { exact: true }).fill(`${PASSWORD}2`);
    await accessible(page);
    await dialog.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('Saved.', { exact: true }).waitFor();
    await form.getByRole('heading', { name: 'Typed before the end' }).waitFor();

    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in to Burrow' }).waitFor();
  });
});

test('rules: unlock, complete, refuse, save', async () => {
  const v = await visit();
  const { page } = v;
  await story('rules', v, async () => {
    await signIn(page, burrow, '#/data/notes?schema=rules');
    const panel = page.getByRole('complementary');
    await panel.getByRole('button', { name: 'List and search' }).click();
    const rule = panel.getByRole('textbox', { name: 'List and search' });
    await panel.getByText('Anyone on the internet can do this without signing in.').waitFor();
    await rule.pressSequentially('own');
    await page.getByRole('option', { name: /^owner/ }).waitFor();
    await accessible(page);
    await rule.press('Tab');
    expect(await rule.inputValue()).toBe('owner');
    await rule.pressSequentially(' = @request.au');
    await page.getByRole('option', { name: /@request\.auth\./ }).waitFor();
    await rule.press('Tab');
    await rule.pressSequentially('id && nonsense = 1');
    await rule.blur();
    await panel.getByRole('button', { name: 'Save collection' }).click();
    await panel
      .locator('[data-error]')
      .getByText(/Invalid rule/)
      .waitFor();
    await accessible(page);
    await rule.fill('owner = @request.auth.id &&');
    await rule.blur();
    await panel.getByText('A field, a value or a macro is missing here.').waitFor();
    await rule.fill('owner = @request.auth.id');
    await panel.getByRole('button', { name: 'Save collection' }).click();
    await page.getByText('Collection notes saved.').waitFor();
    const saved = await burrow.call<{ listRule: string; viewRule: string | null }>(
      'GET',
      '/api/collections/notes',
    );
    expect(saved).toMatchObject({ listRule: 'owner = @request.auth.id', viewRule: null });
  });
});

test('a view collection with a preview while typing', async () => {
  const v = await visit();
  const { page } = v;
  await story('view', v, async () => {
    await signIn(page, burrow, '#/data/notes?create=view');
    const panel = page.getByRole('complementary');
    await panel.getByLabel('Name', { exact: true }).fill('ranks');
    const sql = panel.getByRole('textbox', { name: 'SQL query' });
    await sql.fill('SELECT nothing FROM notes');
    await panel.getByText(/Invalid view query/).waitFor();
    await sql.fill('SELECT id, rank, count(id) AS many FROM notes GROUP BY rank');
    await panel.getByText('3 fields, 7 rows').waitFor();
    await accessible(page);
    await panel.getByRole('button', { name: 'Create collection' }).click();
    await page.getByText('Collection ranks created.').waitFor();
    await page.getByRole('grid', { name: 'ranks' }).waitFor();
    await page.getByRole('row').nth(1).click();
    await panel.getByText('A view is read-only.').waitFor();
    await accessible(page);
  });
});

test('many records: scroll, filter, sort, select', async () => {
  const v = await visit();
  const { page } = v;
  await story('many', v, async () => {
    await signIn(page, burrow, '#/data/notes?sort=title');
    const grid = page.getByRole('grid', { name: 'notes' });
    await grid.waitFor();
    await page.getByText(/of 140/).waitFor();
    // Rows that are not on screen are not in the page.
    expect(await grid.getByRole('row').count()).toBeLessThan(60);
    await grid.focus();
    await page.keyboard.press('End');
    await until('the second page', async () => {
      await page.keyboard.press('End');
      return (await grid.getByRole('row', { name: /Note 139/ }).count()) > 0;
    });

    const filter = page.getByRole('textbox', { name: 'Filter records' });
    await filter.fill('rank = 3 &&');
    await filter.blur();
    await page.getByText('A field, a value or a macro is missing here.').waitFor();
    await filter.fill('rank = 3 && title ~ "Note 0"');
    await filter.press('Enter');
    await page.getByText(/of 14$/).waitFor();
    expect(page.url()).toContain('filter=');
    await grid.getByRole('columnheader', { name: 'title' }).getByRole('button').click();
    await until('the sort in the address', async () => page.url().includes('sort=-title'));
    expect(await grid.getByRole('columnheader', { name: 'title' }).getAttribute('aria-sort')).toBe(
      'descending',
    );
    await filter.fill('nothing = 1');
    await filter.press('Enter');
    await page.getByText('The server does not understand this filter.', { exact: false }).waitFor();
    await accessible(page);
    await filter.fill('no such words');
    await filter.press('Enter');
    await page.getByText('No record matches').waitFor();
    await page.getByRole('button', { name: 'Clear', exact: true }).first().click();
    await page.getByText(/of 140/).waitFor();

    await page.getByRole('button', { name: 'Columns' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'owner' }).click();
    await page.keyboard.press('Escape');
    await grid.getByRole('columnheader', { name: 'owner' }).waitFor({ state: 'detached' });

    await page
      .getByRole('checkbox', { name: /^Select \w/ })
      .nth(1)
      .check();
    await page
      .getByRole('checkbox', { name: /^Select \w/ })
      .nth(3)
      .click({ modifiers: ['Shift'] });
    await page.getByText('3 selected').waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('3 records deleted.').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.reload();
    await page.getByText(/of 140/).waitFor();
  });
});

test('with the keyboard only', async () => {
  const v = await visit();
  const { page } = v;
  await story('keyboard', v, async () => {
    await page.goto(burrow.ui);
    await page.getByLabel('Email').waitFor();
    await page.keyboard.type(EMAIL);
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Main' }).waitFor();

    await page.keyboard.press('Control+k');
    await page.getByRole('dialog').getByRole('combobox').waitFor();
    await accessible(page);
    await page.keyboard.type('notes');
    await page.getByRole('option', { name: /notes/ }).first().waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'notes' }).waitFor();
    await page.getByRole('row', { name: /Note/ }).first().waitFor();

    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });

    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    const form = page.getByRole('complementary');
    await form.getByRole('button', { name: 'Save record' }).waitFor();
    await page.keyboard.press('Escape');
    await form.waitFor({ state: 'detached' });

    await page.keyboard.press('n');
    await form.getByRole('button', { name: 'Create record' }).waitFor();
    await form.getByLabel('title').focus();
    await page.keyboard.type('By hand');
    await page.keyboard.press('Control+s');
    await page.getByText(/^Record \w+ created\.$/).waitFor();
    await page.keyboard.press('Escape');
    await form.waitFor({ state: 'detached' });

    await page.keyboard.press('/');
    await page.keyboard.type('By hand');
    await page.keyboard.press('Enter');
    await page.getByText(/^1–1 of 1$/).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('e');
    await until(
      'the first input to have the focus',
      async () => (await page.locator(':focus').inputValue()) === 'By hand',
    );
    await page.keyboard.press('End');
    await page.keyboard.type(' again');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'You have unsaved changes' }).waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Keep editing' }).press('Enter');
    await page.keyboard.press('Control+s');
    await page.getByText('Saved.', { exact: true }).waitFor();
  });
});

test('on a phone, in the dark', async () => {
  const v = await visit({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    colorScheme: 'dark',
  });
  const { page } = v;
  await story('phone', v, async () => {
    await signIn(page, burrow, '#/data/notes?sort=title');
    await page
      .getByRole('row', { name: /Note 00/ })
      .first()
      .waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await accessible(page);
    await page.getByRole('button', { name: 'Show the list of collections' }).tap();
    await accessible(page);
    await page.getByRole('link', { name: 'users' }).tap();
    await page.getByText('No records yet').waitFor();
    await page.getByRole('button', { name: 'New record' }).first().tap();
    const form = page.getByRole('complementary');
    await form.getByLabel('email', { exact: false }).first().fill('phone@example.com');
    await form.getByRole('button', { name: 'Generate' }).tap();
    await accessible(page);
    await form.getByRole('button', { name: 'Create record' }).tap();
    await page.getByText(/^Record \w+ created\.$/).waitFor();
    await form.getByRole('button', { name: 'Close', exact: true }).tap();
    await page.getByRole('row', { name: /phone@example\.com/ }).waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  });
});
