// One order for many records, carried out by the server.
import { request, requestLines } from './client';

export interface BulkError {
  id: string;
  message: string;
  data: unknown;
}
export interface BulkState {
  id: string;
  action: 'update' | 'delete' | 'duplicate' | 'undo';
  collection: string;
  state: 'waiting' | 'running' | 'finished' | 'stopped';
  total: number;
  done: number;
  failed: number;
  /** It can be taken back. */
  undo: boolean;
  /** Once it is over: the first of those that failed. */
  errors?: BulkError[];
}
export type BulkTarget = { ids: string[] } | { filter: string };
export type BulkOrder = BulkTarget & {
  action: 'update' | 'delete' | 'duplicate';
  values?: Record<string, unknown>;
  /** Milliseconds before the first record. */
  delay?: number;
};
type OnState = (state: BulkState) => void;

export const startBulk = (collection: string, order: BulkOrder, online: OnState, keepalive = false) =>
  requestLines<BulkState>(
    `/api/collections/${encodeURIComponent(collection)}/bulk`,
    { body: order, keepalive },
    online,
  );

export const undoBulk = (id: string, online: OnState) =>
  requestLines<BulkState>(`/api/bulk/${encodeURIComponent(id)}/undo`, { body: {} }, online);

export const stopBulk = (id: string) =>
  request<null>(`/api/bulk/${encodeURIComponent(id)}`, { method: 'DELETE' });

export const getBulk = (id: string) => request<BulkState>(`/api/bulk/${encodeURIComponent(id)}`);
