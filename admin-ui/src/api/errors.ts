export type FieldErrors = Record<string, string>;

/** The one error the rest of the dashboard sees. */
export class ApiError extends Error {
  readonly status: number;
  readonly data: unknown;
  /** `fields.3.max` → message */
  readonly fields: FieldErrors;
  /** The whole answer. */
  readonly body: unknown;

  constructor(status: number, message: string, data: unknown = {}, body: unknown = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.data = data;
    this.fields = flatten(data);
    this.body = body;
  }
  get offline() {
    return this.status === 0;
  }
}

export function flatten(data: unknown, prefix = ''): FieldErrors {
  const out: FieldErrors = {};
  if (typeof data !== 'object' || data === null) return out;
  for (const [key, value] of Object.entries(data)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const leaf = value as { code?: unknown; message?: unknown };
    if (value && typeof leaf.message === 'string' && typeof leaf.code === 'string') out[path] = leaf.message;
    else Object.assign(out, flatten(value, path));
  }
  return out;
}

/** Errors below `path`, with the path taken off. */
export function below(errors: FieldErrors, path: string): FieldErrors {
  const out: FieldErrors = {};
  for (const [key, message] of Object.entries(errors))
    if (key.startsWith(`${path}.`)) out[key.slice(path.length + 1)] = message;
  return out;
}

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
