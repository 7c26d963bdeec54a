// From what was typed in the search box to a filter the server understands.
import { quote } from './expr';
import type { SchemaField } from './complete';

/** Anything with a comparison is an expression, everything else a word to look for. */
export const isExpression = (text: string) => /[=~<>]/.test(text) || text.trimStart().startsWith('(');

const searchable = new Set([
  'text',
  'email',
  'url',
  'editor',
  'select',
  'number',
  'date',
  'autodate',
  'json',
  'relation',
  'file',
]);

export function toFilter(text: string, fields: SchemaField[]): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  if (isExpression(trimmed)) return trimmed.replaceAll('\r\n', '\n');
  const word = quote(trimmed);
  return fields
    .filter((f) => searchable.has(f.type))
    .map((f) => `${f.name} ~ ${word}`)
    .join(' || ');
}

export interface Sort {
  field: string;
  descending: boolean;
}

export function parseSort(text: string): Sort[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => ({ field: part.replace(/^[-+]/, ''), descending: part.startsWith('-') }));
}

export const formatSort = (sort: Sort[]) => sort.map((s) => (s.descending ? '-' : '') + s.field).join(',');

/** One click on a head: ascending, descending, off. With `add` the other keys stay. */
export function cycleSort(text: string, field: string, add: boolean): string {
  const sort = parseSort(text);
  const now = sort.find((s) => s.field === field);
  const next = !now ? { field, descending: false } : now.descending ? null : { field, descending: true };
  const rest = add ? sort.filter((s) => s.field !== field) : [];
  if (!add || !now) return formatSort(next ? [...rest, next] : rest);
  return formatSort(sort.flatMap((s) => (s.field !== field ? [s] : next ? [next] : [])));
}

/** What goes to the server: the wish plus a tie-break, so that pages never overlap. */
export function serverSort(text: string, isView: boolean): string {
  if (text === '') return isView ? '' : '-@rowid';
  return parseSort(text).some((s) => s.field === 'id') ? text : `${text},id`;
}
