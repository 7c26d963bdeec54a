import { listLogs } from '../api/admin';
import { messageOf } from '../api/errors';
import type { LogLine } from '../api/types';

const PER = 100;

/** Log lines, newest first, as many as were scrolled to. */
export class LogList {
  status = $state<'loading' | 'ready' | 'error'>('loading');
  error = $state('');
  rows = $state.raw<LogLine[]>([]);
  done = $state(false);
  #page = 0;
  #busy = false;
  #abort = new AbortController();

  constructor(readonly filter: string) {}

  async reload() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#page = 0;
    this.done = false;
    this.#busy = false;
    if (this.status === 'error') this.status = 'loading';
    await this.more();
  }
  async more() {
    if (this.#busy || this.done) return;
    this.#busy = true;
    const { signal } = this.#abort;
    try {
      const answer = await listLogs(
        { page: this.#page + 1, perPage: PER, filter: this.filter, sort: '-@rowid' },
        signal,
      );
      const seen = this.#page === 0 ? new Set<string>() : new Set(this.rows.map((r) => r.id));
      this.rows = [...(this.#page === 0 ? [] : this.rows), ...answer.items.filter((r) => !seen.has(r.id))];
      this.#page++;
      this.done = answer.items.length < PER;
      this.status = 'ready';
    } catch (error) {
      if (signal.aborted) return;
      this.error = messageOf(error);
      if (this.rows.length === 0) this.status = 'error';
      this.done = true;
    } finally {
      if (!signal.aborted) this.#busy = false;
    }
  }
  stop() {
    this.#abort.abort();
  }
}
