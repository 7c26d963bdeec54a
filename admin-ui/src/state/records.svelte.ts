import type { Change } from '../api/realtime';
import { countRecords, listRecords } from '../api/records';
import { messageOf } from '../api/errors';
import type { Collection, RecordData } from '../api/types';
import { same } from '../kit/diff';
import { quote } from '../kit/expr';
import { placeOf } from '../kit/order';
import { serverSort } from '../kit/query';
import { live } from './live.svelte';
import { trash } from './trash.svelte';

export const PAGE = 100;

/** One list of records: pages loaded so far, the count when it is known, and the changes that arrive live. */
export class RecordList {
  status = $state<'loading' | 'ready' | 'error'>('loading');
  error = $state('');
  loadingMore = $state(false);
  done = $state(false);
  total = $state<number | null>(null);
  /** Ids that others changed and nobody has looked at yet; the value says how often, so that a flash can repeat. */
  marks = $state.raw<ReadonlyMap<string, number>>(new Map());
  #rows = $state.raw<RecordData[]>([]);
  rows = $derived(trash.any ? this.#rows.filter((r) => !trash.has(r)) : this.#rows);
  /** The form that opens next takes the focus. */
  editNext = false;
  #next: { page: number; cursor: string | null } = { page: 1, cursor: '' };
  #abort = new AbortController();
  #unsubscribe: (() => void) | null = null;
  #own = new Set<string>();

  constructor(
    readonly collection: Collection,
    readonly filter: string,
    readonly sort: string,
  ) {}

  start() {
    if (this.collection.type !== 'view')
      this.#unsubscribe = live.subscribe(`${this.collection.name}/*`, (change) => void this.#apply(change));
    void this.reload();
  }
  stop() {
    this.#abort.abort();
    this.#unsubscribe?.();
  }

  /** From the top. What is on screen stays there until the answer is in. */
  async reload() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    if (this.status === 'error') this.status = 'loading';
    this.error = '';
    try {
      this.#next = { page: 1, cursor: '' };
      const page = await this.#fetch(signal);
      this.#rows = page;
      this.status = 'ready';
      if (this.done) this.total = page.length;
      else void this.#count(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.error = messageOf(error);
      this.status = 'error';
    }
  }
  /** After a gap in the stream: the first rows again, as many as are loaded, without losing the place. */
  async catchUp() {
    if (this.status !== 'ready' || this.#rows.length <= PAGE) return this.reload();
    const { signal } = this.#abort;
    const perPage = Math.min(1000, Math.ceil(this.#rows.length / PAGE) * PAGE);
    try {
      const answer = await listRecords(this.collection.name, { ...this.#params, page: 1, perPage }, signal);
      const seen = new Set(answer.items.map((r) => r.id));
      this.#rows = [...answer.items, ...this.#rows.slice(perPage).filter((r) => !seen.has(r.id))];
      void this.#count(signal);
    } catch (error) {
      if (!signal.aborted) this.error = messageOf(error);
    }
  }
  async more() {
    if (this.loadingMore || this.done || this.error !== '' || this.status !== 'ready') return;
    this.loadingMore = true;
    const { signal } = this.#abort;
    try {
      const page = await this.#fetch(signal);
      const seen = new Set(this.#rows.map((r) => r.id));
      this.#rows = [...this.#rows, ...page.filter((r) => !seen.has(r.id))];
      if (this.done && this.total === null) this.total = this.#rows.length;
    } catch (error) {
      if (!signal.aborted) this.error = messageOf(error);
    } finally {
      this.loadingMore = false;
    }
  }
  find(id: string) {
    return this.#rows.find((r) => r.id === id);
  }
  /** Changes to this record come from here, so they neither flash nor get a mark. */
  expect(id: string) {
    this.#own.add(id);
    setTimeout(() => this.#own.delete(id), 3000);
  }
  /** What this tab saved. */
  put(record: RecordData) {
    this.expect(record.id);
    this.seen(record.id);
    if (this.find(record.id)) this.#rows = this.#rows.map((r) => (r.id === record.id ? record : r));
    else this.#insert(record);
  }
  seen(id: string) {
    if (!this.marks.has(id)) return;
    const marks = new Map(this.marks);
    marks.delete(id);
    this.marks = marks;
  }

  get #params() {
    const sort = serverSort(this.sort, this.collection.type === 'view');
    return { filter: this.filter, sort, skipTotal: true };
  }
  /** The next page: after a cursor where the server gives one, by its number where it does not. */
  async #fetch(signal: AbortSignal) {
    const { page, cursor } = this.#next;
    const byCursor = cursor !== null && this.#params.sort !== '' && !/[.:]|@random/.test(this.sort);
    const where = byCursor ? { cursor, page } : { page };
    const answer = await listRecords(
      this.collection.name,
      { ...this.#params, ...where, perPage: PAGE },
      signal,
    );
    this.#next = { page: page + 1, cursor: answer.nextCursor ?? null };
    this.done = answer.nextCursor === undefined ? answer.items.length < PAGE : answer.nextCursor === null;
    return answer.items;
  }
  /** Never in the way of the rows. */
  async #count(signal: AbortSignal) {
    this.total = null;
    try {
      this.total = await countRecords(this.collection.name, this.filter, signal);
    } catch {
      // The number is a comfort; without it the foot says how many rows are loaded.
    }
  }
  async #apply({ action, record }: Change) {
    const old = this.find(record.id);
    if (action === 'delete') {
      if (!old) return;
      this.#rows = this.#rows.filter((r) => r.id !== record.id);
      if (this.total !== null) this.total--;
      return;
    }
    if (old) {
      if (same(old, record)) return;
      this.#rows = this.#rows.map((r) => (r.id === record.id ? record : r));
    } else {
      if (action === 'update' && this.filter === '') return;
      if (!(await this.#belongs(record.id)) || this.find(record.id)) return;
      this.#insert(record);
    }
    if (!this.#own.has(record.id))
      this.marks = new Map(this.marks).set(record.id, (this.marks.get(record.id) ?? 0) + 1);
  }
  #insert(record: RecordData) {
    const at = this.sort === '' ? 0 : placeOf(this.#rows, record, this.sort);
    if (this.total !== null) this.total++;
    if (at === this.#rows.length && !this.done) return;
    this.#rows = this.#rows.toSpliced(at, 0, record);
  }
  async #belongs(id: string): Promise<boolean> {
    if (this.filter === '') return true;
    try {
      const filter = `(${this.filter}\n) && id = ${quote(id)}`;
      const page = await listRecords(this.collection.name, {
        filter,
        fields: 'id',
        perPage: 1,
        skipTotal: true,
      });
      return page.items.length > 0;
    } catch {
      return false;
    }
  }
}
