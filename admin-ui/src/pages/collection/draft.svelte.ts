import { createCollection, updateCollection } from '../../api/collections';
import { ApiError, below, messageOf, type FieldErrors } from '../../api/errors';
import { blankField, freeName, isMultiple } from '../../api/schema';
import { RULES, type Collection, type CollectionType, type Field, type Kind } from '../../api/types';
import { clone, same } from '../../kit/diff';
import { copyIndex, renameColumn } from '../../kit/indexes';

export interface FieldDraft {
  key: string;
  field: Field;
  original: Field | null;
  removed: boolean;
  /** The name that indexes and identity fields know it by. */
  known: string;
}
export interface IndexDraft {
  key: string;
  sql: string;
}

let keys = 0;
const key = () => `k${++keys}`;

/** A collection being edited: what it was, what it shall be, what the server said about it. */
export class SchemaDraft {
  base = $state.raw<Collection | null>(null);
  /** Everything but fields and indexes. */
  edit = $state<Omit<Collection, 'fields' | 'indexes'>>({} as Collection);
  fields = $state<FieldDraft[]>([]);
  indexes = $state<IndexDraft[]>([]);
  errors = $state.raw<FieldErrors>({});
  message = $state('');
  saving = $state(false);
  #start = $state.raw<Record<string, unknown>>({});

  constructor(base: Collection | null, start: Collection) {
    this.#take(base, start);
  }
  #take(base: Collection | null, start: Collection) {
    const { fields, indexes, ...rest } = clone(start);
    this.base = base;
    this.edit = rest;
    this.fields = fields.map((field) => ({
      key: key(),
      field,
      original: base?.fields.find((f) => f.id === field.id) ?? null,
      removed: false,
      known: field.name,
    }));
    this.indexes = indexes.map((sql) => ({ key: key(), sql }));
    this.#start = this.#whole();
    this.errors = {};
    this.message = '';
  }

  get kept() {
    return this.fields.filter((f) => !f.removed);
  }
  get dirty() {
    return !same(this.#whole(), this.#start);
  }
  /** The collection as it would be, for completion. */
  get preview(): Collection {
    return { ...this.edit, fields: this.kept.map((f) => f.field), indexes: [] };
  }
  /** Saved fields that would be dropped together with their values. */
  get losses(): string[] {
    return this.fields.filter((f) => f.removed && f.original).map((f) => f.original!.name);
  }
  fieldErrors(draft: FieldDraft): FieldErrors {
    const at = this.kept.indexOf(draft);
    return at < 0 ? {} : below(this.errors, `fields.${at}`);
  }

  add(kind: Kind) {
    const field = blankField(
      kind,
      this.fields.map((f) => f.field.name),
    );
    const draft = { key: key(), field, original: null, removed: false, known: field.name };
    // Dates the server sets stay at the end.
    let at = this.fields.length;
    while (at > 0 && this.fields[at - 1]!.field.type === 'autodate' && kind !== 'autodate') at--;
    this.fields.splice(at, 0, draft);
    return draft.key;
  }
  duplicate(draft: FieldDraft) {
    const field = { ...clone($state.snapshot(draft.field)), id: '', system: false };
    field.name = freeName(
      `${field.name}_copy`,
      this.fields.map((f) => f.field.name),
    );
    const at = this.fields.findIndex((f) => f.key === draft.key);
    this.fields.splice(at + 1, 0, {
      key: key(),
      field: field as Field,
      original: null,
      removed: false,
      known: field.name,
    });
  }
  change(draft: FieldDraft, change: Partial<Field>) {
    Object.assign(draft.field, change);
    this.errors = {};
  }
  /** Indexes and identity fields follow a new name. */
  renamed(draft: FieldDraft) {
    const { known } = draft;
    const { name } = draft.field;
    if (name === '' || name === known) return;
    for (const index of this.indexes) index.sql = renameColumn(index.sql, known, name);
    const identity = this.edit.passwordAuth;
    if (identity) identity.identityFields = identity.identityFields.map((f) => (f === known ? name : f));
    draft.known = name;
  }
  drop(draft: FieldDraft) {
    if (draft.original) draft.removed = true;
    else this.fields = this.fields.filter((f) => f.key !== draft.key);
    this.errors = {};
  }
  restore(draft: FieldDraft) {
    draft.removed = false;
  }
  move(from: string, to: number) {
    const at = this.fields.findIndex((f) => f.key === from);
    if (at < 0 || to < 0 || to >= this.fields.length || at === to) return;
    const [moved] = this.fields.splice(at, 1);
    this.fields.splice(to, 0, moved!);
  }
  addIndex(sql: string) {
    this.indexes.push({ key: key(), sql });
  }
  /** Another type before the first save: its own fields come in, those of the former type go. */
  changeType(scaffold: Collection) {
    const own = this.kept.filter((f) => !f.field.system).map((f) => $state.snapshot(f.field) as Field);
    const name = this.edit.name;
    this.#take(null, {
      ...scaffold,
      name,
      fields: scaffold.type === 'view' ? [] : [...scaffold.fields, ...own],
    });
  }
  reset() {
    if (this.base) this.#take(this.base, this.base);
  }

  async save(): Promise<Collection | null> {
    for (const field of this.fields) this.renamed(field);
    this.saving = true;
    this.errors = {};
    this.message = '';
    try {
      const whole = this.#whole();
      const changed = Object.fromEntries(Object.entries(whole).filter(([k, v]) => !same(v, this.#start[k])));
      const saved = this.base ? await updateCollection(this.base.id, changed) : await createCollection(whole);
      this.#take(saved, saved);
      return saved;
    } catch (error) {
      this.errors = error instanceof ApiError ? error.fields : {};
      this.message = messageOf(error);
      return null;
    } finally {
      this.saving = false;
    }
  }
  #whole(): Record<string, unknown> {
    const edit = $state.snapshot(this.edit) as Record<string, unknown>;
    for (const name of ['created', 'updated', ...(this.base ? [] : ['id'])]) delete edit[name];
    if (this.edit.type === 'view') return edit;
    const fields = this.kept.map((f) => {
      const field: Partial<Field> = { ...($state.snapshot(f.field) as Field) };
      if (field.id === '') delete field.id;
      return field;
    });
    return { ...edit, fields, indexes: this.indexes.map((i) => i.sql).filter((sql) => sql.trim() !== '') };
  }
}

export const wasMultiple = (draft: FieldDraft) => draft.original !== null && isMultiple(draft.original);

/** What a new collection begins with. */
export function fresh(scaffold: Collection): Collection {
  if (scaffold.type === 'view') return scaffold;
  const stamp = (name: string, onUpdate: boolean): Field => ({
    ...blankField('autodate', []),
    name,
    onCreate: true,
    onUpdate,
  });
  return { ...scaffold, fields: [...scaffold.fields, stamp('created', false), stamp('updated', true)] };
}

/** A copy has a name, field ids and index names of its own. */
export function copyOf(source: Collection, taken: string[]): Collection {
  const name = freeName(`${source.name}_copy`, taken);
  const suffix = Math.random().toString(36).slice(2, 8);
  const out = clone(source);
  return {
    ...out,
    id: '',
    name,
    system: false,
    fields: out.fields.map((f) => ({ ...f, id: '' })),
    indexes: out.indexes
      .filter((sql) => !(source.type === 'auth' && /\b(tokenKey|email)\b[`"]?\s*\)/.test(sql)))
      .map((sql) => copyIndex(sql, source.name, name, suffix)),
  };
}

export const ruleNames = (type: CollectionType) =>
  type === 'view' ? (['listRule', 'viewRule'] as const) : RULES;
