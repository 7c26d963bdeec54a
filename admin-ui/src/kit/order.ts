// Where a row that arrived live belongs in a sorted list. Texts compare by code unit, as the server's do.
import { parseSort } from './query';

type Row = Record<string, unknown>;

function weigh(value: unknown): number | string {
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value == null ? '' : JSON.stringify(value);
}

export function compareRows(sort: string): ((a: Row, b: Row) => number) | null {
  const keys = parseSort(sort);
  if (keys.length === 0 || keys.some((k) => /[.@:]/.test(k.field))) return null;
  if (!keys.some((k) => k.field === 'id')) keys.push({ field: 'id', descending: false });
  return (a, b) => {
    for (const { field, descending } of keys) {
      const x = weigh(a[field]);
      const y = weigh(b[field]);
      if (x === y) continue;
      const less = typeof x === typeof y ? x < y : typeof x === 'number';
      return less === descending ? 1 : -1;
    }
    return 0;
  };
}

/** The index before which the row belongs; rows.length when it belongs behind all that are loaded. */
export function placeOf<T extends Row>(rows: T[], row: T, sort: string): number {
  const compare = compareRows(sort);
  if (!compare) return 0;
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(rows[middle]!, row) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
