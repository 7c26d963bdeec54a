import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, visit, type Burrow } from './support';

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

async function total(filter = '') {
  const params = new URLSearchParams({ perPage: '1', fields: 'id', filter });
  const page = await burrow.call<{ totalItems: number }>('GET', `/api/collections/goods/records?${params}`);
  return page.totalItems;
}

/** Every 769th row has something wrong: 13 of 10,000. */
function csv(): string {
  const lines = ['Title;Price;Kind;Remark'];
  for (let i = 1; i <= 10_000; i++)
    lines.push(i % 769 === 0 ? `Row ${i};5000;red;bad` : `"Row ${i}; ""quoted""";${i % 100};blue;fine`);
  return lines.join('\r\n');
}

test('ten thousand rows of a CSV come in, thirteen bad ones are told, and they go out again', async () => {
  await burrow.call('POST', '/api/collections', {
    name: 'goods',
    type: 'base',
    fields: [
      { type: 'text', name: 'title', required: true },
      { type: 'number', name: 'price', max: 1000 },
      { type: 'select', name: 'kind', values: ['red', 'blue'], maxSelect: 1 },
    ],
    indexes: ['CREATE UNIQUE INDEX `idx_goods_title` ON `goods` (`title`)'],
  });
  const v = await visit();
  const { page } = v;
  await story('import', v, async () => {
    await signIn(page, burrow, '#/data/goods');
    await page.getByText('No records yet').waitFor();
    await page.getByRole('button', { name: 'Import, export' }).click();
    await page.getByRole('menuitem', { name: 'Import records' }).click();
    const panel = page.getByRole('complementary');
    await panel.getByText('Drop a CSV, JSON or NDJSON file here', { exact: false }).waitFor();
    await accessible(page);
    const file = { name: 'goods.csv', mimeType: 'text/csv', buffer: Buffer.from(csv()) };
    await panel.locator('input[type=file]').setInputFiles(file);
    // Columns find their fields; what means none is left out.
    expect(await panel.getByLabel('Field for Title').inputValue()).toBe('title');
    expect(await panel.getByLabel('Field for Price').inputValue()).toBe('price');
    expect(await panel.getByLabel('Field for Remark').inputValue()).toBe('');
    await accessible(page);
    await panel.getByRole('button', { name: 'Try without saving' }).click();
    await panel
      .getByText('Tried: 9,987 records would be made, 0 changed, 13 rows refused. Nothing was saved.')
      .waitFor({ timeout: 120_000 });
    expect(await panel.getByRole('cell', { name: 'Must be less or equal than 1000.' }).count()).toBe(13);
    await panel.getByRole('cell', { name: '769', exact: true }).first().waitFor();
    await accessible(page);
    expect(await total()).toBe(0);
    await panel.getByRole('button', { name: 'Import', exact: true }).click();
    await panel.getByText('9,987 records made, 0 changed, 13 rows refused.').waitFor({ timeout: 120_000 });
    expect(await total()).toBe(9_987);
    await page.getByRole('grid').getByText('Row 10000; "quoted"').waitFor();
    await page.locator('main footer').getByText('of 9,987').waitFor();
    // The same again, by title: nothing new, and all or nothing.
    await panel.getByLabel('Records that are there already').selectOption('title');
    await panel.getByLabel('If a row is refused').selectOption('undo');
    await panel.getByRole('button', { name: 'Import', exact: true }).click();
    await panel
      .getByText('Nothing was imported, since 1 row was refused.')
      .or(panel.getByText('Nothing was imported, since 13 rows were refused.'))
      .waitFor({ timeout: 120_000 });
    // Pasted rows.
    await panel.getByRole('button', { name: 'Choose another file' }).click();
    await panel.getByLabel('Or paste rows').fill('[{"title": "Pasted", "price": 3}]');
    await panel.getByLabel('Or paste rows').press('Tab');
    await panel.getByRole('button', { name: 'Import', exact: true }).click();
    await panel.getByText('1 record made, 0 changed, 0 rows refused.').waitFor();
    expect(await total("title = 'Pasted'")).toBe(1);
    await panel.getByRole('button', { name: 'Close' }).first().click();
    // Out again: what is listed, and no more.
    await page.goto(`${burrow.ui}#/data/goods?filter=price < 2`);
    await page
      .locator('main footer')
      .getByText(/of 200$/)
      .waitFor();
    const matching = await total('price < 2');
    await page.getByRole('button', { name: 'Import, export' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: 'Export as NDJSON' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('goods.ndjson');
    const lines = readFileSync((await download.path())!, 'utf8')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(matching);
    expect(lines.every((line) => (JSON.parse(line) as { price: number }).price < 2)).toBe(true);
  });
});
