import { SvelteSet } from 'svelte/reactivity';
import type { BulkTarget } from '../api/bulk';
import { quote } from '../kit/expr';

/** Ids that can be left out of a selection of everything: each is a condition of its own. */
const EXCEPT_MAX = 100;

/** Some records, or all that match but for some. */
export class Selection {
  all = $state(false);
  #ids = new SvelteSet<string>();

  has(id: string): boolean {
    return this.#ids.has(id) !== this.all;
  }
  get any() {
    return this.all || this.#ids.size > 0;
  }
  /** `total` is how many match; null while nobody knows. */
  count(total: number | null): number | null {
    if (!this.all) return this.#ids.size;
    return total === null ? null : Math.max(0, total - this.#ids.size);
  }
  set(ids: string[], on: boolean) {
    for (const id of ids)
      if (on === this.all) this.#ids.delete(id);
      else if (!this.all || this.#ids.size < EXCEPT_MAX) this.#ids.add(id);
  }
  everything() {
    this.all = true;
    this.#ids.clear();
  }
  clear() {
    this.all = false;
    this.#ids.clear();
  }
  /** Among these rows. */
  of<T extends { id: string }>(rows: T[]): T[] {
    return rows.filter((row) => this.has(row.id));
  }
  /** As the server is told it. */
  target(filter: string): BulkTarget {
    if (!this.all) return { ids: [...this.#ids] };
    const except = [...this.#ids].map((id) => `id != ${quote(id)}`);
    const base = filter === '' ? [] : [`(${filter}\n)`];
    return { filter: [...base, ...except].join(' && ') };
  }
}
