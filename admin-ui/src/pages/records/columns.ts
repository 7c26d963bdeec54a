import type { Collection, Field } from '../../api/types';
import { parseSort } from '../../kit/query';
import type { ColumnPrefs } from '../../state/prefs.svelte';
import type { Column } from '../../ui/Grid.svelte';
import { kinds } from '../../fields/kinds';

/** Fields that can be a column at all: secrets of accounts are never sent. */
export const listable = (collection: Collection): Field[] =>
  collection.fields.filter(
    (f) => !(collection.type === 'auth' && (f.name === 'password' || f.name === 'tokenKey')),
  );

export function isShown(field: Field, prefs: ColumnPrefs): boolean {
  if (field.primaryKey) return true;
  if (prefs.hidden?.includes(field.name)) return false;
  return !field.hidden || (prefs.shown?.includes(field.name) ?? false);
}

export function toggled(field: Field, prefs: ColumnPrefs): ColumnPrefs {
  const without = (list: string[] | undefined) => (list ?? []).filter((n) => n !== field.name);
  return isShown(field, prefs)
    ? { hidden: [...without(prefs.hidden), field.name], shown: without(prefs.shown) }
    : { hidden: without(prefs.hidden), shown: [...without(prefs.shown), field.name] };
}

/** In the order that this person has put them in. */
export function ordered(fields: Field[], prefs: ColumnPrefs): Field[] {
  const place = new Map((prefs.order ?? []).map((name, at) => [name, at]));
  if (place.size === 0) return fields;
  const at = (f: Field) => place.get(f.name) ?? Number.MAX_SAFE_INTEGER;
  return [...fields].sort((a, b) => at(a) - at(b));
}

/** The order with one column put before another one, or last. */
export function moved(fields: Field[], prefs: ColumnPrefs, name: string, before: string | null): string[] {
  const names = ordered(fields, prefs)
    .map((f) => f.name)
    .filter((n) => n !== name);
  const at = before === null ? names.length : names.indexOf(before);
  return names.toSpliced(at < 0 ? names.length : at, 0, name);
}

export function columnsOf(collection: Collection, prefs: ColumnPrefs, sort: string): Column[] {
  const sorts = parseSort(sort);
  return ordered(listable(collection), prefs)
    .filter((f) => isShown(f, prefs))
    .map((f) => {
      const key = sorts.find((s) => s.field === f.name);
      return {
        id: f.name,
        label: f.name,
        kind: f.type,
        width: prefs.widths?.[f.name] ?? (f.primaryKey ? 170 : kinds[f.type].width),
        sortable: f.type !== 'password',
        sort: key ? (key.descending ? 'descending' : 'ascending') : 'none',
      };
    });
}
