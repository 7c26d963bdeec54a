import { messageOf } from '../api/errors';
import type { Collection, RecordData } from '../api/types';
import { same } from '../kit/diff';
import { text } from '../kit/strings';
import { grid } from '../kit/strings-grid';
import type { RecordList } from './records.svelte';
import { saveTouched } from './save';
import { toasts } from './toast.svelte';
import { HOLD } from './trash.svelte';
import { undos } from './undo.svelte';

/** Offers to take an edit back: the old values are written again where nobody has changed them since. */
export function edited(collection: Collection, list: RecordList, before: RecordData, after: RecordData) {
  const names = collection.fields
    .filter((f) => f.type !== 'autodate' && f.type !== 'password')
    .map((f) => f.name)
    .filter((name) => name in before && !same(before[name], after[name]));
  const files = collection.fields.some((f) => f.type === 'file' && names.includes(f.name));
  // A file that was taken off is gone.
  if (names.length === 0 || files) return void toasts.ok(text.records.updated);
  let toast = 0;
  const undo = async () => {
    forget();
    toasts.drop(toast);
    const old = Object.fromEntries(names.map((name) => [name, before[name]]));
    try {
      list.expect(after.id);
      const saved = await saveTouched(collection, after, old, '');
      if (saved.clash) return void toasts.error(grid.undoClash);
      list.put(saved.record);
      toasts.ok(grid.undone);
    } catch (error) {
      toasts.error(grid.undoFailed(messageOf(error)));
    }
  };
  const forget = undos.push({ run: () => void undo() });
  toast = toasts.show(
    { tone: 'ok', text: text.records.updated, action: { label: text.common.undo, run: () => void undo() } },
    HOLD,
  );
}
