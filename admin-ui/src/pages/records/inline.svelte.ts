import { ApiError, messageOf } from '../../api/errors';
import type { Collection, RecordData } from '../../api/types';
import { isInline } from '../../fields/CellEditor.svelte';
import { same } from '../../kit/diff';
import { oneLine } from '../../kit/format';
import { grid as words } from '../../kit/strings-grid';
import { edited } from '../../state/edits.svelte';
import type { RecordList } from '../../state/records.svelte';
import { saveTouched } from '../../state/save';
import { names } from '../../state/names.svelte';
import type { Column } from '../../ui/Grid.svelte';

interface Around {
  collection: Collection;
  list: RecordList;
  columns: Column[];
}
interface Cursor {
  focus: () => void;
  sideways: (by: number) => boolean;
  here: () => RecordData | undefined;
  hereColumn: () => string | undefined;
}

/** The cell that is being edited where it stands. */
export class Inline {
  at = $state.raw<{ id: string; column: string } | null>(null);
  error = $state('');
  busy = $state(false);
  /** As it was when editing began: others may change it meanwhile. */
  #base: RecordData | null = null;

  constructor(
    private around: () => Around,
    private cursor: () => Cursor | undefined,
  ) {}

  /** Whether this cell is edited where it stands. */
  begin(row: RecordData, column: string): boolean {
    const field = this.around().collection.fields.find((f) => f.name === column);
    if (!field || !isInline(field)) return false;
    this.at = { id: row.id, column };
    this.#base = row;
    this.error = '';
    return true;
  }
  cancel(focus = false) {
    this.at = null;
    this.#base = null;
    this.error = '';
    if (focus) this.cursor()?.focus();
  }
  async done(value: unknown, move: number) {
    const { collection, list } = this.around();
    const [at, base] = [this.at, this.#base];
    if (!at || !base || this.busy) return;
    if (!same(value, base[at.column])) {
      this.busy = true;
      list.expect(at.id);
      try {
        const saved = await saveTouched(collection, base, { [at.column]: value }, '');
        if (saved.clash) {
          // Shown once; whoever confirms it then means it.
          this.#base = saved.clash;
          this.error = words.cellClash(at.column, oneLine(saved.clash[at.column], 80));
          return;
        }
        list.put(saved.record);
        names.learn(saved.record);
        edited(collection, list, base, saved.record);
      } catch (error) {
        this.error = (error instanceof ApiError && error.fields[at.column]) || messageOf(error);
        return;
      } finally {
        this.busy = false;
      }
    }
    this.cancel(true);
    if (move !== 0) this.#next(move);
  }
  /** On to the next cell that can be edited, with the same key that left this one. */
  #next(by: number) {
    const cursor = this.cursor();
    while (cursor?.sideways(by)) {
      const [row, column] = [cursor.here(), cursor.hereColumn()];
      if (!row || !column) return;
      if (this.begin(row, column)) return;
    }
  }
}
