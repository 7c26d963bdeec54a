// Which index a slow list request misses: told by the names in its filter and sort, and the indexes that there are.
import { lex } from './expr';

export interface Listed {
  collection: string;
  filter: string;
  sort: string;
}
export interface Indexed {
  name: string;
  fields: { name: string }[];
  indexes: string[];
}

/** The list request that an address is, or null. */
export function listOf(url: string): Listed | null {
  const [path = '', query = ''] = url.split('?');
  const found = /^\/api\/collections\/([^/]+)\/records$/.exec(path);
  if (!found) return null;
  const params = new URLSearchParams(query);
  return {
    collection: decodeURIComponent(found[1]!),
    filter: params.get('filter') ?? '',
    sort: params.get('sort') ?? '',
  };
}

/** Names of own fields in a filter that an index could find by: compared, not searched within. */
export function filtered(filter: string, fields: Set<string>): string[] {
  const solid = lex(filter).filter((t) => t.kind !== 'ws' && t.kind !== 'comment');
  const out: string[] = [];
  solid.forEach((token, at) => {
    const name = filter.slice(token.from, token.to);
    const next = solid[at + 1];
    const sign = next?.kind === 'op' ? filter.slice(next.from, next.to) : '';
    if (fields.has(name) && /^\??(=|>|>=|<|<=)$/.test(sign) && !out.includes(name)) out.push(name);
  });
  return out;
}

/** The first column of an index. */
export const leading = (index: string) =>
  /\(\s*[`"[]?(\w+)/.exec(
    index.replace(/^create\s+(unique\s+)?index\s+(if\s+not\s+exists\s+)?\S+\s+on\s+\S+/i, ''),
  )?.[1] ?? '';

/** Columns for an index that would help, or none when there is one already or none can. */
export function missing(list: Listed, collection: Indexed): string[] {
  const fields = new Set(collection.fields.map((f) => f.name));
  const led = new Set(['id', ...collection.indexes.map(leading)]);
  const equal = filtered(list.filter, fields);
  const sorted = list.sort
    .split(',')
    .map((key) => key.trim().replace(/^[-+]/, ''))
    .filter((name) => fields.has(name));
  if (equal.some((name) => led.has(name))) return [];
  if (equal.length) return [equal[0]!, ...sorted.slice(0, 1).filter((name) => name !== equal[0])];
  return sorted[0] && !led.has(sorted[0]) ? [sorted[0]] : [];
}
export const indexFor = (collection: string, columns: string[]) =>
  `CREATE INDEX idx_${collection}_${columns.join('_')} ON ${collection} (${columns.join(', ')})`;
