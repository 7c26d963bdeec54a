import { request } from './client';

export interface SqlAnswer {
  execTime: number;
  affectedRows: number;
  columns: { name: string; type: string; nullable: boolean }[];
  rows: (string | null)[][];
}
export const runSql = (query: string, readOnly: boolean, signal?: AbortSignal) =>
  request<SqlAnswer>('/api/sql', { method: 'POST', body: { query, readOnly }, signal });
