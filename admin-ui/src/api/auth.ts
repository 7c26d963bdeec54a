import { showPasskey, type PasskeyOptions } from '../kit/webauthn';
import { request } from './client';
import { ApiError } from './errors';
import type { AuthAnswer, AuthMethods } from './types';

const base = '/api/collections/_superusers';
/** `methods`: the only ones that do as the second factor; any other than the first where there are none. */
export type SignIn = { done: AuthAnswer } | { mfaId: string; methods: string[] };

export const authMethods = () => request<AuthMethods>(`${base}/auth-methods?own=1`, { token: '' });

/** A first factor that needs a second one is answered with 401 and a bare `mfaId`. */
async function attempt(path: string, body: unknown): Promise<SignIn> {
  try {
    return { done: await request<AuthAnswer>(base + path, { method: 'POST', body, token: '' }) };
  } catch (error) {
    const wanted =
      error instanceof ApiError && error.status === 401
        ? (error.data as { mfaId?: string; methods?: string[] })
        : {};
    if (wanted.mfaId) return { mfaId: wanted.mfaId, methods: wanted.methods ?? [] };
    throw error;
  }
}

export const withPassword = (identity: string, password: string, mfaId = '') =>
  attempt('/auth-with-password', { identity, password, ...(mfaId && { mfaId }) });
export const withCode = (otpId: string, password: string, mfaId = '') =>
  attempt('/auth-with-otp', { otpId, password, ...(mfaId && { mfaId }) });
export const withApp = (code: string, mfaId: string) => attempt('/auth-with-totp', { code, mfaId });
export async function withPasskey(mfaId = ''): Promise<SignIn> {
  const path = `${base}/passkeys/challenge`;
  const begun = await request<{ challengeId: string; options: PasskeyOptions }>(path, {
    method: 'POST',
    token: '',
  });
  const credential = await showPasskey(begun.options);
  const body = { challengeId: begun.challengeId, credential };
  return attempt('/auth-with-passkey', { ...body, ...(mfaId && { mfaId }) });
}
export const requestCode = (email: string) =>
  request<{ otpId: string }>(`${base}/request-otp`, { method: 'POST', body: { email }, token: '' });
export const refresh = (token: string) =>
  request<AuthAnswer>(`${base}/auth-refresh`, { method: 'POST', token });
export const createSuperuser = (token: string, email: string, password: string, passwordConfirm: string) =>
  request(`${base}/records`, { method: 'POST', token, body: { email, password, passwordConfirm } });

/** Whether a password is one of those that everybody tries first. */
export const isCommonPassword = async (password: string, token?: string) =>
  (
    await request<{ common: boolean }>('/api/passwords/check', {
      method: 'POST',
      body: { password },
      ...(token !== undefined && { token }),
    })
  ).common;

export type TokenKind = 'confirm-verification' | 'confirm-password-reset' | 'confirm-email-change';
/** What the links in mails do. Keys that a kind does not know are ignored by the server. */
export const confirmByToken = (collection: string, kind: TokenKind, body: Record<string, string>) =>
  request<null>(`/api/collections/${encodeURIComponent(collection)}/${kind}`, {
    method: 'POST',
    body,
    token: '',
  });
