import { ApiError, messageOf, type FieldErrors } from '../../api/errors';
import { createRecord, saveBody } from '../../api/records';
import { zero } from '../../api/schema';
import type { Collection, Field, RecordData } from '../../api/types';
import { clone, same } from '../../kit/diff';
import { grid } from '../../kit/strings-grid';
import { encoded, saveTouched } from '../../state/save';

type Values = Record<string, unknown>;

/** One record being edited: what it was, what was typed over it, what the server said about it. */
export class Draft {
  /** As last seen from the server; null for a new record. */
  base = $state.raw<RecordData | null>(null);
  /** Only what was touched. */
  touched = $state.raw<Values>({});
  errors = $state.raw<FieldErrors>({});
  faults = $state.raw<FieldErrors>({});
  message = $state('');
  saving = $state(false);
  progress = $state<number | null>(null);
  /** Touched fields whose stored value changed meanwhile. */
  conflicts = $state.raw<string[]>([]);
  /** What these fields held when they were first touched. */
  was = $state.raw<Values>({});
  dirty = $derived(Object.keys(this.touched).length > 0);

  /** Names the state of `base` for the server, where it is known. */
  #tag = '';

  constructor(
    readonly collection: Collection,
    base: RecordData | null,
    start: Values = {},
    tag = '',
  ) {
    this.base = base;
    this.#tag = tag;
    this.touched = start;
  }

  value(field: Field): unknown {
    if (field.name in this.touched) return this.touched[field.name];
    return this.base ? this.base[field.name] : zero(field);
  }
  set(name: string, value: unknown) {
    const field = this.collection.fields.find((f) => f.name === name);
    const before = this.base ? this.base[name] : field ? zero(field) : undefined;
    const next = { ...this.touched };
    if (same(value, before) || (before === undefined && value === '')) delete next[name];
    else next[name] = value;
    this.touched = next;
    this.errors = without(this.errors, name);
    if (!(name in next)) this.conflicts = this.conflicts.filter((c) => c !== name);
  }
  fault(name: string, message: string) {
    this.faults = message === '' ? without(this.faults, name) : { ...this.faults, [name]: message };
  }
  reset() {
    this.touched = {};
    this.errors = {};
    this.faults = {};
    this.conflicts = [];
    this.was = {};
    this.message = '';
  }
  /** Somebody else saved: untouched fields follow, touched ones are kept and marked. */
  meanwhile(record: RecordData, tag = '') {
    const before = this.base;
    if (!before) return;
    if (tag !== '' || !same(before, record)) this.#tag = tag;
    if (same(before, record)) return;
    this.base = record;
    const marked = Object.keys(this.touched).filter(
      (name) => !same(before[name], record[name]) && !same(this.touched[name], record[name]),
    );
    this.was = { ...Object.fromEntries(marked.map((name) => [name, before[name]])), ...this.was };
    this.conflicts = [...new Set([...this.conflicts, ...marked])];
    for (const [name, value] of Object.entries(this.touched))
      if (same(value, record[name])) this.set(name, value);
  }
  takeTheirs(name: string) {
    this.set(name, this.base?.[name]);
  }
  keepMine(name: string) {
    this.conflicts = this.conflicts.filter((c) => c !== name);
  }

  /** Sends what was touched and nothing else. Null when the server refused. */
  async save(): Promise<RecordData | null> {
    if (Object.keys(this.faults).length > 0) {
      this.errors = this.faults;
      return null;
    }
    this.saving = true;
    this.errors = {};
    this.message = '';
    const files = Object.values(this.touched).some(
      (v) => v instanceof File || (Array.isArray(v) && v.some((i) => i instanceof File)),
    );
    const progress = files ? (part: number) => (this.progress = part) : undefined;
    try {
      let record: RecordData;
      if (this.base) {
        const saved = await saveTouched(this.collection, this.base, this.touched, this.#tag, { progress });
        if (saved.clash) {
          this.meanwhile(saved.clash, saved.tag);
          this.message = grid.merge.stopped(this.conflicts.join(', '));
          return null;
        }
        record = saved.record;
        this.#tag = saved.tag;
      } else {
        const body = saveBody(encoded(this.collection, this.touched));
        record = await createRecord(this.collection.name, body, { progress, ontag: (t) => (this.#tag = t) });
      }
      this.reset();
      this.base = clone(record);
      return record;
    } catch (error) {
      this.errors = error instanceof ApiError ? error.fields : {};
      if (Object.keys(this.errors).length === 0) this.message = messageOf(error);
      return null;
    } finally {
      this.saving = false;
      this.progress = null;
    }
  }
}

function without(errors: FieldErrors, name: string): FieldErrors {
  if (!(name in errors)) return errors;
  const next = { ...errors };
  delete next[name];
  return next;
}
