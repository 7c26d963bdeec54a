import { getBulk, startBulk, stopBulk, undoBulk, type BulkOrder, type BulkState } from '../api/bulk';
import { ApiError, messageOf } from '../api/errors';
import type { Collection } from '../api/types';
import type { RecordList } from './records.svelte';
import { trash } from './trash.svelte';
import { undos } from './undo.svelte';

const LOOK_MS = 1000;

const reasonOf = (error: unknown) => {
  const fields = error instanceof ApiError ? Object.entries(error.fields) : [];
  return [messageOf(error), ...fields.map(([name, message]) => `${name}: ${message}`)].join(' ');
};

/** One order for many records, as it is seen here. */
export class Work {
  state = $state.raw<BulkState | null>(null);
  error = $state('');
  stopping = $state(false);
  #forget: (() => void) | null = null;

  constructor(
    readonly collection: Collection,
    readonly list: RecordList,
    /** Rows that are out of sight while it lasts. */
    readonly hidden: string[] = [],
  ) {}
  get over() {
    return this.error !== '' || this.state?.state === 'finished' || this.state?.state === 'stopped';
  }
  start(order: BulkOrder) {
    this.#forget = undos.push({ run: () => void (this.over ? this.undo() : this.stop()) });
    return this.#follow((online) => startBulk(this.collection.id, order, online));
  }
  async #follow(run: (online: (state: BulkState) => void) => Promise<BulkState>) {
    this.list.ownWork++;
    this.error = '';
    try {
      await run((state) => (this.state = state));
    } catch (error) {
      // The order goes on without us: asked again until it is over.
      if (this.state && !this.over) await this.#look();
      else this.error = reasonOf(error);
    } finally {
      this.stopping = false;
      trash.show(this.collection.id, this.hidden);
      await this.list.catchUp();
      // Events of the last records are still on their way.
      setTimeout(() => this.list.ownWork--, LOOK_MS);
    }
  }
  async #look() {
    for (let quiet = 0; !this.over && quiet < 30; quiet++) {
      await new Promise((done) => setTimeout(done, LOOK_MS));
      try {
        this.state = await getBulk(this.state!.id);
        quiet = 0;
      } catch (error) {
        if (quiet === 29) this.error = messageOf(error);
      }
    }
  }
  async stop() {
    if (!this.state || this.over) return;
    this.stopping = true;
    try {
      await stopBulk(this.state.id);
    } catch (error) {
      this.stopping = false;
      this.error = messageOf(error);
    }
  }
  async undo() {
    const done = this.state;
    this.#forget?.();
    if (done?.undo) await this.#follow((online) => undoBulk(done.id, online));
  }
  forget() {
    this.#forget?.();
  }
}

/** What goes on in this tab. */
class Works {
  list = $state.raw<Work[]>([]);
  begin(work: Work, order: BulkOrder) {
    this.list = [...this.list, work];
    return work.start(order);
  }
  drop(work: Work) {
    work.forget();
    this.list = this.list.filter((w) => w !== work);
  }
}

export const works = new Works();
