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

test('options of an auth collection: a provider, a mail, an error', async () => {
  const v = await visit();
  const { page } = v;
  await story('auth options', v, async () => {
    await signIn(page, burrow, '#/data/users?schema=options');
    const panel = page.getByRole('complementary');
    await panel.getByText('Sign in with an account elsewhere').click();
    await panel.getByLabel('Add provider').selectOption('oidc');
    const oidc = panel.getByRole('group', { name: 'OIDC' });
    await oidc.getByLabel('Client id').fill('burrow');
    await panel.getByRole('button', { name: 'Save collection' }).click();
    await oidc.locator('[data-error]').getByText('Cannot be blank.').first().waitFor();
    await accessible(page);
    await oidc.getByLabel('Client secret').fill('a-secret');
    await oidc.getByLabel('Authorization URL').fill('https://id.example.com/authorize');
    await oidc.getByLabel('Token URL').fill('https://id.example.com/token');
    await oidc.getByLabel('User info URL').fill('https://id.example.com/me');
    await panel.getByText('Email verification', { exact: true }).first().click();
    await panel.getByLabel('Subject').fill('Welcome to {APP_NAME}');
    await panel.getByText('Welcome to Acme').waitFor();
    await accessible(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await accessible(page);
    await panel.getByRole('button', { name: 'Save collection' }).click();
    await page.getByText('Collection users saved.').waitFor();
    const saved = await burrow.call<Record<string, unknown>>('GET', '/api/collections/users');
    expect(saved).toMatchObject({
      oauth2: { enabled: true, providers: [{ name: 'oidc', clientId: 'burrow' }] },
      verificationTemplate: { subject: 'Welcome to {APP_NAME}' },
    });
  });
});
