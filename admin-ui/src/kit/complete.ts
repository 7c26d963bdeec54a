// What can stand at the caret of a filter or rule: fields, relations, macros, operators.
import { lex, type Token } from './expr';

export interface SchemaField {
  name: string;
  type: string;
  collectionId?: string;
  maxSelect?: number;
}
export interface Schema {
  id: string;
  name: string;
  type: string;
  fields: SchemaField[];
}
export interface Suggestion {
  label: string;
  detail: string;
  /** a field kind, or 'relation', 'macro', 'operator', 'collection' */
  kind: string;
  from: number;
  to: number;
}
export interface Context {
  collections: Schema[];
  collection: Schema;
  rule: boolean;
}

const macros: [string, string][] = [
  ['@now', 'this moment'],
  ['@todayStart', 'today 00:00'],
  ['@todayEnd', 'today 23:59'],
  ['@monthStart', 'first of the month'],
  ['@monthEnd', 'end of the month'],
  ['@yearStart', '1 January'],
  ['@yearEnd', '31 December'],
  ['@yesterday', 'now minus a day'],
  ['@tomorrow', 'now plus a day'],
  ['@second', '0–59'],
  ['@minute', '0–59'],
  ['@hour', '0–23'],
  ['@day', '1–31'],
  ['@month', '1–12'],
  ['@weekday', '0 is Sunday'],
  ['@year', 'number'],
];
const request: [string, string][] = [
  ['@request.auth.', 'who asks'],
  ['@request.body.', 'what was sent'],
  ['@request.query.', 'query parameter'],
  ['@request.headers.', 'request header'],
  ['@request.method', 'GET, POST, PATCH, DELETE'],
  ['@request.context', 'default, realtime, expand …'],
  ['@collection.', 'any other collection'],
];
const operators: [string, string][] = [
  ['=', 'equal'],
  ['!=', 'not equal'],
  ['~', 'contains'],
  ['!~', 'does not contain'],
  ['>', 'greater'],
  ['>=', 'greater or equal'],
  ['<', 'less'],
  ['<=', 'less or equal'],
  ['?=', 'any equal'],
  ['?!=', 'any not equal'],
  ['?~', 'any contains'],
];
const modifiers: Record<string, string[]> = {
  select: ['length', 'each'],
  relation: ['length', 'each'],
  file: ['length', 'each'],
  text: ['lower'],
  email: ['lower'],
  url: ['lower'],
  editor: ['lower'],
};
const authExtra: SchemaField[] = [
  { name: 'collectionId', type: 'text' },
  { name: 'collectionName', type: 'text' },
];
const LIMIT = 30;

export function complete(text: string, caret: number, ctx: Context): Suggestion[] {
  const before = text.slice(0, caret);
  const tokens = lex(before);
  const last = tokens.at(-1);
  if (
    last &&
    (last.kind === 'comment' ||
      last.kind === 'text' ||
      (last.kind === 'bad' && /['"]/.test(before[last.from] ?? '')))
  )
    return [];
  const fragment = /[@A-Za-z_#][\w.:]*$|@$/.exec(before)?.[0] ?? '';
  const from = caret - fragment.length;
  const want = expected(lex(text.slice(0, from)));
  if (want === 'operand') return operands(fragment, from, caret, ctx);
  const list: [string, string][] =
    want === 'operator'
      ? operators
      : [
          ['&&', 'and'],
          ['||', 'or'],
        ];
  if (fragment !== '') return [];
  const typed = /[=!~<>?&|]*$/.exec(before)?.[0] ?? '';
  return list
    .filter(([label]) => label.startsWith(typed) && label !== typed)
    .map(([label, detail]) => ({ label, detail, kind: 'operator', from: caret - typed.length, to: caret }));
}

function expected(tokens: Token[]): 'operand' | 'operator' | 'join' {
  const solid = tokens.filter((t) => t.kind !== 'ws' && t.kind !== 'comment');
  const last = solid.at(-1);
  if (!last || ['join', 'open', 'comma', 'op'].includes(last.kind)) return 'operand';
  if (last.kind === 'bad') return solid.at(-2)?.kind === 'op' ? 'join' : 'operator';
  if (last.kind === 'close') return 'join';
  return solid.at(-2)?.kind === 'op' ? 'join' : 'operator';
}

function operands(fragment: string, from: number, to: number, ctx: Context): Suggestion[] {
  const found: Omit<Suggestion, 'from' | 'to'>[] = [];
  const byId = (id: string | undefined) => ctx.collections.find((c) => c.id === id);
  const byName = (name: string) => ctx.collections.find((c) => c.name.toLowerCase() === name.toLowerCase());
  const dot = fragment.lastIndexOf('.');
  const head = fragment.slice(0, dot + 1);
  const tail = fragment.slice(dot + 1);

  const paths = (start: Schema[], segments: string[], prefix: string) => {
    let here = start;
    for (const segment of segments) here = here.flatMap((schema) => step(schema, segment));
    const seen = new Set<string>();
    const colon = tail.indexOf(':');
    for (const schema of here) {
      for (const field of schema.fields) {
        if (seen.has(field.name)) continue;
        seen.add(field.name);
        if (colon < 0) found.push({ label: prefix + field.name, detail: field.type, kind: field.type });
        else if (tail.slice(0, colon) === field.name)
          for (const m of modifiers[field.type] ?? [])
            found.push({ label: `${prefix}${field.name}:${m}`, detail: 'modifier', kind: 'macro' });
      }
      if (colon >= 0) continue;
      for (const other of ctx.collections)
        for (const field of other.fields)
          if (field.type === 'relation' && field.collectionId === schema.id)
            found.push({
              label: `${prefix}${other.name}_via_${field.name}.`,
              detail: 'points here',
              kind: 'relation',
            });
    }
  };
  const step = (schema: Schema, segment: string): Schema[] => {
    const via = segment.split('_via_');
    if (via.length === 2) return [byName(via[0] ?? '')].filter((c) => c !== undefined);
    const field = schema.fields.find((f) => f.name === segment && f.type === 'relation');
    return [byId(field?.collectionId)].filter((c) => c !== undefined);
  };

  const segments = head.split('.').filter(Boolean);
  if (head.startsWith('@request.auth.')) {
    const auth = ctx.collections.filter((c) => c.type === 'auth');
    paths(
      segments.length > 2 ? auth : auth.map((c) => ({ ...c, fields: [...c.fields, ...authExtra] })),
      segments.slice(2),
      head,
    );
  } else if (head.startsWith('@request.body.')) {
    paths([ctx.collection], segments.slice(2), head);
    if (tail.includes(':'))
      for (const m of ['isset', 'changed'])
        found.push({ label: `${head}${tail.split(':')[0]}:${m}`, detail: 'modifier', kind: 'macro' });
  } else if (head.startsWith('@request.')) {
    for (const [label, detail] of request) found.push({ label, detail, kind: 'macro' });
  } else if (head === '@collection.') {
    for (const c of ctx.collections)
      found.push({ label: `@collection.${c.name}.`, detail: c.type, kind: 'collection' });
  } else if (head.startsWith('@collection.')) {
    const other = byName((segments[1] ?? '').split(':')[0] ?? '');
    if (other) paths([other], segments.slice(2), head);
  } else if (fragment.startsWith('@')) {
    for (const [label, detail] of [...(ctx.rule ? request : []), ...macros])
      found.push({ label, detail, kind: 'macro' });
    if (!ctx.rule) for (const [label, detail] of request) found.push({ label, detail, kind: 'macro' });
  } else {
    paths([ctx.collection], segments, head);
    if (head === '') {
      for (const [label, detail] of ctx.rule ? [...request, ...macros] : macros)
        found.push({ label, detail, kind: 'macro' });
      for (const label of ['true', 'false', 'null']) found.push({ label, detail: 'value', kind: 'bool' });
    }
  }
  const needle = fragment.toLowerCase();
  const hits = found.filter((s) => s.label.toLowerCase().startsWith(needle) && s.label !== fragment);
  const loose =
    tail.length > 1 && hits.length < 8
      ? found.filter(
          (s) =>
            !hits.includes(s) &&
            s.label.slice(head.length).toLowerCase().includes(tail.toLowerCase()) &&
            s.label !== fragment,
        )
      : [];
  return [...hits, ...loose].slice(0, LIMIT).map((s) => ({ ...s, from, to }));
}
