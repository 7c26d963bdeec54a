// What the owner of a server decides beside the dashboard: settings by the environment, and whose maps are shown.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, until, visit } from './support';

afterAll(closeBrowser);

test('what the environment decides is shown and not asked for, and the rest is saved', async () => {
  const burrow = await start({
    superuser: true,
    env: {
      BURROW_SMTP_ENABLED: 'true',
      BURROW_SMTP_HOST: 'mail.example.com',
      BURROW_META_APP_NAME: 'Fixed name',
      BURROW_RATE_LIMITS_RULES: '[{"label":"/api/","audience":"","duration":10,"maxRequests":900}]',
      BURROW_BACKUPS_CRON: '0 4 * * *',
    },
  });
  const v = await visit();
  const { page } = v;
  await story('fixed', v, async () => {
    await signIn(page, burrow, '#/settings/application');
    const name = page.getByLabel('Name', { exact: true });
    await page.getByText('Set by BURROW_META_APP_NAME in the environment of the server.').waitFor();
    expect(await name.inputValue()).toBe('Fixed name');
    expect(await name.isDisabled()).toBe(true);
    expect(await page.getByLabel('Host', { exact: true }).isDisabled()).toBe(true);
    expect(await page.getByRole('switch', { name: /Send through an SMTP server/ }).isDisabled()).toBe(true);
    expect(await page.getByLabel('Port', { exact: true }).isDisabled()).toBe(false);
    await page.getByText('Set by BURROW_RATE_LIMITS_RULES').waitFor();
    expect(await page.getByRole('button', { name: 'Remove the limit /api/' }).isDisabled()).toBe(true);
    await accessible(page);
    await page.getByLabel('Sender name').fill('Somebody');
    await page.getByRole('button', { name: 'Save settings' }).click();
    await page.getByText('Settings saved.').waitFor();
    const saved = await burrow.call<{ meta: object; fixed: string[] }>('GET', '/api/settings');
    expect(saved.meta).toMatchObject({ senderName: 'Somebody', appName: 'Fixed name' });
    expect(saved.fixed).toContain('rateLimits.rules');
    await page.goto(`${burrow.ui}#/ops/backups`);
    await page.getByText(/Set by BURROW_BACKUPS_CRON/).waitFor();
    expect(await page.getByLabel('When').isDisabled()).toBe(true);
    expect(await page.getByLabel('Keep at most').isDisabled()).toBe(false);
    await accessible(page);
  });
  await burrow.stop();
});

test('every setting that the server has can be reached', async () => {
  const burrow = await start({ superuser: true });
  const v = await visit();
  const { page } = v;
  await story('all settings are there', v, async () => {
    const settings = await burrow.call<Record<string, unknown>>('GET', '/api/settings');
    const leaves = (node: unknown, path: string): string[] =>
      typeof node === 'object' && node !== null && !Array.isArray(node)
        ? Object.entries(node).flatMap(([key, below]) => leaves(below, path === '' ? key : `${path}.${key}`))
        : [path];
    await signIn(page, burrow, '#/settings');
    await page.getByRole('heading', { level: 1 }).waitFor();
    // Switches that more settings stand behind.
    for (const label of [
      'Send through an SMTP server',
      'Keep files in an S3 bucket',
      'Keep backups in an S3 bucket',
    ])
      await page.getByText(label).click();
    const there = await page
      .locator('[data-setting]')
      .evaluateAll((found) => found.map((e) => (e as HTMLElement).dataset.setting));
    // The schedule of backups has its place beside them, in Ops.
    const elsewhere = ['backups.cron', 'backups.cronMaxKeep'];
    expect(leaves(settings, '').filter((path) => !there.includes(path) && !elsewhere.includes(path))).toEqual(
      [],
    );
    await accessible(page);
  });
  await burrow.stop();
});

/** A server of tiles that remembers what was asked for. */
async function tileServer(asked: string[]): Promise<Server> {
  const dot = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC',
    'base64',
  );
  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    res.writeHead(200, { 'Content-Type': 'image/png' }).end(dot);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

test('maps ask nobody, until the owner names a server of tiles', async ({ skip }) => {
  const burrow = await start({ superuser: true });
  const policyOf = async () => (await fetch(burrow.ui)).headers.get('content-security-policy') ?? '';
  // A dashboard that is served beside the server has a policy of its own.
  skip(new URL(burrow.ui).origin !== burrow.api);
  const asked: string[] = [];
  const tiles = await tileServer(asked);
  const origin = `http://127.0.0.1:${(tiles.address() as AddressInfo).port}`;
  await burrow.call('POST', '/api/collections', {
    name: 'spots',
    type: 'base',
    fields: [{ type: 'geoPoint', name: 'place' }],
  });
  const v = await visit();
  const { page } = v;
  await story('tiles', v, async () => {
    await signIn(page, burrow, '#/data/spots?new=1');
    const map = page.getByRole('application');
    await map.locator('path.land').waitFor({ state: 'attached' });
    expect(await map.locator('image').count()).toBe(0);
    expect(await policyOf()).not.toContain('http');

    const wrong = burrow.call('PATCH', '/api/settings', {
      maps: { tiles: 'https://x; script-src *;/{z}/{x}/{y}' },
    });
    await expect(wrong).rejects.toThrow(/validation_invalid_tiles/);
    await burrow.call('PATCH', '/api/settings', { maps: { tiles: `${origin}/{z}/{x}/{y}.png` } });
    expect(await policyOf()).toContain(`img-src 'self' data: blob: ${origin};`);
    await page.reload();
    await map.locator('image').first().waitFor({ state: 'attached' });
    expect(await map.locator('path.land').count()).toBe(0);
    await until('tiles', async () => asked.length > 0);
    expect(asked.every((path) => /^\/\d+\/\d+\/\d+\.png$/.test(path))).toBe(true);
    await accessible(page);
    // The numbers and the map still say the same place.
    const form = page.getByRole('complementary');
    await form.getByLabel('Longitude').fill('16.37');
    await form.getByLabel('Latitude').fill('48.2');
    for (let i = 0; i < 4; i++) await form.getByRole('button', { name: 'Zoom in' }).click();
    await until('tiles of Vienna', async () => asked.some((path) => path.startsWith('/5/17/11')));
  });
  tiles.closeAllConnections();
  tiles.close();
  await burrow.stop();
});
