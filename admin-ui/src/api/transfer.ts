// Records as files, in and out.
import { ApiError } from './errors';
import { apiUrl, requestLines, token } from './client';
import { query } from '../kit/url';

export type Format = 'csv' | 'json' | 'ndjson';
export interface ImportOptions {
  format: Format;
  /** Names in the file with the fields they mean; null leaves a column out. */
  mapping: Record<string, string | null>;
  /** Field by which records that are there already are found and changed. */
  upsert: string;
  dryRun: boolean;
  onError: 'skip' | 'stop' | 'undo';
}
export interface RowError {
  row: number;
  line: number;
  field: string;
  code: string;
  message: string;
}
export interface ImportState {
  type: 'progress' | 'report' | 'error';
  rows: number;
  created: number;
  updated: number;
  failed: number;
  bytes?: number;
  bytesTotal?: number | null;
  dryRun?: boolean;
  undone?: boolean;
  complete?: boolean;
  message?: string;
  errors?: RowError[];
  errorsOmitted?: number;
  ignored?: string[];
  status?: number;
  data?: unknown;
}

export async function importRecords(
  collection: string,
  file: Blob,
  options: ImportOptions,
  signal: AbortSignal,
  onstate: (state: ImportState) => void,
): Promise<ImportState> {
  const form = new FormData();
  form.set('format', options.format);
  form.set('mapping', JSON.stringify(options.mapping));
  form.set('upsert', options.upsert);
  form.set('dryRun', String(options.dryRun));
  form.set('onError', options.onError);
  form.set('file', file, `import.${options.format}`);
  const path = `/api/collections/${encodeURIComponent(collection)}/import`;
  const headers = { Accept: 'application/x-ndjson' };
  const last = await requestLines<ImportState>(path, { body: form, headers, signal }, onstate);
  if (last.type === 'error') throw new ApiError(last.status ?? 400, last.message ?? '', last.data);
  return last;
}

/** The records that match, as a file. */
export async function exportRecords(
  collection: string,
  params: { format: Format; filter: string; sort: string },
  signal?: AbortSignal,
): Promise<Blob> {
  const path = `/api/collections/${encodeURIComponent(collection)}/export` + query(params);
  const response = await fetch(apiUrl(path), {
    headers: { Authorization: token() },
    signal,
    cache: 'no-store',
  });
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as { message?: string; data?: unknown };
    throw new ApiError(response.status, body.message ?? String(response.status), body.data);
  }
  return response.blob();
}
