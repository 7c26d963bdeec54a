// What can stand at the caret of an SQL statement: tables, their columns, and words of the language.
import type { Schema, Suggestion } from './complete';

const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER BY HAVING LIMIT OFFSET JOIN LEFT JOIN INNER JOIN ON AS AND OR NOT IN LIKE BETWEEN IS NULL DISTINCT COUNT SUM AVG MIN MAX CASE WHEN THEN ELSE END WITH UNION ALL EXISTS ASC DESC INSERT INTO VALUES UPDATE SET DELETE FROM COALESCE CAST'.split(
    ' ',
  );
const LIMIT = 30;
const plain = /^[a-z_]\w*$/i;
const quoted = (name: string) => (plain.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
/** Text and comments out of the way, of the same length, so that words in them are none. */
const bare = (sql: string) =>
  sql.replace(/'(?:[^']|'')*(?:'|$)|--[^\n]*|\/\*[^]*?(?:\*\/|$)/g, (found) => ' '.repeat(found.length));

/** The tables of a statement, by their names and what they are called in it. */
function named(sql: string, schemas: Schema[]): Map<string, Schema> {
  const found = new Map<string, Schema>();
  const mention = /\b(?:from|join|update|into)\s+|,\s*/gi;
  for (let at = mention.exec(sql); at; at = mention.exec(sql)) {
    const after = /^(?:"([^"]+)"|`([^`]+)`|(\w+))(?:\s+(?:as\s+)?(\w+))?/i.exec(sql.slice(mention.lastIndex));
    const name = (after?.[1] ?? after?.[2] ?? after?.[3] ?? '').toLowerCase();
    const schema = schemas.find((s) => s.name.toLowerCase() === name);
    if (!schema) continue;
    found.set(name, schema);
    const alias = after?.[4]?.toLowerCase();
    if (alias && !WORDS.includes(alias.toUpperCase())) found.set(alias, schema);
  }
  return found;
}

export function completeSql(text: string, caret: number, schemas: Schema[]): Suggestion[] {
  const clean = bare(text);
  const before = clean.slice(0, caret);
  // In a text or a comment nothing is suggested.
  if (text.slice(0, caret).trimEnd() !== '' && bare(`${text.slice(0, caret)}x`).endsWith(' ')) return [];
  const fragment = /(?:(\w+)\.)?(\w*)$/.exec(before)!;
  const [, owner = '', typed = ''] = fragment;
  const needle = typed.toLowerCase();
  const tables = named(clean, schemas);
  const list: { label: string; detail: string; kind: string }[] = [];
  const columns = (schema: Schema) => {
    for (const f of schema.fields) list.push({ label: quoted(f.name), detail: schema.name, kind: f.type });
  };
  const from = caret - typed.length;
  if (owner !== '') {
    const schema = tables.get(owner.toLowerCase()) ?? schemas.find((s) => s.name === owner);
    if (schema) columns(schema);
  } else {
    const wantsTable = /\b(?:from|join|update|into)\s+$/i.test(clean.slice(0, from));
    if (needle === '' && !wantsTable) return [];
    if (!wantsTable) for (const schema of new Set(tables.values())) columns(schema);
    for (const s of schemas) list.push({ label: quoted(s.name), detail: s.type, kind: 'collection' });
    if (!wantsTable) for (const word of WORDS) list.push({ label: word, detail: '', kind: 'operator' });
  }
  const seen = new Set<string>();
  return list
    .filter(({ label }) => {
      const lower = label.toLowerCase();
      const fits = lower.startsWith(needle) || lower.startsWith(`"${needle}`);
      if (!fits || lower === needle || seen.has(lower)) return false;
      seen.add(lower);
      return true;
    })
    .slice(0, LIMIT)
    .map((hint) => ({ ...hint, from, to: caret }));
}
