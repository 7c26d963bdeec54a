import { getMetrics, listLogs } from '../api/admin';
import { ApiError, messageOf } from '../api/errors';
import type { LogLine } from '../api/types';
import { percentile } from '../kit/buckets';
import { one, parseMetrics, quantile, sum, type Sample } from '../kit/prometheus';

const EVERY_MS = 2000;
const POINTS = 60;
const LINES = 1000;
const REQUESTS = 'burrow_http_requests_total';
const TIMES = 'burrow_http_request_duration_seconds';

export interface Route {
  key: string;
  count: number;
  failed: number;
  median: number;
  worst: number;
  total: number;
}

/** What the server counts of itself, asked again and again while somebody looks. */
export class Meter {
  now = $state.raw<Sample[] | null>(null);
  /** The server counts nothing: an older one. */
  absent = $state(false);
  error = $state('');
  rates = $state.raw<number[]>([]);
  #first: Sample[] | null = null;
  #last: { at: number; total: number } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();

  async start() {
    const { signal } = this.#abort;
    try {
      const list = parseMetrics(await getMetrics(signal));
      const total = sum(list, REQUESTS);
      const at = performance.now();
      if (this.#last)
        this.rates = [...this.rates, ((total - this.#last.total) * 60_000) / (at - this.#last.at)].slice(
          -POINTS,
        );
      this.#last = { at, total };
      this.#first ??= list;
      this.now = list;
      this.error = '';
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 404) {
        this.absent = true;
        return;
      }
      this.error = messageOf(error);
    }
    if (!signal.aborted) this.#timer = setTimeout(() => void this.start(), EVERY_MS);
  }
  stop() {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }
  value(name: string) {
    return this.now ? one(this.now, name) : undefined;
  }
  get requests() {
    return this.now ? sum(this.now, REQUESTS) : 0;
  }
  get failures() {
    return this.now ? sum(this.now, REQUESTS, (l) => Number(l.status) >= 400) : 0;
  }
  /** Milliseconds that `part` of all answers took less than. */
  took(part: number) {
    return this.now ? quantile(this.now, TIMES, part) * 1000 : 0;
  }
}

/** The latest requests of the log. */
export async function latest(signal: AbortSignal): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for (let page = 1; lines.length < LINES; page++) {
    const answer = await listLogs(
      { page, perPage: 500, filter: "data.type = 'request'", sort: '-@rowid', fields: 'id,created,data' },
      signal,
    );
    lines.push(...answer.items);
    if (answer.items.length < 500) break;
  }
  return lines;
}

/** Requests by address, ids left out, the most time in all first. */
export function byRoute(lines: LogLine[]): Route[] {
  const groups = new Map<string, { times: number[]; failed: number }>();
  for (const line of lines) {
    const path = String(line.data.url ?? '').split('?')[0]!;
    const key = `${String(line.data.method ?? '')} ${path
      .replace(/\/records\/[^/]+/, '/records/:id')
      .replace(/^\/api\/files\/([^/]+)\/.*/, '/api/files/$1/…')
      .replace(/^\/api\/logs\/(?!stats)[^/]+/, '/api/logs/:id')}`;
    const group = groups.get(key) ?? { times: [], failed: 0 };
    group.times.push(Number(line.data.execTime) || 0);
    if (Number(line.data.status) >= 400) group.failed++;
    groups.set(key, group);
  }
  return [...groups]
    .map(([key, { times, failed }]) => {
      times.sort((a, b) => a - b);
      return {
        key,
        count: times.length,
        failed,
        median: percentile(times, 0.5),
        worst: percentile(times, 0.95),
        total: times.reduce((a, b) => a + b, 0),
      };
    })
    .sort((a, b) => b.total - a.total);
}
