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

export function columnsOf(collection: Collection, prefs: ColumnPrefs, sort: string): Column[] {
  const sorts = parseSort(sort);
  return listable(collection)
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
