import { request } from './client';
import type { Collection, CollectionType, Field, Page, RecordData } from './types';

const path = (id = '') => `/api/collections${id === '' ? '' : `/${encodeURIComponent(id)}`}`;

export async function allCollections(): Promise<Collection[]> {
  const out: Collection[] = [];
  for (let page = 1; ; page++) {
    const answer = await request<Page<Collection>>(
      `${path()}?perPage=500&skipTotal=1&sort=name&page=${page}`,
    );
    out.push(...answer.items);
    if (answer.items.length < answer.perPage) return out;
  }
}
export const scaffolds = () => request<Record<CollectionType, Collection>>('/api/collections/meta/scaffolds');
export interface ProviderInfo {
  name: string;
  displayName: string;
}
export const oauth2Providers = () => request<ProviderInfo[]>('/api/collections/meta/oauth2-providers');
export const createCollection = (body: unknown) => request<Collection>(path(), { method: 'POST', body });
export const updateCollection = (id: string, body: unknown) =>
  request<Collection>(path(id), { method: 'PATCH', body });
export const deleteCollection = (id: string) => request<null>(path(id), { method: 'DELETE' });
export const importCollections = (list: unknown[], deleteMissing: boolean) =>
  request<null>(`${path()}/import`, { method: 'PUT', body: { collections: list, deleteMissing } });
export const truncateCollection = (id: string) => request<null>(`${path(id)}/truncate`, { method: 'DELETE' });
export const dryRunView = (sql: string, signal?: AbortSignal) =>
  request<{ fields: Field[]; sample: RecordData[] }>('/api/collections/meta/dry-run-view', {
    method: 'POST',
    body: { query: sql },
    signal,
  });
