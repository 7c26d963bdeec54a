// Saving what was touched, and never over somebody else's head.
import { ApiError } from '../api/errors';
import { getVersioned, saveBody, updateVersion, type Versioned } from '../api/records';
import type { RequestOptions } from '../api/client';
import type { Collection, RecordData } from '../api/types';
import { same } from '../kit/diff';

/** Changes that others may make between asking and saving before it is given up. */
const TRIES = 5;

export type Saved = (Versioned & { clash?: undefined }) | { clash: RecordData; tag: string };

/** Touched fields that another wrote as well, otherwise, since `base`. */
export const clashes = (base: RecordData, theirs: RecordData, mine: Record<string, unknown>): string[] =>
  Object.keys(mine).filter(
    (name) => name in base && !same(base[name], theirs[name]) && !same(mine[name], theirs[name]),
  );

/** Texts in JSON fields are sent as JSON text, or the server would read "123" as a number. */
export function encoded(collection: Collection, values: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const json = collection.fields.find((f) => f.name === name)?.type === 'json';
    out[name] = json && typeof value === 'string' ? JSON.stringify(value) : value;
  }
  return out;
}

/**
 * Writes `touched` over `base`. If another has changed other fields meanwhile, both changes stay; if the same ones, nothing
 * is written and the record is given as it is now. `tag` names the state of `base` where it is known.
 */
export async function saveTouched(
  collection: Collection,
  base: RecordData,
  touched: Record<string, unknown>,
  tag: string,
  options: RequestOptions = {},
): Promise<Saved> {
  const body = saveBody(encoded(collection, touched));
  for (let tries = 0; ; tries++) {
    if (tag === '') {
      const now = await getVersioned(collection.name, base.id);
      if (clashes(base, now.record, touched).length > 0) return { clash: now.record, tag: now.tag };
      tag = now.tag;
    }
    try {
      return await updateVersion(collection.name, base.id, body, tag, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412 || tries >= TRIES) throw error;
      const { record } = error.body as { record?: RecordData };
      if (record && clashes(base, record, touched).length > 0) return { clash: record, tag: '' };
      tag = '';
    }
  }
}
