import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

const text = (name: string, more: object = {}) => ({ type: 'text', name, ...more });

/** Rows by the thousand, in one statement. */
async function fill(collection: string, count: number) {
  await burrow.call('POST', '/api/sql', {
    query: `INSERT INTO ${collection} (id, title, rank, kind)
      WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
      SELECT printf('r%014d', i), printf('Row %06d', i), i % 100, CASE i % 3 WHEN 0 THEN 'red' WHEN 1 THEN 'green' ELSE 'blue' END FROM n`,
  });
}
async function make(name: string, count: number, more: object[] = []) {
  await burrow.call('POST', '/api/collections', {
    name,
    type: 'base',
    fields: [
      text('title', { required: true }),
      { type: 'number', name: 'rank', max: 1000 },
      { type: 'select', name: 'kind', values: ['red', 'green', 'blue'], maxSelect: 1 },
      ...more,
    ],
  });
  if (count > 0) await fill(name, count);
}
async function total(collection: string, filter = '') {
  const params = new URLSearchParams({ perPage: '1', fields: 'id', filter });
  const page = await burrow.call<{ totalItems: number }>(
    'GET',
    `/api/collections/${collection}/records?${params}`,
  );
  return page.totalItems;
}
const foot = (page: Page) => page.locator('main footer');

test('many rows are scrolled to the end, in the middle and back', async () => {
  const v = await visit();
  const { page } = v;
  await make('many', 30_000);
  await story('many', v, async () => {
    await signIn(page, burrow, '#/data/many');
    const grid = page.getByRole('grid', { name: 'many' });
    await grid.getByText('Row 029999').waitFor();
    await foot(page).getByText('of 30,000').waitFor();
    await grid.focus();
    await grid.press('End');
    await grid.getByText('Row 000000').waitFor();
    await foot(page).getByText('–30,000 of 30,000').waitFor();
    // The bar goes anywhere at once, and from there on both ways by the row.
    await grid.evaluate((box) => (box.scrollTop = box.scrollHeight / 2));
    await grid
      .getByText(/^Row 0149\d\d$/)
      .first()
      .waitFor();
    for (const by of [-1, 1]) {
      for (let i = 0; i < 12; i++) await grid.evaluate((box, d) => (box.scrollTop += d * 600), by);
      await until('rows in their places', () =>
        grid.evaluate((box) => {
          const top = box.getBoundingClientRect().top + 40;
          const rows = [...box.querySelectorAll<HTMLElement>('[role=row][data-id]')].filter(
            (r) => r.getBoundingClientRect().top > top && r.getBoundingClientRect().bottom < innerHeight - 40,
          );
          return (
            rows.length > 10 &&
            rows.every((r) =>
              r.textContent?.includes(String(30_000 - Number(r.ariaRowIndex)).padStart(6, '0')),
            )
          );
        }),
      );
    }
    await grid.press('Home');
    await grid.getByText('Row 029999').waitFor();
    await accessible(page);
  });
});

test('cells are edited where they stand, and taken back', async () => {
  const v = await visit();
  const { page } = v;
  await make('cells', 40, [{ type: 'json', name: 'meta' }]);
  await story('cells', v, async () => {
    await signIn(page, burrow, '#/data/cells?sort=title');
    const grid = page.getByRole('grid', { name: 'cells' });
    await grid.getByText('Row 000003').dblclick();
    const editor = page.getByRole('textbox', { name: /^title of/ });
    await editor.fill('Renamed');
    await accessible(page);
    // Tab goes on to the next cell.
    await editor.press('Tab');
    const rank = page.getByRole('spinbutton', { name: /^rank of/ });
    await rank.fill('5000');
    await rank.press('Enter');
    await page.getByRole('alert').getByText('Must be less or equal than 1000.').waitFor();
    await accessible(page);
    await rank.fill('77');
    await rank.press('Enter');
    const stored = () =>
      burrow.call<{ title: string; rank: number }>('GET', '/api/collections/cells/records/r00000000000003');
    await until('the change', async () => (await stored()).rank === 77);
    expect((await stored()).title).toBe('Renamed');
    await grid.press('Control+z');
    await until('the rank to be back', async () => (await stored()).rank === 3);
    await page.getByText('Taken back.').waitFor();
    // Somebody has changed the title since: it stays as it is.
    await burrow.call('PATCH', '/api/collections/cells/records/r00000000000003', { title: 'Theirs' });
    await grid.press('Control+z');
    await page.getByText('It was not taken back', { exact: false }).waitFor();
    expect((await stored()).title).toBe('Theirs');
    // What does not fit into a cell is edited in the form, at its field.
    await grid.locator('[data-id=r00000000000005] [data-column=meta]').dblclick();
    await page.locator('aside [data-field=meta] textarea:focus').waitFor();
    // Nothing is written over what another wrote meanwhile.
    await page.keyboard.press('Escape');
    await grid.getByText('Row 000007').dblclick();
    await editor.fill('Mine');
    await burrow.call('PATCH', '/api/collections/cells/records/r00000000000007', { title: 'Other' });
    await editor.press('Enter');
    await page
      .getByRole('alert')
      .getByText('Somebody else has changed title to “Other”', { exact: false })
      .waitFor();
    await editor.press('Escape');
    await grid.getByText('Other').waitFor();
  });
});

test('columns are moved, hidden and sized, filters saved, and all of it kept', async () => {
  const v = await visit();
  const { page } = v;
  await make('shaped', 30);
  await story('shaped', v, async () => {
    await signIn(page, burrow, '#/data/shaped');
    const heads = page.getByRole('columnheader');
    const order = async () =>
      (await heads.allTextContents()).map((s) => s.trim()).filter((s) => s && s !== 'Rest');
    await until('the columns', async () => (await order()).length === 4);
    expect(await order()).toEqual(['id', 'title', 'rank', 'kind']);
    await page.getByRole('columnheader').getByRole('button', { name: 'kind' }).press('Alt+ArrowLeft');
    expect(await order()).toEqual(['id', 'title', 'kind', 'rank']);
    await page
      .getByRole('columnheader', { name: 'rank' })
      .dragTo(page.getByRole('columnheader', { name: 'title' }), { targetPosition: { x: 20, y: 10 } });
    await until('the dragged column', async () => (await order())[1] === 'rank');
    await page.getByRole('button', { name: 'Columns' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'kind' }).click();
    await page.keyboard.press('Escape');
    const bar = page.getByRole('separator', { name: 'Width of title' });
    await bar.focus();
    await bar.press('ArrowRight');
    const filter = page.getByRole('textbox', { name: 'Filter records' });
    await filter.fill('rank = 7');
    await filter.press('Enter');
    await foot(page).getByText('of 1', { exact: false }).waitFor();
    await page.getByRole('button', { name: 'Saved filters' }).click();
    await page.getByLabel('Name of the filter').fill('Sevens');
    await accessible(page);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Sevens', exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.goto(`${burrow.ui}#/data/shaped`);
    await page.reload();
    await until('the columns again', async () => (await order()).join() === 'id,rank,title');
    expect(await page.getByRole('separator', { name: 'Width of title' }).getAttribute('aria-valuenow')).toBe(
      '216',
    );
    await page.getByRole('button', { name: 'Saved filters' }).click();
    await page.getByRole('button', { name: 'Sevens', exact: true }).click();
    await page.getByRole('row', { name: /Row 000007/ }).waitFor();
    expect(page.url()).toContain('filter=rank');
  });
});

test('five thousand rows are edited in one go, taken back, and deleted', async () => {
  const v = await visit();
  const { page } = v;
  await make('bulk', 5_000);
  await story('bulk', v, async () => {
    await signIn(page, burrow, '#/data/bulk');
    await foot(page).getByText('of 5,000').waitFor();
    const calls: string[] = [];
    page.on(
      'request',
      (r) => r.method() !== 'GET' && calls.push(`${r.method()} ${new URL(r.url()).pathname}`),
    );
    const edit = async (rank: string) => {
      await page.getByRole('checkbox', { name: 'Select all' }).check({ force: true });
      await foot(page).getByText('5,000 selected').waitFor();
      await foot(page).getByRole('button', { name: 'Edit' }).click();
      const panel = page.getByRole('complementary');
      await panel.getByLabel('Field to set').selectOption('rank');
      await panel.getByRole('spinbutton', { name: 'rank' }).fill(rank);
      await panel.getByLabel('Field to set').selectOption('kind');
      await panel.getByRole('combobox', { name: 'kind' }).selectOption('red');
      await accessible(page);
      await panel.getByRole('button', { name: 'Set in 5,000 records' }).click();
    };
    const work = page.getByRole('group', { name: 'Progress' });
    // To its end, then taken back; one row was changed by somebody else meanwhile.
    await edit('600');
    await work.getByText('5,000 records edited').waitFor({ timeout: 60_000 });
    expect(await total('bulk', "rank = 600 && kind = 'red'")).toBe(5_000);
    await page.getByRole('grid').getByText('600').first().waitFor();
    await burrow.call('PATCH', '/api/collections/bulk/records/r00000000000042', { rank: 1 });
    await work.getByRole('button', { name: 'Undo' }).click();
    await work.getByText('4,999 records taken back, 1 failed').waitFor({ timeout: 60_000 });
    expect(await total('bulk', 'rank = 600')).toBe(0);
    expect(await total('bulk', "kind = 'red'")).toBe(1_667);
    await work.getByRole('button', { name: 'Show why' }).click();
    await page.getByRole('dialog').getByText('r00000000000042').waitFor();
    await accessible(page);
    await page.keyboard.press('Escape');
    await work.getByRole('button', { name: 'Dismiss' }).click();
    // Deleting waits on the server, and goes on when the page is left.
    const remove = async () => {
      await page.getByRole('checkbox', { name: 'Select all' }).check({ force: true });
      await foot(page).getByRole('button', { name: 'Delete' }).click();
      await work.getByText('5,000 records are deleted in a few seconds.').waitFor();
    };
    await remove();
    await work.getByRole('button', { name: 'Undo' }).click();
    await work.getByText('stopped', { exact: false }).waitFor();
    expect(await total('bulk')).toBe(5_000);
    await work.getByRole('button', { name: 'Dismiss' }).click();
    await remove();
    await page.goto('about:blank');
    await until('the rows to be gone', async () => (await total('bulk')) === 0, 60_000);
    expect(calls.filter((c) => c.endsWith('/bulk'))).toHaveLength(3);
    expect(calls.filter((c) => c.includes('/records'))).toEqual([]);
  });
});

test('a long piece of work is stopped on its way, and what was done is taken back', async () => {
  const v = await visit();
  const { page } = v;
  await make('long', 20_000);
  await story('long', v, async () => {
    await signIn(page, burrow, '#/data/long');
    await foot(page).getByText('of 20,000').waitFor();
    await page.getByRole('checkbox', { name: 'Select all' }).check({ force: true });
    await foot(page).getByRole('button', { name: 'Edit' }).click();
    const panel = page.getByRole('complementary');
    await panel.getByLabel('Field to set').selectOption('rank');
    await panel.getByRole('spinbutton', { name: 'rank' }).fill('500');
    const work = page.getByRole('group', { name: 'Progress' });
    // Pressed by the page itself, at the first number it shows: nobody outside is quick enough for sure.
    const pressed = page.evaluate(
      () =>
        new Promise<boolean>((done) => {
          const look = new MutationObserver(() => {
            const bar = document.querySelector('[role=group][aria-label=Progress]');
            if (
              !bar ||
              !/^Editing: [1-9][\d,]* of 20,000$/.test(bar.querySelector('[role=status]')?.textContent ?? '')
            )
              return;
            look.disconnect();
            const stop = [...bar.querySelectorAll('button')].find((b) => b.textContent?.trim() === 'Stop');
            stop?.click();
            done(bar.querySelector('progress') !== null && stop !== undefined);
          });
          look.observe(document.body, { subtree: true, childList: true, characterData: true });
        }),
    );
    await panel.getByRole('button', { name: 'Set in 20,000 records' }).click();
    expect(await pressed).toBe(true);
    await work.getByText(/edited, stopped$/).waitFor({ timeout: 60_000 });
    const partly = await total('long', 'rank = 500');
    expect(partly).toBeGreaterThan(0);
    expect(partly).toBeLessThan(20_000);
    await accessible(page);
    await work.getByRole('button', { name: 'Undo' }).click();
    await work.getByText(/taken back$/).waitFor({ timeout: 120_000 });
    expect(await total('long', 'rank = 500')).toBe(0);
  });
});

test('a few rows are duplicated and deleted', async () => {
  const v = await visit();
  const { page } = v;
  await make('few', 12);
  await story('few', v, async () => {
    await signIn(page, burrow, '#/data/few?sort=title');
    for (const n of [3, 4, 5])
      await page
        .getByRole('checkbox', { name: `Select r${String(n).padStart(14, '0')}` })
        .check({ force: true });
    await foot(page).getByText('3 selected').waitFor();
    await foot(page).getByRole('button', { name: 'Duplicate' }).click();
    await page.getByText('3 records duplicated').waitFor();
    expect(await total('few')).toBe(15);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await page.getByRole('checkbox', { name: 'Select r00000000000007' }).check({ force: true });
    await page.getByRole('checkbox', { name: 'Select r00000000000008' }).check({ force: true });
    await foot(page).getByRole('button', { name: 'Delete' }).click();
    await page.getByText('2 records deleted.').waitFor();
    await page.getByText('Row 000007').waitFor({ state: 'detached' });
    await page.getByRole('grid').press('Control+z');
    await page.getByText('Row 000007').waitFor();
    expect(await total('few')).toBe(15);
    // Held back, and sent when the page is left.
    await page.getByRole('checkbox', { name: 'Select r00000000000007' }).check({ force: true });
    await page.getByRole('checkbox', { name: 'Select r00000000000008' }).check({ force: true });
    await foot(page).getByRole('button', { name: 'Delete' }).click();
    await page.getByText('2 records deleted.').waitFor();
    await page.goto('about:blank');
    await until('the two to be gone', async () => (await total('few')) === 13);
  });
});

test('two tabs see each other, and merge what they change', async () => {
  const v = await visit();
  const { page } = v;
  await make('pair', 5, [text('note')]);
  await story('pair', v, async () => {
    await signIn(page, burrow, '#/data/pair?sort=title');
    const other = await v.context.newPage();
    await other.goto(`${burrow.ui}#/data/pair?sort=title&record=r00000000000002`);
    await other.getByRole('img', { name: /^Live/ }).waitFor();
    const form = other.getByRole('complementary');
    await form.getByLabel('note').fill('of the other');
    await form.getByLabel('title').fill('Title of the other');
    // The first tab edits the same record in the grid.
    await page.getByText('Row 000002').dblclick();
    const editor = page.getByRole('textbox', { name: /^title of/ });
    await editor.fill('Title of the first');
    await editor.press('Enter');
    // The other sees it at once, in the row and at the field.
    const theirs = form.locator('[data-field=title]').getByRole('alert');
    await theirs.getByText('Title of the first').waitFor();
    await theirs.getByText('Row 000002').waitFor();
    await theirs.getByText('Title of the other').waitFor();
    await accessible(other);
    await theirs.getByRole('button', { name: 'Take theirs' }).click();
    await form.getByRole('button', { name: 'Save record' }).click();
    await other.getByText('Saved.').waitFor();
    expect(await burrow.call('GET', '/api/collections/pair/records/r00000000000002')).toMatchObject({
      title: 'Title of the first',
      note: 'of the other',
    });
    await page.getByRole('row', { name: /of the other/ }).waitFor();
    await page.getByTitle('Changed by someone else since you looked').first().waitFor();
    // With the stream cut, saving finds out: nothing is lost, and what clashes is shown.
    await form.getByLabel('title').fill('Again');
    await other.route('**/api/realtime', (r) => r.abort());
    await burrow.call('PATCH', '/api/collections/pair/records/r00000000000002', { rank: 9 });
    await form.getByRole('button', { name: 'Save record' }).click();
    await until('both changes', async () => {
      const now = await burrow.call<{ title: string; rank: number }>(
        'GET',
        '/api/collections/pair/records/r00000000000002',
      );
      return now.title === 'Again' && now.rank === 9;
    });
  });
});

const nasty: Record<string, string> = {
  html: '<img src=x onerror="window.hacked=1"><b>bold</b>',
  script: '</textarea><script>window.hacked=1</script>',
  rtl: 'שלום עולם مرحبا بالعالم',
  override: 'safe\u202Egnp.exe',
  emoji: '👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301',
  quotes: '"\'`${window.hacked=1}',
  null: 'null',
};

test('values that are markup, huge or strange are text', async () => {
  const v = await visit();
  const { page } = v;
  await burrow.call('POST', '/api/collections', {
    name: 'nasty',
    type: 'base',
    fields: [
      text('title', { max: 200_000 }),
      { type: 'editor', name: 'body' },
      { type: 'json', name: 'meta' },
      { type: 'url', name: 'link' },
      { type: 'select', name: 'kind', values: ['<i>a</i>', 'b'], maxSelect: 1 },
    ],
  });
  for (const [name, value] of Object.entries({ ...nasty, huge: 'x'.repeat(150_000) }))
    await burrow.call('POST', '/api/collections/nasty/records', {
      id: name.padEnd(15, '0'),
      title: value,
      body: value,
      meta: { [value.slice(0, 1000)]: [null, value.slice(0, 1000)] },
      kind: '<i>a</i>',
    });
  // What a field does not allow may still stand in the database.
  await burrow.call('POST', '/api/sql', {
    query:
      "UPDATE nasty SET link = 'javascript:window.hacked=1', meta = 'not json' WHERE id = 'null00000000000'",
  });
  await story('nasty', v, async () => {
    await signIn(page, burrow, '#/data/nasty');
    const grid = page.getByRole('grid', { name: 'nasty' });
    await grid.getByText(nasty.html!).first().waitFor();
    await grid.getByText(nasty.script!).first().waitFor();
    await grid.getByText(nasty.rtl!).first().waitFor();
    expect(await grid.locator('img, b, script, i').count()).toBe(0);
    await accessible(page);
    for (const name of [...Object.keys(nasty), 'huge']) {
      await page.goto(`${burrow.ui}#/data/nasty?record=${name.padEnd(15, '0')}`);
      const form = page.getByRole('complementary');
      const title = form.getByLabel('title');
      await until(`the title of ${name}`, async () =>
        name === 'huge'
          ? (await title.inputValue()).length === 150_000
          : (await title.inputValue()) === nasty[name],
      );
      await form.locator('[data-field=body] [role=textbox], [data-field=body] textarea').first().waitFor();
      await form.getByRole('button', { name: 'Preview' }).click();
    }
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
    await accessible(page);
    // The browser says that it has blocked what the preview would have run.
    const blocked = /about:srcdoc|inline event handler/;
    v.complaints.splice(0, v.complaints.length, ...v.complaints.filter((c) => !blocked.test(c)));
  });
});

test('rich text, a map and files in one form', async () => {
  const v = await visit();
  const { page } = v;
  await make('rich', 0, [
    { type: 'editor', name: 'body' },
    { type: 'geoPoint', name: 'place' },
    { type: 'date', name: 'due' },
    { type: 'file', name: 'pics', maxSelect: 5 },
  ]);
  await story('rich', v, async () => {
    // The editor comes late: until then there is nothing to type into that would be taken away.
    let come = () => {};
    const late = new Promise<void>((done) => (come = done));
    await page.route('**/assets/RichText-*.js', (r) => late.then(() => r.continue()));
    await signIn(page, burrow, '#/data/rich?new=1');
    const form = page.getByRole('complementary');
    await form.getByLabel('title').fill('Rich');
    const body = form.getByRole('textbox', { name: 'body' });
    await form.locator('[data-field=body]').getByRole('status', { name: 'Loading' }).waitFor();
    expect(await body.count()).toBe(0);
    come();
    await body.click();
    await page.keyboard.type('Hello ');
    await page.keyboard.press('Control+b');
    await page.keyboard.type('there');
    await form.getByRole('button', { name: 'Bullet list' }).click();
    await page.keyboard.press('Enter');
    await page.keyboard.type('friend');
    // The map follows the numbers, and the numbers the map.
    const map = form.getByRole('application');
    await map.scrollIntoViewIfNeeded();
    await map.click({ position: { x: 40, y: 40 } });
    await until('a place in the north-west', async () => {
      const lon = Number(await form.getByLabel('Longitude').inputValue());
      const lat = Number(await form.getByLabel('Latitude').inputValue());
      return lon < -90 && lat > 30;
    });
    await form.getByLabel('Longitude').fill('16.37');
    await form.getByLabel('Latitude').fill('48.2');
    await form.getByRole('button', { name: 'Now' }).click();
    const dot = Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC',
      'base64',
    );
    await form.locator('input[type=file]').setInputFiles([
      { name: 'one.png', mimeType: 'image/png', buffer: dot },
      { name: 'two.png', mimeType: 'image/png', buffer: dot },
    ]);
    await until('a picture before it is sent', () =>
      form
        .locator('img.fresh')
        .first()
        .evaluate((i: HTMLImageElement) => i.naturalWidth === 1),
    );
    await accessible(page);
    await form.getByRole('button', { name: 'Create record' }).click();
    await page.getByText(/^Record \w+ created\.$/).waitFor();
    const { items } = await burrow.call<{ items: Record<string, unknown>[] }>(
      'GET',
      '/api/collections/rich/records',
    );
    expect(items[0]).toMatchObject({
      body: '<ul><li><p>Hello <strong>there</strong></p></li><li><p><strong>friend</strong></p></li></ul>',
      place: { lon: 16.37, lat: 48.2 },
    });
    expect(items[0]!.due).not.toBe('');
    // The order of files is theirs to choose.
    await form
      .getByRole('button', { name: /^Move two_/ })
      .first()
      .click();
    await form.getByRole('button', { name: 'Save record' }).click();
    await page.getByText('Saved.').waitFor();
    const after = await burrow.call<{ pics: string[] }>(
      'GET',
      `/api/collections/rich/records/${String(items[0]!.id)}`,
    );
    expect(after.pics.map((n) => n.slice(0, 3))).toEqual(['two', 'one']);
    // HTML that the editor does not know is not touched.
    await burrow.call('PATCH', `/api/collections/rich/records/${String(items[0]!.id)}`, {
      body: '<table><tr><td>kept</td></tr></table>',
    });
    await form.getByText('HTML that the editor does not know', { exact: false }).waitFor();
    await accessible(page);
  });
});

test('all of it by the keyboard', async () => {
  const v = await visit();
  const { page } = v;
  await make('keys', 300);
  await story('keys', v, async () => {
    await signIn(page, burrow, '#/data/keys?sort=title');
    await page.getByText('Row 000000').waitFor();
    // A filter, completed.
    await page.keyboard.press('/');
    await page.keyboard.type('ran');
    await page.getByRole('option', { name: /rank/ }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.type(' = 5');
    await page.keyboard.press('Enter');
    await foot(page).getByText('of 3', { exact: false }).waitFor();
    await page.keyboard.press('Escape');
    // Down to a row, across to a cell, into it.
    await page.keyboard.press('j');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('F2');
    await page.keyboard.type('By key');
    await page.keyboard.press('Enter');
    await page.getByText('By key').waitFor();
    await until('the change', async () => (await total('keys', "title = 'By key'")) === 1);
    await page.keyboard.press('Control+z');
    await until('the change to be undone', async () => (await total('keys', "title = 'By key'")) === 0);
    // Selected, edited together, taken back.
    await page.keyboard.press('A');
    await foot(page).getByText('3 selected').waitFor();
    await page.keyboard.press('b');
    const choose = page.getByLabel('Field to set');
    await choose.focus();
    await choose.selectOption('title');
    await page.getByRole('textbox', { name: 'title', exact: true }).fill('Together');
    await page.getByRole('button', { name: 'Set in 3 records' }).press('Enter');
    await page.getByText('3 records edited').waitFor();
    expect(await total('keys', "title = 'Together'")).toBe(3);
    await page.getByRole('grid').focus();
    await page.keyboard.press('Control+z');
    await until('the three to be back', async () => (await total('keys', "title = 'Together'")) === 0);
    // The open record follows the arrows; escape closes it.
    await page.getByRole('grid').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('complementary').waitFor();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Escape');
    await page.getByRole('complementary').waitFor({ state: 'detached' });
    await accessible(page);
  });
});

test('the same on a phone', async () => {
  const v = await visit({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  const { page } = v;
  await make('phone', 2_000);
  await story('phone', v, async () => {
    await signIn(page, burrow, '#/data/phone');
    const grid = page.getByRole('grid', { name: 'phone' });
    await grid.getByText('Row 001999').waitFor();
    await accessible(page);
    await grid.evaluate((box) => (box.scrollTop = box.scrollHeight));
    await grid.getByText('Row 000000').waitFor();
    await grid.getByText('Row 000001').tap();
    const form = page.getByRole('complementary');
    await form.getByLabel('title').fill('By thumb');
    await accessible(page);
    await form.getByRole('button', { name: 'Save record' }).tap();
    await until('the change', async () => (await total('phone', "title = 'By thumb'")) === 1);
    await form.getByRole('button', { name: 'Close' }).tap();
    await page.getByRole('checkbox', { name: 'Select r00000000000001' }).check({ force: true });
    await foot(page).getByRole('button', { name: 'Delete' }).tap();
    await page.getByText('1 record deleted.').waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Undo' }).tap();
    await grid.getByText('By thumb').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  });
});
