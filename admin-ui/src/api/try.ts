// Requests as somebody else, for trying the API: what comes back is shown, whatever it is.
import { apiUrl, token } from './client';
import { impersonate } from './people';

export interface Tried {
  status: number;
  ms: number;
  body: string;
}

/** A short-lived token of an account. */
export function tokenOf(collection: string, id: string): Promise<string> {
  return impersonate(collection, id, 300);
}

export async function tryRequest(
  method: string,
  path: string,
  as: string | null,
  body?: string,
): Promise<Tried> {
  const headers: Record<string, string> = {};
  const used = as ?? token();
  if (used !== '') headers.Authorization = used;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const started = performance.now();
  const answer = await fetch(apiUrl(path), { method, headers, body, cache: 'no-store' });
  const text = await answer.text();
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Not JSON: shown as it came.
  }
  return { status: answer.status, ms: Math.round(performance.now() - started), body: shown };
}
export const origin = () => new URL(apiUrl('/'), location.href).href.replace(/\/$/, '');
