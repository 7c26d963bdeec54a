// Reads what a server tells in the text format of Prometheus.
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function parseMetrics(text: string): Sample[] {
  const out: Sample[] = [];
  for (const line of text.split('\n')) {
    const found = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries(
      [...(found[2] ?? '').matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)].map((m) => [m[1]!, m[2]!]),
    );
    const value = found[3] === '+Inf' ? Infinity : Number(found[3]);
    if (!Number.isNaN(value)) out.push({ name: found[1]!, labels, value });
  }
  return out;
}
export const one = (list: Sample[], name: string) => list.find((s) => s.name === name)?.value;
export const sum = (
  list: Sample[],
  name: string,
  test: (labels: Record<string, string>) => boolean = () => true,
) => list.reduce((total, s) => (s.name === name && test(s.labels) ? total + s.value : total), 0);

/** The upper end of the bucket that `part` of all values lie below, in the unit of the histogram. */
export function quantile(list: Sample[], name: string, part: number, since: Sample[] = []): number {
  const counts = (from: Sample[]) =>
    new Map(from.filter((s) => s.name === `${name}_bucket`).map((s) => [s.labels.le!, s.value]));
  const before = counts(since);
  const ends = [...counts(list)]
    .map(([le, count]) => ({
      le: le === '+Inf' ? Infinity : Number(le),
      count: count - (before.get(le) ?? 0),
    }))
    .sort((a, b) => a.le - b.le);
  const all = ends.at(-1)?.count ?? 0;
  if (all <= 0) return 0;
  return ends.find((end) => end.count >= all * part)!.le;
}
