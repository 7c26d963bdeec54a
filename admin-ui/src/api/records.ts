import { query } from '../kit/url';
import { apiUrl, request, type RequestOptions } from './client';
import type { Page, RecordData } from './types';

/** Rows up to which an estimate is exact. */
const COUNTED = 10_000;

const base = (collection: string) => `/api/collections/${encodeURIComponent(collection)}/records`;

export interface ListParams {
  page?: number;
  perPage?: number;
  filter?: string;
  sort?: string;
  expand?: string;
  fields?: string;
  skipTotal?: boolean;
  /** Empty for the first page. */
  cursor?: string;
}

export const listRecords = (collection: string, params: ListParams, signal?: AbortSignal) =>
  request<Page<RecordData>>(
    base(collection) + query({ ...params }) + (params.cursor === '' ? '&cursor=' : ''),
    { signal },
  );

export const countRecords = async (collection: string, filter: string, signal?: AbortSignal) =>
  (
    await request<Page<RecordData>>(base(collection) + query({ perPage: 1, fields: 'id', filter }), {
      signal,
    })
  ).totalItems;

/** What can be told of the count at no cost: exact for short lists, from the size of the table for long ones. */
export const estimateRecords = async (collection: string, filter: string, signal?: AbortSignal) => {
  const params = { perPage: 1, fields: 'id', filter, count: 'estimate' };
  const { totalItems } = await request<Page<RecordData>>(base(collection) + query(params), { signal });
  return { total: totalItems, exact: totalItems < COUNTED };
};

export const getRecord = (collection: string, id: string, signal?: AbortSignal) =>
  request<RecordData>(`${base(collection)}/${encodeURIComponent(id)}`, { signal });

export interface Versioned {
  record: RecordData;
  /** Names this state of the record. */
  tag: string;
}

export async function getVersioned(collection: string, id: string, signal?: AbortSignal): Promise<Versioned> {
  let tag = '';
  const path = `${base(collection)}/${encodeURIComponent(id)}`;
  const record = await request<RecordData>(path, { signal, ontag: (t) => (tag = t) });
  return { record, tag };
}

export const createRecord = (collection: string, body: unknown, options: RequestOptions = {}) =>
  request<RecordData>(base(collection), { ...options, method: 'POST', body });

export const updateRecord = (collection: string, id: string, body: unknown, options: RequestOptions = {}) =>
  request<RecordData>(`${base(collection)}/${encodeURIComponent(id)}`, { ...options, method: 'PATCH', body });

/** As `updateRecord`, held to a state of the record: with another one the server answers 412 and that one. */
export async function updateVersion(
  collection: string,
  id: string,
  body: unknown,
  tag: string,
  options: RequestOptions = {},
): Promise<Versioned> {
  let next = '';
  const headers: Record<string, string> = tag === '' ? {} : { 'If-Match': tag };
  const record = await updateRecord(collection, id, body, { ...options, headers, ontag: (t) => (next = t) });
  return { record, tag: next };
}

export const deleteRecord = (collection: string, id: string, options: RequestOptions = {}) =>
  request<null>(`${base(collection)}/${encodeURIComponent(id)}`, { ...options, method: 'DELETE' });

let fileToken = { value: '', until: 0 };
let pending: Promise<string> | null = null;

/** A short-lived token for protected files, shared until shortly before its end. */
export async function protectedToken(): Promise<string> {
  if (Date.now() < fileToken.until) return fileToken.value;
  pending ??= request<{ token: string }>('/api/files/token', { method: 'POST' })
    .then(({ token }) => {
      fileToken = { value: token, until: Date.now() + 100_000 };
      return token;
    })
    .finally(() => (pending = null));
  return pending;
}

export const fileUrl = (
  record: RecordData,
  name: string,
  params: { thumb?: string; token?: string; download?: boolean } = {},
) =>
  apiUrl(
    `/api/files/${encodeURIComponent(record.collectionId)}/${encodeURIComponent(record.id)}/${encodeURIComponent(name)}`,
  ) + query(params);

/**
 * The body of a save. Plain values go as JSON; as soon as there is a new file it becomes a form, in which the plain
 * values travel as one JSON part so that nothing is guessed from text.
 */
export function saveBody(values: Record<string, unknown>): unknown {
  const plain: Record<string, unknown> = {};
  const files: [string, File][] = [];
  for (const [name, value] of Object.entries(values)) {
    const list = Array.isArray(value) ? value : [value];
    const fresh = list.filter((v): v is File => v instanceof File);
    if (fresh.length === 0) {
      plain[name] = value;
    } else if (Array.isArray(value)) {
      plain[name] = list.filter((v) => !(v instanceof File));
      for (const file of fresh) files.push([`${name}+`, file]);
    } else {
      for (const file of fresh) files.push([name, file]);
    }
  }
  if (files.length === 0) return plain;
  const form = new FormData();
  form.set('@jsonPayload', JSON.stringify(plain));
  for (const [name, file] of files) form.append(name, file, file.name);
  return form;
}
