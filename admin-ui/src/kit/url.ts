// Addresses: `#/data/posts?filter=…&record=…`. Every state of the dashboard is one of these.

export interface Location {
  path: string[];
  query: Record<string, string>;
}

export function parseHash(hash: string): Location {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  return {
    path: path.split('/').filter(Boolean).map(safeDecode),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

export function formatHash(path: string[], query: Record<string, string | null | undefined> = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value != null && value !== '') params.set(key, value);
  const tail = params.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${tail === '' ? '' : `?${tail}`}`;
}

function safeDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A query string for the API, with empty values left out. */
export function query(params: Record<string, string | number | boolean | undefined>): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(params))
    if (value !== undefined && value !== '' && value !== false)
      out.set(key, value === true ? '1' : String(value));
  const text = out.toString();
  return text === '' ? '' : `?${text}`;
}

function claims(token: string): Record<string, unknown> {
  try {
    return JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as Record<
      string,
      unknown
    >;
  } catch {
    return {};
  }
}

/** When this token ends, in ms, or 0. Only a hint: the server decides. */
export function tokenEnd(token: string): number {
  const { exp } = claims(token);
  return typeof exp === 'number' ? exp * 1000 : 0;
}

/** A text out of a token, or ''. Only a hint: the server decides. */
export function tokenClaim(token: string, name: string): string {
  const value = claims(token)[name];
  return typeof value === 'string' ? value : '';
}
