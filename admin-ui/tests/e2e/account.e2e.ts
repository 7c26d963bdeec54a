import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import {
  accessible,
  closeBrowser,
  EMAIL,
  PASSWORD,
  signIn,
  start,
  story,
  until,
  visit,
  type Burrow,
} from './support';

let burrow: Burrow;
beforeAll(async () => {
  const started = await start({ superuser: true });
  // Passkeys belong to a name, not to an address.
  burrow = { ...started, ui: started.ui.replace('127.0.0.1', 'localhost') };
  await burrow.call('PATCH', '/api/settings', { meta: { appURL: new URL(burrow.ui).origin } });
  await burrow.call('POST', '/api/collections', {
    name: 'notes',
    type: 'base',
    fields: [{ type: 'text', name: 'title' }],
  });
});
afterAll(async () => {
  await closeBrowser();
  await burrow?.stop();
});

/** A device that keeps passkeys and has its owner's finger on it. */
async function withDevice(page: Page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

/** Answers the question for the password. */
async function confirmPassword(page: Page) {
  const dialog = page.getByRole('dialog', { name: 'Confirm that it is you' });
  await dialog.getByLabel('Your password', { exact: true }).fill('wrong-password');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await dialog.getByText('The password is wrong.').waitFor();
  await accessible(page);
  await dialog.getByLabel('Your password', { exact: true }).fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await dialog.waitFor({ state: 'detached' });
}

async function signOut(page: Page) {
  await page.getByRole('button', { name: 'Account', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
}

async function byPassword(page: Page) {
  await page.getByLabel('Email').fill(EMAIL);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** What an authenticator app shows at `time` (RFC 6238). */
function codeOf(secret: string, time = Date.now()): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(time / 30_000)));
  const mac = createHmac('sha1', key).update(step).digest();
  const at = mac[19]! & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test('sessions are listed and ended, and passkeys let somebody in', async () => {
  const v = await visit();
  const { page } = v;
  await story('sessions and passkeys', v, async () => {
    await withDevice(page);
    await signIn(page, burrow, '#/account');
    await page.getByRole('heading', { name: 'Account and security' }).waitFor();
    await page.getByText('this one').waitFor();
    // The one of the story itself is the other.
    const others = page.getByRole('button', { name: /^End the session on/ });
    await until('the other session', async () => (await others.count()) === 1);
    await accessible(page);
    const before = await burrow.token();
    await page.getByRole('button', { name: 'End all others' }).click();
    const dialog = page.getByRole('dialog', { name: 'End all other sessions' });
    await dialog.getByRole('button', { name: 'End all others' }).click();
    await page.getByText('All other sessions ended.').waitFor();
    await until('one session', async () => (await others.count()) === 0);
    const refused = await fetch(`${burrow.api}/api/settings`, { headers: { Authorization: before } });
    expect(refused.status).toBe(401);

    await page.getByRole('tab', { name: 'Passkeys' }).click();
    await page.getByText('Passkeys are off for superusers').waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Turn on for superusers' }).click();
    await page.getByText('No passkey yet').waitFor();
    await page.getByLabel('Name').fill('Laptop');
    await page.getByRole('button', { name: 'Add passkey' }).click();
    await confirmPassword(page);
    const row = page.getByRole('row', { name: /Laptop/ });
    await row.getByText('never').waitFor();
    await page.getByRole('button', { name: 'Rename Laptop' }).click();
    await page.getByRole('table').getByLabel('Name', { exact: true }).fill('Desk');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row', { name: /Desk/ }).waitFor();
    await accessible(page);

    await signOut(page);
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    await page.getByRole('button', { name: 'Account', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Account and security' }).click();
    await page.getByText('passkey', { exact: true }).waitFor();
    await page.getByRole('tab', { name: 'Passkeys' }).click();
    await page.getByRole('row', { name: /Desk/ }).waitFor();
    expect(await page.getByRole('row', { name: /never/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Remove Desk' }).click();
    await page
      .getByRole('dialog', { name: 'Remove this passkey' })
      .getByRole('button', { name: 'Remove' })
      .click();
    await page.getByText('No passkey yet').waitFor();
    await page.emulateMedia({ colorScheme: 'dark' });
    await accessible(page);
  });
});

test('an authenticator app is set up, asked for, and removed', async () => {
  const v = await visit();
  const { page } = v;
  await story('authenticator app', v, async () => {
    await signIn(page, burrow, '#/account/app');
    await page.getByRole('button', { name: 'Set up an app' }).click();
    const picture = page.getByRole('img', { name: 'QR code to set up the authenticator app' });
    await picture.waitFor();
    expect(await picture.evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(50);
    await accessible(page);
    await page.getByLabel('Code', { exact: true }).fill('000000');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('Invalid or used code.').waitFor();
    const secret = (await page.locator('pre').textContent()) ?? '';
    await page.getByLabel('Code', { exact: true }).fill(codeOf(secret.trim()));
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByRole('heading', { name: 'Recovery codes' }).waitFor();
    const codes = ((await page.locator('pre').textContent()) ?? '').trim().split('\n');
    expect(codes.length).toBe(10);
    await accessible(page);
    await page.getByRole('button', { name: 'I have kept them' }).click();
    await page.getByText('An authenticator app is asked for at every sign-in').waitFor();

    await signOut(page);
    await byPassword(page);
    await page.getByLabel('Code of the app').fill('123456');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('Invalid or used code.').waitFor();
    await accessible(page);
    await page.getByLabel('Code of the app').fill(codes[0]!);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor();

    await page.getByRole('button', { name: 'Remove the app' }).click();
    await page.getByLabel('Code', { exact: true }).fill(codes[0]!);
    await page.getByRole('button', { name: 'Remove the app' }).click();
    await page.getByText('Invalid or used code.').waitFor();
    await page.getByLabel('Code', { exact: true }).fill(codes[1]!);
    await page.getByRole('button', { name: 'Remove the app' }).click();
    await page.getByText('No authenticator app').waitFor();
    await signOut(page);
    await byPassword(page);
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
  });
});

test('an API key is made with scopes, shown once, used, and revoked', async () => {
  const v = await visit();
  const { page } = v;
  await story('api keys', v, async () => {
    await signIn(page, burrow, '#/account/keys');
    await page.getByText('No API keys yet').waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Create API key' }).click();
    const form = page.getByRole('dialog', { name: 'Create API key' });
    await form.getByRole('button', { name: 'Create key' }).click();
    await form.getByText('Cannot be blank.').first().waitFor();
    await form.getByLabel('Name').fill('nightly export');
    await form.getByRole('combobox', { name: 'Collection 1' }).selectOption({ label: 'notes' });
    await form.getByLabel('Allowed addresses').fill('not an address,');
    await form.getByRole('button', { name: 'Create key' }).click();
    await form.getByText('Invalid IP or CIDR subnet.').waitFor();
    await accessible(page);
    await form.getByRole('button', { name: 'Remove not an address' }).click();
    await form.getByLabel('Allowed addresses').fill('127.0.0.0/8');
    await form.getByRole('button', { name: 'Create key' }).click();

    const shown = page.getByRole('dialog', { name: 'Your new API key' });
    const key = ((await shown.locator('pre').first().textContent()) ?? '').trim();
    expect(key).toMatch(/^burrow_[a-z0-9]{8}_[A-Za-z0-9]{40}$/);
    await accessible(page);
    await shown.getByRole('button', { name: 'I have copied it' }).click();
    await page.getByRole('row', { name: /nightly export/ }).waitFor();
    await page.getByText('notes: list, view').waitFor();
    expect(await page.content()).not.toContain(key);

    const ask = async (method: string) =>
      (
        await fetch(`${burrow.api}/api/collections/notes/records`, {
          method,
          headers: { Authorization: `Bearer ${key}` },
        })
      ).status;
    expect(await ask('GET')).toBe(200);
    expect(await ask('POST')).toBe(403);
    await page.getByRole('button', { name: 'Revoke nightly export' }).click();
    await page
      .getByRole('dialog', { name: 'Revoke this key' })
      .getByRole('button', { name: 'Revoke' })
      .click();
    await page.getByText('No API keys yet').waitFor();
    expect(await ask('GET')).toBe(401);
    await page.emulateMedia({ colorScheme: 'dark' });
    await accessible(page);
  });
});
