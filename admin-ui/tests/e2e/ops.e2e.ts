import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    fields: [{ type: 'text', name: 'title' }],
  });
  await burrow.call('POST', '/api/collections/notes/records', { title: 'Before the backup' });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

test('backups: make, download, restore, delete, upload, schedule', async () => {
  const v = await visit({ acceptDownloads: true });
  const { page } = v;
  await story('backups', v, async () => {
    await signIn(page, burrow, '#/ops/backups');
    await page.getByText('No backups yet').waitFor();
    await accessible(page);
    await page.getByLabel('Name').fill('Not Good');
    await page.getByRole('button', { name: 'Create backup' }).click();
    await page.getByText('Must be in a valid format.').waitFor();
    await page.getByLabel('Name').fill('first.zip');
    await page.getByLabel('Name').press('Enter');
    await page.getByRole('row', { name: /first\.zip/ }).waitFor();
    await accessible(page);

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download first.zip' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('first.zip');
    const path = await download.path();

    const later = await burrow.call<{ id: string }>('POST', '/api/collections/notes/records', {
      title: 'After the backup',
    });
    await page.getByRole('button', { name: 'Restore first.zip' }).click();
    const dialog = page.getByRole('dialog', { name: 'Restore this backup' });
    const yes = dialog.getByRole('button', { name: 'Restore and restart' });
    expect(await yes.isDisabled()).toBe(true);
    await dialog.getByLabel('Type first.zip to confirm').fill('first.zip');
    await accessible(page);
    const reloaded = page.waitForEvent('load');
    await yes.click();
    await page.getByRole('dialog', { name: 'Restoring the backup' }).waitFor();
    await accessible(page);
    await reloaded;
    await page.getByRole('row', { name: /first\.zip/ }).waitFor();
    const notes = await burrow.call<{ items: { id: string; title: string }[] }>(
      'GET',
      '/api/collections/notes/records',
    );
    expect(notes.items.map((n) => n.title)).toEqual(['Before the backup']);
    expect(notes.items.some((n) => n.id === later.id)).toBe(false);

    await page.getByRole('button', { name: 'Delete first.zip' }).click();
    await page
      .getByRole('dialog', { name: 'Delete this backup' })
      .getByRole('button', { name: 'Delete', exact: true })
      .click();
    await page.getByText('No backups yet').waitFor();
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: 'Upload backup' }).click(),
    ]);
    await chooser.setFiles(path);
    await until('the upload in the list', async () => (await page.getByRole('row').count()) === 2);

    await page.getByText('Make backups by the clock').click();
    await page.getByLabel('When').fill('now and then');
    await page.getByRole('button', { name: 'Save schedule' }).click();
    await page.getByText(/Invalid cron expression/).waitFor();
    await page.getByLabel('When').fill('0 3 * * *');
    await page.getByLabel('Keep at most').fill('5');
    await page.getByRole('button', { name: 'Save schedule' }).click();
    await page.getByText('Schedule saved.').waitFor();
    const settings = await burrow.call<{ backups: object }>('GET', '/api/settings');
    expect(settings.backups).toMatchObject({ cron: '0 3 * * *', cronMaxKeep: 5 });

    await page.getByRole('tab', { name: 'Jobs' }).click();
    await page.getByRole('button', { name: 'Run now: __pbLogsCleanup__' }).click();
    await page.getByText(/__pbLogsCleanup__ started/).waitFor();
    expect(page.url()).toContain('#/ops/jobs');
    await accessible(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await accessible(page);
  });
});
