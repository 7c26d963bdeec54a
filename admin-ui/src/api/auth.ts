import { request } from './client';
import { ApiError } from './errors';
import type { AuthAnswer, AuthMethods } from './types';

const base = '/api/collections/_superusers';
export type SignIn = { done: AuthAnswer } | { mfaId: string };

export const authMethods = () => request<AuthMethods>(`${base}/auth-methods`, { token: '' });

/** A first factor that needs a second one is answered with 401 and a bare `mfaId`. */
async function attempt(path: string, body: unknown): Promise<SignIn> {
  try {
    return { done: await request<AuthAnswer>(base + path, { method: 'POST', body, token: '' }) };
  } catch (error) {
    const mfaId =
      error instanceof ApiError && error.status === 401
        ? (error.data as { mfaId?: string }).mfaId
        : undefined;
    if (mfaId) return { mfaId };
    throw error;
  }
}

export const withPassword = (identity: string, password: string, mfaId = '') =>
  attempt('/auth-with-password', { identity, password, ...(mfaId && { mfaId }) });
export const withCode = (otpId: string, password: string, mfaId = '') =>
  attempt('/auth-with-otp', { otpId, password, ...(mfaId && { mfaId }) });
export const requestCode = (email: string) =>
  request<{ otpId: string }>(`${base}/request-otp`, { method: 'POST', body: { email }, token: '' });
export const refresh = (token: string) =>
  request<AuthAnswer>(`${base}/auth-refresh`, { method: 'POST', token });
export const createSuperuser = (token: string, email: string, password: string, passwordConfirm: string) =>
  request(`${base}/records`, { method: 'POST', token, body: { email, password, passwordConfirm } });

export type TokenKind = 'confirm-verification' | 'confirm-password-reset' | 'confirm-email-change';
/** What the links in mails do. Keys that a kind does not know are ignored by the server. */
export const confirmByToken = (collection: string, kind: TokenKind, body: Record<string, string>) =>
  request<null>(`/api/collections/${encodeURIComponent(collection)}/${kind}`, {
    method: 'POST',
    body,
    token: '',
  });
