// CREATE INDEX statements, read loosely as the server reads them.

export interface IndexParts {
  name: string;
  unique: boolean;
  columns: string;
  where: string;
}

const shape =
  /^\s*create\s+(unique\s+)?index\s+(?:if\s+not\s+exists\s+)?([`"[]?[\w.]+[`"\]]?)\s+on\s+([`"[]?[\w.]+[`"\]]?)\s*\(([^]*?)\)\s*(?:where\s+([^]*))?$/i;
const bare = (name: string) => name.replace(/^[`"[]|[`"\]]$/g, '');

export function parseIndex(sql: string): IndexParts | null {
  // The column list may hold brackets of its own, so it ends at the bracket that closes the first.
  const open = sql.indexOf('(');
  let depth = 0;
  let close = -1;
  for (let i = open; i >= 0 && i < sql.length; i++) {
    if (sql[i] === '(') depth++;
    else if (sql[i] === ')' && --depth === 0) {
      close = i;
      break;
    }
  }
  if (close < 0) return null;
  const head = shape.exec(`${sql.slice(0, open)}(x)${sql.slice(close + 1)}`);
  if (!head) return null;
  return {
    unique: Boolean(head[1]),
    name: bare(head[2] ?? ''),
    columns: sql
      .slice(open + 1, close)
      .replace(/\s+/g, ' ')
      .trim(),
    where: (head[5] ?? '').trim(),
  };
}

export function buildIndex(parts: IndexParts, table: string): string {
  const where = parts.where === '' ? '' : ` WHERE ${parts.where}`;
  return `CREATE ${parts.unique ? 'UNIQUE ' : ''}INDEX \`${parts.name}\` ON \`${table}\` (${parts.columns})${where}`;
}

export const columnNames = (columns: string): string[] =>
  columns.split(',').map((c) => bare(c.trim().split(/\s+/)[0] ?? ''));

/** Column names inside an index follow a field that was renamed. */
export function renameColumn(sql: string, from: string, to: string): string {
  if (from === '' || from === to) return sql;
  const open = sql.indexOf('(');
  if (open < 0) return sql;
  const name = from.replace(/[^\w]/g, '');
  return (
    sql.slice(0, open) + sql.slice(open).replace(new RegExp(`(?<![\\w'])${name}(?![\\w'])`, 'g'), () => to)
  );
}

/** Index names are unique in the whole database, so a copy needs new ones. */
export function copyIndex(sql: string, from: string, table: string, suffix: string): string {
  const parts = parseIndex(sql);
  if (!parts) return sql;
  const name =
    parts.name.includes(from) && from !== '' ? parts.name.replace(from, table) : `${parts.name}_${suffix}`;
  return buildIndex({ ...parts, name: name === parts.name ? `${name}_${suffix}` : name }, table);
}
