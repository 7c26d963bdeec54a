import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessible, closeBrowser, signIn, start, story, until, visit, type Burrow } from './support';

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    listRule: '',
    fields: [
      { type: 'text', name: 'title' },
      { type: 'number', name: 'rank' },
    ],
  });
  for (let i = 0; i < 20; i++)
    await burrow.call('POST', '/api/collections/notes/records', { title: `Note ${i}`, rank: i });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

test('every setting is at hand: lists, channels, mail and storage with their tests', async () => {
  const v = await visit();
  const { page } = v;
  await story('all settings', v, async () => {
    await signIn(page, burrow, '#/settings/proxy');
    const headers = page.getByLabel('Headers that tell the address of a client');
    await headers.fill('X-Forwarded-For');
    await headers.press('Enter');
    await page.getByRole('button', { name: 'Add channel' }).click();
    await page.getByLabel('Pattern').fill('chat:*');
    await page.getByText('Send through an SMTP server').click();
    await page.getByLabel('Host', { exact: true }).fill('127.0.0.1');
    await page.getByLabel('Port', { exact: true }).fill('1');
    await page.getByText('Keep files in an S3 bucket').click();
    await page.getByLabel('Endpoint').fill('http://127.0.0.1:1');
    await accessible(page);
    await page.getByRole('button', { name: 'Save settings' }).click();
    // What the server refuses stands at its input; what was typed is kept.
    await page.locator('[data-error]').first().waitFor();
    await page.getByLabel('Bucket', { exact: true }).fill('files');
    await page.getByLabel('Region').fill('here');
    await page.getByLabel('Access key').fill('key');
    await page.getByLabel('Secret').fill('a-secret');
    await page.getByRole('button', { name: 'Save settings' }).click();
    await page.getByText('Settings saved.').waitFor();
    expect(await page.getByLabel('Secret').inputValue()).toBe('');
    const saved = await burrow.call<{ trustedProxy: object; realtime: { channels: object[] }; smtp: object }>(
      'GET',
      '/api/settings',
    );
    expect(saved.trustedProxy).toMatchObject({ headers: ['X-Forwarded-For'] });
    expect(saved.realtime.channels).toMatchObject([{ pattern: 'chat:*', joinRule: null, presence: true }]);
    expect(saved.smtp).toMatchObject({ enabled: true, host: '127.0.0.1', port: 1 });

    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.getByText('Failed to test the S3 filesystem.').waitFor();
    await page.getByRole('button', { name: 'Send test mail' }).click();
    const dialog = page.getByRole('dialog', { name: 'Send test mail' });
    await dialog.getByLabel('Send it to').fill('ann@example.com');
    await accessible(page);
    await dialog.getByRole('button', { name: 'Send test mail' }).click();
    await dialog.getByRole('alert').waitFor();
    await page.keyboard.press('Escape');
    // Unsaved input is not lost by a wrong click.
    await page.getByLabel('Name', { exact: true }).fill('Never saved');
    await page.getByRole('link', { name: 'Logs' }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Keep editing' }).click();
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Never saved');
  });
});

test('metrics say what is slow and which addresses take the time', async () => {
  const v = await visit();
  const { page } = v;
  await story('metrics', v, async () => {
    for (let i = 0; i < 5; i++) await fetch(`${burrow.api}/api/collections/notes/records?sort=-rank`);
    await until('lines in the log', async () => {
      const logs = await burrow.call<{ items: unknown[] }>('GET', "/api/logs?filter=data.url~'sort=-rank'");
      return logs.items.length >= 5;
    });
    await signIn(page, burrow, '#/ops/metrics');
    await page.getByRole('row', { name: /GET \/api\/collections\/notes\/records/ }).waitFor();
    await page.getByText('Requests a minute').first().waitFor();
    await page.getByText('Realtime connections').waitFor();
    // What stands there is what the server counts: it goes on with each request, and its sizes are those of the files.
    const tile = (label: string) => page.locator('dl > div').filter({ hasText: label });
    const counted = async (name: string) => {
      const told = await fetch(`${burrow.api}/api/metrics`, {
        headers: { Authorization: await burrow.token() },
      });
      const lines = (await told.text()).split('\n').filter((l) => l.startsWith(name));
      return lines.reduce((sum, l) => sum + Number(l.split(' ').at(-1)), 0);
    };
    await tile('Latency').getByText(/ms/).first().waitFor();
    for (const label of ['Writer queue', 'Database', 'Memory']) await tile(label).waitFor();
    expect(await tile('Database').textContent()).toMatch(/[\d.]+ (KB|MB)/);
    const before = await counted('burrow_http_requests_total{method="GET",status="404"}');
    for (let i = 0; i < 7; i++) await fetch(`${burrow.api}/api/collections/nothing/records`);
    expect(await counted('burrow_http_requests_total{method="GET",status="404"}')).toBe(before + 7);
    await until('the failures in their tile', async () => {
      const failed = Number(/Failed\s*([\d,]+)/.exec((await tile('Failed').textContent()) ?? '')?.[1]);
      return failed >= before + 7;
    });
    await accessible(page);
    await page.getByRole('link', { name: 'GET /api/collections/notes/records', exact: true }).click();
    await page
      .getByRole('row', { name: /sort=-rank/ })
      .first()
      .waitFor();
  });
});

test('German from the first screen to the last, kept over a reload', async () => {
  const v = await visit({ locale: 'de-DE' });
  const { page } = v;
  await story('german', v, async () => {
    await page.goto(burrow.ui);
    await page.getByRole('heading', { name: 'Bei Burrow anmelden' }).waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('de');
    await page.getByLabel('E-Mail').fill('root@example.com');
    await page.getByLabel('Passwort', { exact: true }).fill('a-long-password');
    await page.getByRole('button', { name: 'Anmelden', exact: true }).click();
    await page.getByRole('navigation', { name: 'Hauptmenü' }).waitFor();
    for (const [path, heading] of [
      ['#/data/notes', 'notes'],
      ['#/schema/explain', 'Schema'],
      ['#/live', 'Echtzeit'],
      ['#/logs', 'Protokoll'],
      ['#/sql', 'SQL'],
      ['#/ops', 'Betrieb'],
      ['#/settings', 'Einstellungen'],
    ] as const) {
      await page.goto(burrow.ui + path);
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    }
    await accessible(page);
    await page.getByRole('button', { name: 'Konto' }).click();
    await page.getByRole('menuitemradio', { name: 'English' }).click();
    await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
  });
});

test('the rooms by keyboard alone', async () => {
  const v = await visit();
  const { page } = v;
  await story('keyboard rooms', v, async () => {
    await signIn(page, burrow, '#/data/notes');
    const jump = async (what: string) => {
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox', { name: 'Find or do' }).fill(what);
      await page.keyboard.press('Enter');
    };
    await jump('Explain a rule');
    await page.getByLabel('Who comes').waitFor();
    // Tabs are moved through by arrows.
    await page.getByRole('tab', { name: 'Explain a rule' }).focus();
    await page.keyboard.press('ArrowRight');
    await until('the next tab', async () => page.url().includes('#/schema/exposed'));
    await jump('SQL');
    await page.getByLabel('SQL statement').focus();
    await page.keyboard.type('SELECT title FROM notes ORDER BY rank DESC');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('row', { name: /Note 19/ }).waitFor();
    await jump('Logs');
    await page.getByRole('heading', { level: 1, name: 'Logs' }).waitFor();
    await page.keyboard.press('/');
    await until('the filter', async () => page.evaluate(() => document.activeElement?.id === 'log-search'));
  });
});

test('the rooms on a phone, in the dark', async () => {
  const v = await visit({ viewport: { width: 390, height: 800 }, colorScheme: 'dark', hasTouch: true });
  const { page } = v;
  await story('phone rooms', v, async () => {
    await signIn(page, burrow, '#/schema/explain');
    for (const path of [
      '#/schema/explain',
      '#/schema/exposed',
      '#/schema/rules',
      '#/schema/diagram',
      '#/schema/api?c=notes',
      '#/schema/transfer',
      '#/sql',
      '#/logs',
      '#/ops/metrics',
      '#/settings',
    ]) {
      await page.goto(burrow.ui + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('main :is(button, input, select, a):visible').first().waitFor();
      // Nothing makes the page itself scroll sideways.
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(over, path).toBeLessThanOrEqual(0);
      await accessible(page);
    }
  });
});

test('a strict policy, and nothing from elsewhere', async () => {
  const answer = await fetch(burrow.ui);
  const policy = answer.headers.get('content-security-policy') ?? '';
  const parts = new Map(policy.split(';').map((p) => [p.trim().split(' ')[0]!, p.trim()]));
  expect(parts.get('default-src')).toBe("default-src 'none'");
  expect(parts.get('style-src')).toBe("style-src 'self'");
  expect(parts.get('frame-ancestors')).toBe("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe-|\*|https?:/);
  const v = await visit();
  const { page } = v;
  await story('policy', v, async () => {
    const own = [burrow.api, new URL(burrow.ui).origin];
    const outside: string[] = [];
    page.on('request', (r) => {
      if (!own.some((o) => r.url().startsWith(o)) && !/^(data|blob):/.test(r.url())) outside.push(r.url());
    });
    await signIn(page, burrow, '#/data/notes');
    for (const path of [
      '#/schema',
      '#/schema/api',
      '#/logs',
      '#/sql',
      '#/live',
      '#/ops/metrics',
      '#/settings',
    ]) {
      await page.goto(burrow.ui + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
    }
    expect(outside).toEqual([]);
    // A script that somebody puts into the page does not run. The browser complains about it: as it should.
    const ran = await page.evaluate(async () => {
      const box = document.createElement('div');
      document.body.append(box);
      box.innerHTML = '<img src="data:," onerror="window.ran = true">';
      await new Promise((done) => setTimeout(done, 200));
      box.remove();
      return 'ran' in window;
    });
    expect(ran).toBe(false);
    v.complaints.length = 0;
  });
});
