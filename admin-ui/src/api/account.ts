import { query } from '../kit/url';
import type { PasskeyOptions } from '../kit/webauthn';
import { request } from './client';
import type { AuthAnswer, Page, RecordData, Settings } from './types';

const base = '/api/collections/_superusers';
const post = <T>(path: string, body: unknown = {}) => request<T>(base + path, { method: 'POST', body });

interface Row extends RecordData {
  created: string;
}
export interface SessionRow extends Row {
  method: string;
  device: string;
  address: string;
  lastUsed: string;
}
export interface PasskeyRow extends Row {
  name: string;
  lastUsed: string;
}
export interface AppRow extends Row {
  confirmed: boolean;
}
export interface KeyRow extends Row {
  collectionRef: string;
  recordRef: string;
  name: string;
  prefix: string;
  superuser: boolean;
  scopes: Record<string, string[]> | null;
  expires: string;
  lastUsed: string;
}

/** The newest rows first; of an account, or of all. */
async function rows<T extends Row>(collection: string, owner?: RecordData): Promise<T[]> {
  const filter = owner ? `collectionRef = "${owner.collectionId}" && recordRef = "${owner.id}"` : '';
  const params = query({ perPage: 500, sort: '-created', skipTotal: true, filter });
  return (await request<Page<T>>(`/api/collections/${collection}/records${params}`)).items;
}
const remove = (collection: string, id: string) =>
  request<null>(`/api/collections/${collection}/records/${encodeURIComponent(id)}`, { method: 'DELETE' });

export const listSessions = (owner: RecordData) => rows<SessionRow>('_sessions', owner);
export const endSession = (id: string) => remove('_sessions', id);
export const endOtherSessions = () => post<AuthAnswer>('/end-other-sessions');

export interface PasskeyChallenge {
  challengeId: string;
  options: PasskeyOptions;
}
export const listPasskeys = (owner: RecordData) => rows<PasskeyRow>('_passkeys', owner);
export const setUpPasskey = (password: string) => post<PasskeyChallenge>('/passkeys/setup', { password });
export const confirmPasskey = (challengeId: string, name: string, credential: unknown) =>
  post<{ id: string }>('/passkeys/confirm', { challengeId, name, credential });
export const renamePasskey = (id: string, name: string) => post<null>('/passkeys/rename', { id, name });
export const removePasskey = (id: string, password: string) =>
  post<null>('/passkeys/remove', { id, password });

type PasskeySettings = Settings & { passkeys?: { collections: string[] } };
export const passkeysOn = async () =>
  (await request<{ passkey?: { enabled: boolean } }>(`${base}/auth-methods?own=1`)).passkey?.enabled === true;
export async function turnPasskeysOn(): Promise<void> {
  const settings = await request<PasskeySettings>('/api/settings');
  const collections = [...(settings.passkeys?.collections ?? []), '_superusers'];
  await request('/api/settings', { method: 'PATCH', body: { passkeys: { collections } } });
}

export interface AppSetup {
  id: string;
  secret: string;
  url: string;
  qr: string;
}
export const appState = async (owner: RecordData) =>
  (await rows<AppRow>('_totps', owner)).find((row) => row.confirmed) ?? null;
export const setUpApp = (password: string) => post<AppSetup>('/totp/setup', { password });
export const confirmApp = (code: string) => post<{ recoveryCodes: string[] }>('/totp/confirm', { code });
export const renewRecovery = (code: string) =>
  post<{ recoveryCodes: string[] }>('/totp/recovery-codes', { code });
export const removeApp = (code: string) => post<null>('/totp/remove', { code });

export interface KeyWish {
  name: string;
  superuser: boolean;
  scopes: Record<string, string[]>;
  expires: string;
  addresses: string[];
}
export const listKeys = () => rows<KeyRow>('_apiKeys');
export const createKey = (wish: KeyWish, password: string) =>
  post<{ id: string; key: string }>('/api-keys', { ...wish, password });
export const revokeKey = (id: string) => remove('_apiKeys', id);
