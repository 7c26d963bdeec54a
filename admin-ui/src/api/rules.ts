import { request } from './client';
import type { RuleName } from './types';

export interface Side {
  text: string;
  kind: 'value' | 'secret' | 'elsewhere';
  value: unknown;
}
export interface Clause {
  shape: 'all' | 'any' | 'compare';
  text: string;
  /** null where that depends on the record and none was named. */
  holds: boolean | null;
  /** Each part holds for some related record, but not all of them for the same one. */
  apart: boolean;
  left?: Side;
  right?: Side;
  parts: Clause[];
}
export interface Explained {
  collection: string;
  rule: RuleName;
  text: string | null;
  state: 'locked' | 'everyone' | 'rule' | 'broken';
  error: string | null;
  superuser: boolean;
  holds: boolean | null;
  record: 'here' | 'missing' | 'none';
  at: string;
  clause: Clause | null;
}
export interface Question {
  rule: string;
  text?: string;
  caller?: { collection: string; id: string };
  record?: string;
  values?: unknown;
  query?: Record<string, string>;
  method?: string;
}

export const explain = (collection: string, question: Question, signal?: AbortSignal) =>
  request<Explained>(`/api/collections/${encodeURIComponent(collection)}/explain`, {
    method: 'POST',
    body: question,
    signal,
  });

export interface Exposed {
  collectionId: string;
  collectionName: string;
  rule: RuleName;
  level: 'danger' | 'warning' | 'info';
  code: string;
  fields: string[];
  message: string;
}
export const exposure = async () =>
  (await request<{ items: Exposed[] }>('/api/collections/meta/exposure')).items;
