import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import {
  accessible,
  closeBrowser,
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
  burrow = await start({ superuser: false });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC',
  'base64',
);

async function addField(page: Page, kind: string, name: string) {
  await page.getByRole('button', { name: 'Add field' }).click();
  await page.getByRole('menuitem', { name: kind, exact: true }).click();
  const input = page.getByLabel('Field name').and(page.locator(':focus'));
  await input.fill(name);
}

test('from the installer link to the first app', async () => {
  const v = await visit();
  const { page } = v;
  await story('first app', v, async () => {
    // The link that the server printed.
    await page.goto(burrow.ui + (await burrow.installer()));
    await page.getByRole('heading', { name: 'Create the first superuser' }).waitFor();
    await accessible(page);
    await page.getByLabel('Email').fill(EMAIL);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Repeat the password').fill('something else');
    await page.getByRole('button', { name: 'Create and sign in' }).click();
    await page.getByText('The two passwords differ.').waitFor();
    await page.getByLabel('Repeat the password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create and sign in' }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    await page.getByRole('heading', { name: 'users' }).waitFor();

    // A collection with every kind of field.
    await page.getByRole('button', { name: 'New collection' }).click();
    await page.getByLabel('Name', { exact: true }).fill('things');
    await addField(page, 'Text', 'title');
    await addField(page, 'Number', 'amount');
    await addField(page, 'Bool', 'done');
    await addField(page, 'Email', 'mail');
    await addField(page, 'URL', 'link');
    await addField(page, 'Rich text', 'body');
    await addField(page, 'Date', 'due');
    await addField(page, 'Autodate', 'seen');
    await addField(page, 'Select', 'tags');
    // The server says what is missing, at the field it belongs to.
    await page.getByRole('button', { name: 'Create collection' }).click();
    await page.locator('[data-error]').getByText('Cannot be blank.').waitFor();
    const choices = page.getByLabel('Choices');
    await choices.fill('red, green, blue');
    await choices.press('Enter');
    await page.getByLabel('Values').selectOption('Multiple');
    await page.getByRole('button', { name: 'Options of tags' }).click();
    await addField(page, 'File', 'papers');
    await page.getByLabel('Values').selectOption('Multiple');
    await addField(page, 'Relation', 'owner');
    await page.getByLabel('Points to').selectOption('users');
    await addField(page, 'JSON', 'meta');
    await addField(page, 'Password', 'secret');
    await addField(page, 'Geo point', 'place');
    await accessible(page);
    await page.getByRole('button', { name: 'Create collection' }).click();
    await page.getByText('Collection things created.').waitFor();
    await page.getByRole('heading', { name: 'things' }).waitFor();

    // Somebody to own it.
    const user = await burrow.call<{ id: string }>('POST', '/api/collections/users/records', {
      email: 'ada@example.com',
      password: 'ada-and-her-engine',
      passwordConfirm: 'ada-and-her-engine',
      name: 'Ada',
    });

    // A second tab looks on.
    const second = await v.context.newPage();
    await second.goto(`${burrow.ui}#/data/things`);
    await second.getByRole('img', { name: /^Live/ }).waitFor();
    await second.getByText('No records yet').waitFor();
    await accessible(second);

    // A record with a file.
    await page.getByRole('button', { name: 'New record' }).first().click();
    const form = page.getByRole('complementary');
    await form.getByLabel('title').fill('First thing');
    await form.getByLabel('amount').fill('12.5');
    await form.getByRole('switch').first().check({ force: true });
    await form.getByLabel('mail').fill('not an address');
    await form.getByRole('textbox', { name: 'link', exact: true }).fill('https://example.com/a');
    await form.getByRole('textbox', { name: 'body' }).fill('Hello there');
    await form.getByLabel('due').fill('2026-11-20T10:30:00');
    await form.getByRole('button', { name: 'red', exact: true }).click();
    await form.getByRole('button', { name: 'blue', exact: true }).click();
    await form.locator('input[type=file]').setInputFiles([
      { name: 'dot.png', mimeType: 'image/png', buffer: png },
      { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') },
    ]);
    await form.getByRole('button', { name: 'Choose a record' }).click();
    await page.getByRole('dialog').getByRole('button', { name: /Ada/ }).click();
    await form.getByLabel('meta').fill('{"a": [1, 2');
    await form.getByText(/Not valid JSON yet/).waitFor();
    await form.getByLabel('meta').fill('{"a": [1, 2]}');
    await form.getByLabel('secret').fill('hush-hush-hush');
    await form.getByLabel('Longitude').fill('16.37');
    await form.getByLabel('Latitude').fill('48.2');
    await form.getByRole('button', { name: 'Create record' }).click();
    await form.getByText('Must be a valid email address.').waitFor();
    await form.getByLabel('mail').fill('ada@example.com');
    await form.getByRole('button', { name: 'Create record' }).click();
    await page.getByText(/^Record \w+ created\.$/).waitFor();
    await form.getByRole('button', { name: 'Save record' }).waitFor();
    await accessible(page);

    const stored = (
      await burrow.call<{ items: Record<string, unknown>[] }>('GET', '/api/collections/things/records')
    ).items[0]!;
    expect(stored).toMatchObject({
      title: 'First thing',
      amount: 12.5,
      done: true,
      mail: 'ada@example.com',
      tags: ['red', 'blue'],
      owner: user.id,
      meta: { a: [1, 2] },
      place: { lon: 16.37, lat: 48.2 },
    });
    expect(stored.papers).toHaveLength(2);

    // It arrives in the second tab by itself, and so do the changes.
    await second.getByRole('row', { name: /First thing/ }).waitFor();
    await form.getByLabel('title').fill('Renamed thing');
    await form.getByRole('button', { name: /^Remove note_/ }).click();
    await page.keyboard.press('Control+s');
    await page.getByText('Saved.', { exact: true }).waitFor();
    await second.getByRole('row', { name: /Renamed thing/ }).waitFor();
    await second.getByTitle('Changed by someone else since you looked').waitFor();
    expect(
      (await burrow.call<{ papers: string[] }>('GET', `/api/collections/things/records/${String(stored.id)}`))
        .papers,
    ).toHaveLength(1);

    // Deleting can be taken back for a while.
    await form.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByText('1 record deleted.').waitFor();
    await page.getByText('No records yet').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('row', { name: /Renamed thing/ }).click();
    await form.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete for good now' }).click();
    await second.getByText('No records yet').waitFor();
    await until(
      'the record to be gone',
      async () =>
        (await burrow.call<{ items: unknown[] }>('GET', '/api/collections/things/records')).items.length ===
        0,
    );

    // The installer link has had its day.
    await page.goto(`${burrow.ui}${await burrow.installer()}`);
    await page.getByRole('heading', { name: 'This link no longer works' }).waitFor();
    await accessible(page);
  });
});
