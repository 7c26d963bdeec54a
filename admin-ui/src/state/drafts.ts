// What was typed into a form and not saved, kept in this browser until it is.
const PREFIX = 'burrow:draft:';
/** Past this the oldest would push out what else is kept here. */
const MOST = 200_000;
type Values = Record<string, unknown>;

export const draftKey = (collectionId: string, recordId: string) => `${PREFIX}${collectionId}:${recordId}`;

/** Neither secrets nor files: the first must not lie about, the others cannot. */
function keepable(values: Values, secret: ReadonlySet<string>): Values {
  const isFile = (v: unknown) => v instanceof Blob || (Array.isArray(v) && v.some((i) => i instanceof Blob));
  return Object.fromEntries(
    Object.entries(values).filter(([name, v]) => v !== undefined && !secret.has(name) && !isFile(v)),
  );
}

export function keepDraft(key: string, values: Values, secret: ReadonlySet<string>) {
  try {
    const kept = JSON.stringify(keepable(values, secret));
    if (kept === '{}' || kept.length > MOST) localStorage.removeItem(key);
    else localStorage.setItem(key, kept);
  } catch {
    // Without storage a draft lasts as long as its form.
  }
}
export function foundDraft(key: string): Values | null {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
    return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Values) : null;
  } catch {
    return null;
  }
}
export function dropDraft(key: string) {
  try {
    localStorage.removeItem(key);
  } catch {
    // There is none then.
  }
}
