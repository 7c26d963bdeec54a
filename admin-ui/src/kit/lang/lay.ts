type Tree = Record<string, unknown>;

/** Puts the sentences of `over` in the place of those of the same keys in `base`, where these are. */
export function lay(base: object, over: object) {
  for (const [key, value] of Object.entries(over)) {
    const old = (base as Tree)[key];
    if (typeof value === 'object' && value !== null && typeof old === 'object' && old !== null)
      lay(old, value);
    else if (key in base) (base as Tree)[key] = value;
  }
}

/** Every key of a catalogue, `a.b.c`, with what stands there. */
export function keysOf(catalogue: object, prefix = ''): Map<string, unknown> {
  const out = new Map<string, unknown>();
  for (const [key, value] of Object.entries(catalogue)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (typeof value === 'object' && value !== null) for (const [k, v] of keysOf(value, path)) out.set(k, v);
    else out.set(path, value);
  }
  return out;
}
