import type { Change } from '../api/realtime';
import { countRecords, estimateRecords, listRecords } from '../api/records';
import { messageOf } from '../api/errors';
import type { Collection, RecordData } from '../api/types';
import { same } from '../kit/diff';
import { quote } from '../kit/expr';
import { placeOf } from '../kit/order';
import { serverSort } from '../kit/query';
import { live } from './live.svelte';
import { trash } from './trash.svelte';

export const PAGE = 100;
/** Pages that are kept; past it those farthest from the view go. */
const KEPT = 20;
/** Rows from the end of what is here at which more is asked for. */
const NEAR = 60;
const JUMP_MS = 60;
/** Ids that are asked about in one filter. */
const ASKED = 40;

/** Where the rows beside a page are: after a cursor, or by number where the server gives no cursors. */
type Beside = { cursor: string } | { page: number } | null;
interface Loaded {
  rows: RecordData[];
  before: Beside;
  after: Beside;
}

/**
 * One list of records of any length: a run of pages around what is looked at, the count when it is known, and the changes
 * that arrive live.
 */
export class RecordList {
  status = $state<'loading' | 'ready' | 'error'>('loading');
  error = $state('');
  loadingMore = $state(false);
  total = $state<number | null>(null);
  /** The total is told from the size of the table, not counted. */
  estimated = $state(false);
  /** Ids that others changed and nobody has looked at yet; the value says how often, so that a flash can repeat. */
  marks = $state.raw<ReadonlyMap<string, number>>(new Map());
  #pages = $state.raw<Loaded[]>([]);
  #start = $state(0);
  #all = $derived(this.#pages.flatMap((page) => page.rows));
  rows = $derived(trash.any ? this.#all.filter((r) => !trash.has(r)) : this.#all);
  /** The place of the first of the rows in the list. */
  first = $derived(this.#start);
  /** Whether the list ends with the last of the rows. */
  done = $derived(this.#pages.length > 0 && this.#pages.at(-1)!.after === null);
  whole = $derived(this.done && this.#start === 0);
  #hidden = $derived(this.#all.length - this.rows.length);
  /** How many rows there are, as far as is known: never fewer than are here. */
  count = $derived.by(() => {
    const here = this.#start + this.rows.length;
    if (this.done) return here;
    return Math.max(here + 1, (this.total ?? 0) - this.#hidden);
  });
  /** The form that opens next takes the focus, at this field. */
  editNext: boolean | string = false;
  /** While work of this tab changes many records, changes are nobody else's. */
  ownWork = 0;
  #view = { from: 0, to: 0 };
  #abort = new AbortController();
  #jump: { timer: ReturnType<typeof setTimeout> | undefined; abort: AbortController | null } = {
    timer: undefined,
    abort: null,
  };
  #unsubscribe: (() => void) | null = null;
  #own = new Set<string>();
  #arrived: Change[] = [];
  #applying = false;

  constructor(
    readonly collection: Collection,
    readonly filter: string,
    readonly sort: string,
  ) {}

  start() {
    if (this.collection.type !== 'view')
      this.#unsubscribe = live.subscribe(`${this.collection.name}/*`, (change) => this.#heard(change));
    void this.reload();
  }
  stop() {
    this.#abort.abort();
    this.#jump.abort?.abort();
    clearTimeout(this.#jump.timer);
    this.#unsubscribe?.();
  }

  /** From the top. What is on screen stays there until the answer is in. */
  reload() {
    return this.#load(0);
  }
  /** After a gap in the stream, or much work: what is looked at, again. */
  async catchUp() {
    if (this.status !== 'ready') return this.reload();
    return this.#load(Math.floor(this.#view.from / PAGE));
  }
  async #load(page: number) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    if (this.status === 'error') this.status = 'loading';
    this.error = '';
    try {
      let loaded = await this.#fetch(this.#numbered(page + 1), signal);
      if (loaded.rows.length === 0 && page > 0) {
        page = 0;
        loaded = await this.#fetch(this.#numbered(1), signal);
      }
      this.#pages = [loaded];
      this.#start = page * PAGE;
      this.status = 'ready';
      if (this.whole) this.#counted(loaded.rows.length, false);
      else void this.#count(signal);
      this.see(this.#view.from, this.#view.to);
    } catch (error) {
      if (signal.aborted) return;
      this.error = messageOf(error);
      this.status = 'error';
    }
  }
  /** Says which rows are looked at; brings those that are missing. */
  see(from: number, to: number) {
    this.#view = { from, to };
    if (this.status !== 'ready') return;
    const end = this.#start + this.rows.length;
    if (from > end + PAGE || to < this.#start - PAGE) return this.#jumpTo(from);
    clearTimeout(this.#jump.timer);
    if (this.loadingMore || this.error !== '') return;
    if (to > end - NEAR && !this.done) void this.#extend(1);
    else if (from < this.#start + NEAR && this.#start > 0) void this.#extend(-1);
  }
  retry() {
    this.error = '';
    this.see(this.#view.from, this.#view.to);
  }
  /** Somewhere else in the list, once the view rests there. */
  #jumpTo(index: number) {
    clearTimeout(this.#jump.timer);
    this.#jump.timer = setTimeout(() => void this.#land(index), JUMP_MS);
  }
  async #land(index: number) {
    this.#jump.abort?.abort();
    const abort = (this.#jump.abort = new AbortController());
    const page = Math.floor(index / PAGE);
    this.loadingMore = true;
    try {
      const loaded = await this.#fetch(this.#numbered(page + 1), abort.signal);
      if (loaded.rows.length === 0 && page > 0) {
        // The list is shorter than was thought.
        this.#counted(Math.min(this.total ?? 0, page * PAGE), this.estimated);
        return void this.catchUp();
      }
      this.#pages = [loaded];
      this.#start = page * PAGE;
    } catch (error) {
      if (!abort.signal.aborted) this.error = messageOf(error);
    } finally {
      if (this.#jump.abort === abort) {
        this.#jump.abort = null;
        this.loadingMore = false;
        this.see(this.#view.from, this.#view.to);
      }
    }
  }
  async #extend(by: 1 | -1) {
    const edge = by > 0 ? this.#pages.at(-1) : this.#pages[0];
    const beside = by > 0 ? edge?.after : edge?.before;
    if (!edge || !beside) {
      if (by < 0) this.#start = 0;
      return;
    }
    this.loadingMore = true;
    const { signal } = this.#abort;
    try {
      const loaded = await this.#fetch(beside, signal);
      const now = by > 0 ? this.#pages.at(-1) : this.#pages[0];
      if (now !== edge && now?.rows !== edge.rows && (by > 0 ? now?.after : now?.before) !== beside) return;
      const known = new Set(this.#all.map((r) => r.id));
      loaded.rows = loaded.rows.filter((r) => !known.has(r.id));
      let pages = by > 0 ? [...this.#pages, loaded] : [loaded, ...this.#pages];
      let start = by > 0 ? this.#start : Math.max(0, this.#start - loaded.rows.length);
      if (by < 0 && loaded.before === null) start = 0;
      if (pages.length > KEPT && by > 0) {
        start += pages[0]!.rows.length;
        pages = pages.slice(1);
      } else if (pages.length > KEPT) pages = pages.slice(0, -1);
      this.#pages = pages;
      this.#start = start;
      if (this.done) this.#counted(this.#start + this.#all.length, false);
    } catch (error) {
      if (!signal.aborted) this.error = messageOf(error);
    } finally {
      this.loadingMore = false;
    }
    if (this.error === '' && !signal.aborted) this.see(this.#view.from, this.#view.to);
  }
  find(id: string) {
    return this.#all.find((r) => r.id === id);
  }
  /** A change of this record is on its way from here: until it is put, it neither flashes nor gets a mark. */
  expect(id: string) {
    this.#own.add(id);
    setTimeout(() => this.#own.delete(id), 3000);
  }
  /** What this tab saved. Told of it again, there is nothing new in it. */
  put(record: RecordData) {
    this.#own.delete(record.id);
    this.seen(record.id);
    if (this.find(record.id)) this.#replace(new Map([[record.id, record]]));
    else this.#insert(record);
  }
  seen(id: string) {
    if (!this.marks.has(id)) return;
    const marks = new Map(this.marks);
    marks.delete(id);
    this.marks = marks;
  }

  get #sort() {
    return serverSort(this.sort, this.collection.type === 'view');
  }
  get #cursors() {
    return this.#sort !== '' && !/[.:]|@random/.test(this.sort);
  }
  #numbered(page: number): { page: number; cursor?: string } {
    return this.#cursors ? { page, cursor: '' } : { page };
  }
  async #fetch(where: { cursor?: string; page?: number }, signal: AbortSignal): Promise<Loaded> {
    const answer = await listRecords(
      this.collection.name,
      { ...where, filter: this.filter, sort: this.#sort, skipTotal: true, perPage: PAGE },
      signal,
    );
    const { items: rows, nextCursor: next, prevCursor: prev } = answer;
    if (where.cursor !== undefined && next !== undefined)
      return { rows, after: next ? { cursor: next } : null, before: prev ? { cursor: prev } : null };
    const page = where.page ?? 1;
    return {
      rows,
      after: rows.length < PAGE ? null : { page: page + 1 },
      before: page > 1 ? { page: page - 1 } : null,
    };
  }
  #counted(total: number, estimated: boolean) {
    this.total = total;
    this.estimated = estimated;
  }
  /** Never in the way of the rows: first what costs nothing, then the number itself. */
  async #count(signal: AbortSignal) {
    try {
      const guess = await estimateRecords(this.collection.name, this.filter, signal);
      if (signal.aborted) return;
      this.#counted(guess.total, !guess.exact);
      if (guess.exact) return;
      const total = await countRecords(this.collection.name, this.filter, signal);
      if (!signal.aborted) this.#counted(total, false);
    } catch {
      // The number is a comfort; without it the foot says how many rows are loaded.
    }
  }

  /** Changes may come by the thousand: they are taken in together, once a frame. */
  #heard(change: Change) {
    this.#arrived.push(change);
    if (this.#applying) return;
    this.#applying = true;
    requestAnimationFrame(() => void this.#takeIn());
  }
  async #takeIn() {
    const changes = this.#arrived;
    this.#arrived = [];
    this.#applying = false;
    const here = new Map(this.#all.map((r) => [r.id, r]));
    const changed = new Map<string, RecordData>();
    const gone = new Set<string>();
    const fresh = new Map<string, RecordData>();
    let elsewhere = 0;
    for (const { action, record } of changes) {
      if (action === 'delete') {
        changed.delete(record.id);
        if (here.has(record.id)) gone.add(record.id);
        else if (!fresh.delete(record.id) && this.filter === '') elsewhere++;
      } else if (here.has(record.id) && !gone.has(record.id)) {
        if (!same(here.get(record.id), record)) changed.set(record.id, record);
        else changed.delete(record.id);
      } else if (action === 'create' || this.filter !== '' || fresh.has(record.id))
        fresh.set(record.id, record);
    }
    if (gone.size > 0)
      this.#pages = this.#pages.map((page) => ({
        ...page,
        rows: page.rows.filter((r) => !gone.has(r.id)),
      }));
    if (this.total !== null) this.total = Math.max(0, this.total - gone.size - elsewhere);
    if (changed.size > 0) this.#replace(changed);
    this.#mark([...changed.keys()]);
    for (const record of await this.#belonging([...fresh.values()]))
      if (!this.find(record.id)) {
        this.#insert(record);
        this.#mark([record.id]);
      }
  }
  #mark(ids: string[]) {
    if (this.ownWork > 0) return;
    const others = ids.filter((id) => !this.#own.has(id));
    if (others.length === 0) return;
    const marks = new Map(this.marks);
    for (const id of others) marks.set(id, (marks.get(id) ?? 0) + 1);
    this.marks = marks;
  }
  #replace(records: Map<string, RecordData>) {
    this.#pages = this.#pages.map((page) =>
      page.rows.some((r) => records.has(r.id))
        ? { ...page, rows: page.rows.map((r) => records.get(r.id) ?? r) }
        : page,
    );
  }
  #insert(record: RecordData) {
    if (this.total !== null) this.total++;
    const rows = this.#all;
    const place = this.sort === '' ? 0 : placeOf(rows, record, this.sort);
    // Before all that is here: everything is one place farther down.
    if (place === 0 && this.#start > 0) return void this.#start++;
    if (place === rows.length && !this.done) return;
    let left = place;
    const last = this.#pages.length - 1;
    const at = this.#pages.findIndex((page, i) => {
      if (left <= page.rows.length || i === last) return true;
      left -= page.rows.length;
      return false;
    });
    if (at < 0) return;
    this.#pages = this.#pages.map((page, i) =>
      i === at ? { ...page, rows: page.rows.toSpliced(left, 0, record) } : page,
    );
  }
  /** Those that the filter holds for; the server knows. */
  async #belonging(records: RecordData[]): Promise<RecordData[]> {
    if (this.filter === '' || records.length === 0) return records;
    const found: RecordData[] = [];
    for (let at = 0; at < records.length; at += ASKED) {
      const part = records.slice(at, at + ASKED);
      try {
        const ids = part.map((r) => `id = ${quote(r.id)}`).join(' || ');
        const page = await listRecords(this.collection.name, {
          filter: `(${this.filter}\n) && (${ids})`,
          fields: 'id',
          perPage: ASKED,
          skipTotal: true,
        });
        const known = new Set(page.items.map((r) => r.id));
        found.push(...part.filter((r) => known.has(r.id)));
      } catch {
        // They are found when the list is read again.
      }
    }
    return found;
  }
}
