// What an import of collections would change, told before it does.
import { same } from './diff';

export interface Part {
  id?: string;
  name: string;
  [key: string]: unknown;
}
export interface Whole extends Part {
  fields?: Part[];
}
export interface Change {
  kind: 'added' | 'changed' | 'deleted';
  name: string;
  was: string;
  before: string;
  after: string;
  /** Names of fields that go, with their values. */
  losing: string[];
}

const volatile = ['created', 'updated'];

/** A collection as it is exported: without what only this server knows. */
export function exported(collection: object): Whole {
  return Object.fromEntries(
    Object.entries(structuredClone(collection)).filter(([key]) => !volatile.includes(key)),
  ) as Whole;
}

/** The list in a pasted text, or null. One collection alone is a list of one. */
export function parseImport(text: string): Whole[] | null {
  try {
    const value: unknown = JSON.parse(text);
    const list = Array.isArray(value) ? value : [value];
    const good = list.every(
      (item) => typeof item === 'object' && item !== null && typeof (item as Part).name === 'string',
    );
    return good && list.length > 0 ? (list as Whole[]) : null;
  } catch {
    return null;
  }
}

const pretty = (value: unknown) => JSON.stringify(value, null, 2);

/** Lays `incoming` over `present` as the server does. */
function laid(present: Whole, incoming: Whole, remove: boolean): Whole {
  const own = present.fields ?? [];
  const news = incoming.fields ?? own;
  const match = (field: Part) =>
    news.find((n) => (n.id ? n.id === field.id : n.name.toLowerCase() === field.name.toLowerCase()));
  const kept = own.filter((field) => !match(field) && (!remove || field.system === true));
  const over = news.map((field) => {
    const old = own.find((o) => match(o) === field);
    return old ? { ...old, ...field } : field;
  });
  const merged: Whole = { ...present, ...exported(incoming), fields: [...over, ...kept] };
  return merged;
}

export function changesOf(present: Whole[], incoming: Whole[], remove: boolean): Change[] {
  const out: Change[] = [];
  const seen = new Set<Whole>();
  for (const item of incoming) {
    const old =
      present.find((p) => item.id !== undefined && p.id === item.id) ??
      present.find((p) => item.id === undefined && p.name.toLowerCase() === item.name.toLowerCase());
    if (!old) {
      out.push({
        kind: 'added',
        name: item.name,
        was: '',
        before: '',
        after: pretty(exported(item)),
        losing: [],
      });
      continue;
    }
    seen.add(old);
    const before = exported(old);
    const after = laid(before, item, remove);
    if (same(before, after)) continue;
    const stays = new Set((after.fields ?? []).map((f) => f.id ?? f.name));
    out.push({
      kind: 'changed',
      name: item.name,
      was: old.name === item.name ? '' : old.name,
      before: pretty(before),
      after: pretty(after),
      losing: (before.fields ?? [])
        .filter((f) => !stays.has(f.id ?? f.name) && !stays.has(f.name))
        .map((f) => f.name),
    });
  }
  if (remove)
    for (const old of present)
      if (!seen.has(old) && old.system !== true)
        out.push({
          kind: 'deleted',
          name: old.name,
          was: '',
          before: pretty(exported(old)),
          after: '',
          losing: (old.fields ?? []).map((f) => f.name),
        });
  return out;
}

/** Collections that have the name of one of ours under another id. */
export const strangers = (present: Whole[], incoming: Whole[]) =>
  incoming.filter((item) => {
    const named = present.find((p) => p.name.toLowerCase() === item.name.toLowerCase());
    return (
      named !== undefined &&
      item.id !== undefined &&
      item.id !== named.id &&
      !present.some((p) => p.id === item.id)
    );
  });

/** The same list with our ids for collections and fields of the same names, also where relations point to them. */
export function adopted(present: Whole[], incoming: Whole[]): Whole[] {
  const ids = new Map<string, string>();
  for (const item of strangers(present, incoming)) {
    const ours = present.find((p) => p.name.toLowerCase() === item.name.toLowerCase())!;
    ids.set(item.id!, ours.id!);
  }
  return incoming.map((item) => {
    const id = item.id === undefined ? undefined : ids.get(item.id);
    const ours = id === undefined ? undefined : present.find((p) => p.id === id);
    const fields = item.fields?.map((field) => {
      const target = typeof field.collectionId === 'string' ? ids.get(field.collectionId) : undefined;
      const twin = ours?.fields?.find((f) => f.name === field.name && f.type === field.type);
      return { ...field, ...(twin ? { id: twin.id } : {}), ...(target ? { collectionId: target } : {}) };
    });
    return { ...item, ...(id === undefined ? {} : { id }), ...(fields ? { fields } : {}) };
  });
}

export interface Line {
  tone: 'same' | 'gone' | 'new';
  text: string;
}

/** Lines of two texts side by side, by the longest common sequence; long stretches that are the same are cut. */
export function lineDiff(before: string, after: string, around = 2): Line[] {
  const a = before === '' ? [] : before.split('\n');
  const b = after === '' ? [] : after.split('\n');
  const width = b.length + 1;
  const best = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i * width + j] =
        a[i] === b[j]
          ? best[(i + 1) * width + j + 1]! + 1
          : Math.max(best[(i + 1) * width + j]!, best[i * width + j + 1]!);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ tone: 'same', text: a[i]! });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && best[(i + 1) * width + j]! >= best[i * width + j + 1]!))
      lines.push({ tone: 'gone', text: a[i++]! });
    else lines.push({ tone: 'new', text: b[j++]! });
  }
  const near = (at: number) =>
    lines.slice(Math.max(0, at - around), at + around + 1).some((l) => l.tone !== 'same');
  const out: Line[] = [];
  lines.forEach((l, at) => {
    if (l.tone !== 'same' || near(at)) out.push(l);
    else if (out.at(-1)?.text !== '…') out.push({ tone: 'same', text: '…' });
  });
  return out;
}
