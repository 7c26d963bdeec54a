// What a superuser does for the account of somebody else.
import { query } from '../kit/url';
import { request } from './client';
import type { Page, RecordData } from './types';

const of = (collection: string) => `/api/collections/${encodeURIComponent(collection)}`;

export const sendVerification = (collection: string, email: string) =>
  request<null>(`${of(collection)}/request-verification`, { method: 'POST', body: { email } });
export const sendReset = (collection: string, email: string) =>
  request<null>(`${of(collection)}/request-password-reset`, { method: 'POST', body: { email } });

/** Tokens are signed with a key of the account: a new one ends them all. */
export function endTokens(collection: string, id: string) {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
  const tokenKey = [...crypto.getRandomValues(new Uint32Array(50))]
    .map((n) => letters[n % letters.length])
    .join('');
  return request<RecordData>(`${of(collection)}/records/${encodeURIComponent(id)}`, {
    method: 'PATCH',
    body: { tokenKey },
  });
}

/** A token to act as this account; 0 seconds is as long as its own last. */
export async function impersonate(collection: string, id: string, duration: number): Promise<string> {
  const path = `${of(collection)}/impersonate/${encodeURIComponent(id)}`;
  return (await request<{ token: string }>(path, { method: 'POST', body: { duration } })).token;
}

export interface LinkedRow extends RecordData {
  provider: string;
  providerId: string;
}
export async function listLinked(owner: RecordData): Promise<LinkedRow[]> {
  const filter = `collectionRef = "${owner.collectionId}" && recordRef = "${owner.id}"`;
  const path = `${of('_externalAuths')}/records${query({ perPage: 100, skipTotal: true, filter })}`;
  return (await request<Page<LinkedRow>>(path)).items;
}
export const unlink = (id: string) =>
  request<null>(`${of('_externalAuths')}/records/${encodeURIComponent(id)}`, { method: 'DELETE' });
