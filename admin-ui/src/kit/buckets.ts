// Log lines by time, for the chart.
export interface Bucket {
  /** Start, in ms. */
  at: number;
  total: number;
  failed: number;
}
export interface Hour {
  date: string;
  total: number;
}
export const HOUR = 3_600_000;
const STEPS = [60_000, 5 * 60_000, 15 * 60_000, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR];
const BARS = 120;

export const ms = (text: string) => Date.parse(text.replace(' ', 'T'));
export const stepFor = (from: number, to: number) =>
  STEPS.find((s) => (to - from) / s <= BARS) ?? STEPS.at(-1)!;

/** Bars from `from` to `to`, also where nothing happened. */
export function buckets(
  from: number,
  to: number,
  step: number,
  all: [number, number][],
  bad: [number, number][],
): Bucket[] {
  const start = Math.floor(from / step) * step;
  const out: Bucket[] = [];
  for (let at = start; at < to && out.length < 400; at += step) out.push({ at, total: 0, failed: 0 });
  const add = (list: [number, number][], key: 'total' | 'failed') => {
    for (const [at, count] of list) {
      const bucket = out[Math.floor((at - start) / step)];
      if (bucket) bucket[key] += count;
    }
  };
  add(all, 'total');
  add(bad, 'failed');
  return out;
}

/** The value below which `part` of a sorted list lies. */
export function percentile(sorted: number[], part: number): number {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)]!;
}
