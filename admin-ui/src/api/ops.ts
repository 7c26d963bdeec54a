import { apiUrl, request, token } from './client';
import { query } from '../kit/url';

export interface Backup {
  key: string;
  size: number;
  modified: string;
}
export interface Job {
  id: string;
  expression: string;
}

const path = (key = '') => `/api/backups${key === '' ? '' : `/${encodeURIComponent(key)}`}`;

export const listBackups = () => request<Backup[]>(path());
export const createBackup = (name: string) =>
  request<null>(path(), { method: 'POST', body: name === '' ? {} : { name } });
/** `as` is the token to use instead of the session's: that of the installer's link. */
export function uploadBackup(file: File, progress: (part: number) => void, as?: string) {
  const body = new FormData();
  body.set('file', file);
  return request<null>(`${path()}/upload`, { method: 'POST', body, progress, token: as });
}
export const deleteBackup = (key: string) => request<null>(path(key), { method: 'DELETE' });
export const restoreBackup = (key: string, as?: string) =>
  request<null>(`${path(key)}/restore`, { method: 'POST', token: as });
/** Downloads carry a token for files: a link cannot send headers. */
export async function backupUrl(key: string): Promise<string> {
  const answer = await request<{ token: string }>('/api/files/token', { method: 'POST' });
  return apiUrl(path(key)) + query({ token: answer.token });
}

/** True when the server answers and no backup is being made or put back. Never asks for a new sign-in. */
export async function atRest(): Promise<boolean> {
  try {
    const answer = await request<{ data: { canBackup?: boolean } }>('/api/health', { token: token() });
    return answer.data.canBackup !== false;
  } catch {
    return false;
  }
}

export const listJobs = () => request<Job[]>('/api/crons');
export const runJob = (id: string) =>
  request<null>(`/api/crons/${encodeURIComponent(id)}`, { method: 'POST' });
