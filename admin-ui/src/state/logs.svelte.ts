import { listLogs, logHours } from '../api/admin';
import { messageOf } from '../api/errors';
import type { LogLine } from '../api/types';
import { buckets, HOUR, ms, stepFor, type Bucket } from '../kit/buckets';

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
  /** Puts what came since the last look on top; nothing moves when nothing came. */
  async tail() {
    if (this.#busy || this.status !== 'ready') return;
    const { signal } = this.#abort;
    try {
      const answer = await listLogs({ page: 1, perPage: PER, filter: this.filter, sort: '-@rowid' }, signal);
      const seen = new Set(this.rows.map((r) => r.id));
      const fresh = answer.items.filter((r) => !seen.has(r.id));
      if (fresh.length) this.rows = [...fresh, ...this.rows].slice(0, 5000);
    } catch {
      // The next look may find the server again.
    }
  }
  stop() {
    this.#abort.abort();
  }
}

const LINES = 500;

/** Lines by time under a filter, from `from` to `to` (ms); the beginning of the log and now where they are 0. */
export async function logBars(
  filter: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<{ bars: Bucket[]; step: number }> {
  const join = (more: string) => [filter, more].filter(Boolean).join(' && ');
  const end = to || Date.now();
  const bad = 'data.status >= 400';
  // Within some hours the minutes count; the server counts by the hour.
  if (from && end - from <= 6 * HOUR) {
    const times = async (where: string) => {
      const out: [number, number][] = [];
      for (let page = 1; page <= 4; page++) {
        const answer = await listLogs(
          { page, perPage: LINES, filter: where, sort: '-@rowid', fields: 'created' },
          signal,
        );
        out.push(...answer.items.map((l): [number, number] => [ms(l.created), 1]));
        if (answer.items.length < LINES) break;
      }
      return out;
    };
    const step = stepFor(from, end);
    const [all, failed] = await Promise.all([times(filter), times(join(bad))]);
    return { bars: buckets(from, end, step, all, failed), step };
  }
  const [all, failed] = await Promise.all([logHours(filter, signal), logHours(join(bad), signal)]);
  const pairs = (list: typeof all) => list.map((h): [number, number] => [ms(h.date), h.total]);
  const begin = from || Math.min(end - 24 * HOUR, ...all.map((h) => ms(h.date)));
  const step = Math.max(HOUR, stepFor(begin, end));
  return { bars: buckets(begin, end, step, pairs(all), pairs(failed)), step };
}
