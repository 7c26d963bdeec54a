// The names of columns in the beginning of a file, for a first look; the server reads the file itself.

export type FileFormat = 'csv' | 'json' | 'ndjson';

export function formatOf(name: string, head: string): FileFormat {
  if (/\.(ndjson|jsonl)$/i.test(name)) return 'ndjson';
  if (/\.json$/i.test(name)) return 'json';
  if (/\.(csv|tsv|txt)$/i.test(name)) return 'csv';
  const first = head.trimStart()[0];
  return first === '[' ? 'json' : first === '{' ? 'ndjson' : 'csv';
}

/** The cells of the first lines of a CSV. */
export function csvRows(head: string, most: number): string[][] {
  const text = head.replace(/^\uFEFF/, '');
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  const counts = [',', ';', '\t', '|'].map((s) => [s, line.split(s).length] as const);
  const separator = counts.reduce((best, now) => (now[1] > best[1] ? now : best))[0];
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length && rows.length < most; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === separator) {
      row.push(cell);
      cell = '';
    } else if (c === '\n') {
      rows.push([...row, cell.replace(/\r$/, '')]);
      row = [];
      cell = '';
    } else cell += c;
  }
  if (rows.length < most && (cell !== '' || row.length > 0)) rows.push([...row, cell]);
  return rows;
}

/** The complete objects at the beginning of a list or of lines of objects. */
function objects(head: string, most: number): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  let depth = 0;
  let start = -1;
  let quoted = false;
  for (let i = 0; i < head.length && found.length < most; i++) {
    const c = head[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{') {
      if (depth++ === 0) start = i;
    } else if (c === '}' && --depth === 0) {
      try {
        found.push(JSON.parse(head.slice(start, i + 1)) as Record<string, unknown>);
      } catch {
        return found;
      }
    }
  }
  return found;
}

export interface FileColumn {
  name: string;
  /** What the first row holds. */
  sample: string;
}

export function columnsOfFile(format: FileFormat, head: string): FileColumn[] {
  if (format === 'csv') {
    const [names = [], first = []] = csvRows(head, 2);
    return names.map((name, i) => ({ name: name.trim(), sample: first[i] ?? '' })).filter((c) => c.name);
  }
  const columns = new Map<string, string>();
  for (const row of objects(head, 20))
    for (const [name, value] of Object.entries(row))
      if (!columns.has(name)) columns.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  return [...columns].map(([name, sample]) => ({ name, sample }));
}

const plain = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');

/** The field that a column is likely to mean. */
export function guessField(column: string, fields: string[]): string | null {
  return fields.find((f) => f === column) ?? fields.find((f) => plain(f) === plain(column)) ?? null;
}
