import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Collection } from '../../src/api/types';
import AuthTab from '../../src/pages/collection/AuthTab.svelte';
import { SchemaDraft } from '../../src/pages/collection/draft.svelte';

const field = (name: string, type: string, more = {}) => ({ id: name, name, type, system: false, ...more });
const users = {
  id: 'u',
  name: 'users',
  type: 'auth',
  system: false,
  fields: [field('email', 'email', { system: true }), field('nick', 'text'), field('avatar', 'file')],
  indexes: [],
  oauth2: {
    enabled: true,
    providers: [{ name: 'google', clientId: 'old' }],
    mappedFields: { id: '', name: '', username: '', avatarURL: 'avatar' },
  },
  passwordAuth: { enabled: true, identityFields: ['email'] },
  verificationTemplate: { subject: 'Verify', body: '<p>{TOKEN}</p>' },
} as unknown as Collection;

let sent: Record<string, unknown>[] = [];
let refuse: object | null = null;
beforeEach(() => {
  sent = [];
  refuse = null;
  vi.stubGlobal(
    'fetch',
    vi.fn((url: string, init: RequestInit) => {
      if (url.includes('oauth2-providers'))
        return Promise.resolve(
          new Response(
            JSON.stringify([
              { name: 'google', displayName: 'Google' },
              { name: 'oidc', displayName: 'OIDC' },
            ]),
          ),
        );
      sent.push(JSON.parse(String(init.body)) as Record<string, unknown>);
      return Promise.resolve(
        refuse
          ? new Response(JSON.stringify({ message: 'No.', data: refuse }), { status: 400 })
          : new Response(JSON.stringify(users)),
      );
    }),
  );
});
afterEach(() => void vi.unstubAllGlobals());

test('a provider is added, its secret is sent, the untouched one keeps its own', async () => {
  const draft = new SchemaDraft(users, users);
  render(AuthTab, { draft });
  const google = within(await screen.findByRole('group', { name: 'Google' }));
  const secret = google.getByLabelText('Client secret');
  await fireEvent.input(secret, { target: { value: 'typed' } });
  await fireEvent.input(secret, { target: { value: '' } });
  expect(draft.dirty).toBe(false);
  expect(google.queryByLabelText('Token URL')).toBeNull();
  await fireEvent.change(screen.getByLabelText('Add provider'), { target: { value: 'oidc' } });
  const oidc = within(await screen.findByRole('group', { name: 'OIDC' }));
  await fireEvent.input(oidc.getByLabelText('Client id'), { target: { value: 'id' } });
  await fireEvent.input(oidc.getByLabelText('Client secret'), { target: { value: 'secret' } });
  await fireEvent.input(oidc.getByLabelText('Token URL'), { target: { value: 'https://a.example/t' } });
  await fireEvent.change(screen.getByLabelText('Name'), { target: { value: 'nick' } });
  await draft.save();
  expect(sent).toEqual([
    {
      oauth2: {
        enabled: true,
        providers: [
          { name: 'google', clientId: 'old' },
          { name: 'oidc', clientId: 'id', clientSecret: 'secret', tokenURL: 'https://a.example/t' },
        ],
        mappedFields: { id: '', name: 'nick', username: '', avatarURL: 'avatar' },
      },
    },
  ]);
});

test('errors stand at the provider and open the template they are about', async () => {
  const draft = new SchemaDraft(users, users);
  render(AuthTab, { draft });
  const fault = (message: string) => ({ code: 'x', message });
  refuse = {
    oauth2: { providers: { 0: { clientSecret: fault('Secret is missing.') } } },
    verificationTemplate: { subject: fault('Subject is missing.') },
  };
  await draft.save();
  await screen.findByText('Secret is missing.');
  await screen.findByText('Subject is missing.');
});

test('a template takes placeholders and says which mean nothing', async () => {
  const draft = new SchemaDraft(users, users);
  render(AuthTab, { draft });
  const summary = screen.getByText('Email verification', { selector: 'summary' });
  (summary.parentElement as HTMLDetailsElement).open = true;
  await fireEvent(summary.parentElement!, new Event('toggle'));
  await fireEvent.input(await screen.findByLabelText('Subject'), {
    target: { value: 'Hi {RECORD:nick} {OTP}' },
  });
  expect(screen.getByRole('status').textContent).toBe('Nothing is put in for {OTP}.');
  await fireEvent.click(screen.getByRole('button', { name: '{APP_NAME}' }));
  expect(draft.edit.verificationTemplate!.body).toContain('{APP_NAME}');
  expect(screen.getByTitle('Preview of Email verification').getAttribute('sandbox')).toBe('');
});
