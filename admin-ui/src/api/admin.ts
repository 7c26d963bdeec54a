import { query } from '../kit/url';
import { request } from './client';
import type { LogLine, Page, RealtimeStats, Settings } from './types';

export const listLogs = (
  params: { page: number; perPage: number; filter: string; sort: string; fields?: string },
  signal?: AbortSignal,
) => request<Page<LogLine>>(`/api/logs${query({ ...params, skipTotal: true })}`, { signal });
export const logHours = (filter: string, signal?: AbortSignal) =>
  request<{ date: string; total: number }[]>(`/api/logs/stats${query({ filter })}`, { signal });
export const getLog = (id: string) => request<LogLine>(`/api/logs/${encodeURIComponent(id)}`);
export const getSettings = () => request<Settings>('/api/settings');
export const saveSettings = (change: unknown) =>
  request<Settings>('/api/settings', { method: 'PATCH', body: change });
/** What the server sees of us. */
export const seenAs = async () =>
  (await request<{ data: { realIP?: string; possibleProxyHeader?: string } }>('/api/health')).data;
export const getMetrics = (signal?: AbortSignal) => request<string>('/api/metrics', { signal, text: true });
export const testMail = (email: string, template: string, collection: string) =>
  request<null>('/api/settings/test/email', { method: 'POST', body: { email, template, collection } });
export const testStorage = (filesystem: 'storage' | 'backups') =>
  request<null>('/api/settings/test/s3', { method: 'POST', body: { filesystem } });
export const getRealtimeStats = (signal?: AbortSignal) =>
  request<RealtimeStats>('/api/realtime/stats', { signal });
