import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const css = readFileSync(new URL('../../src/ui/tokens.css', import.meta.url), 'utf8');
const tokens = Object.fromEntries(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map((m) => [
    m[1],
    [m[2], m[3]] as [string, string],
  ]),
);

function luminance(hex: string): number {
  const part = (at: number) => {
    const v = parseInt(hex.slice(at, at + 2), 16) / 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}
function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number];
  return (x + 0.05) / (y + 0.05);
}
const grounds = ['paper', 'panel', 'sunk', 'float', 'hover'];
const inks = ['ink', 'ink-2', 'ink-3', 'accent', 'ok', 'warning', 'danger', 'info'];
const pairs = [
  ...inks.flatMap((ink) => grounds.map((ground) => [ink, ground, 4.5] as const)),
  ...['ink', 'ink-2', 'accent'].map((ink) => [ink, 'accent-soft', 4.5] as const),
  ['accent-ink', 'accent', 4.5] as const,
  ['ink', 'danger-soft', 4.5] as const,
  ['ink', 'flash', 4.5] as const,
  ...grounds.map((ground) => ['control-line', ground, 3] as const),
  ...Object.keys(tokens)
    .filter((t) => t.startsWith('kind-'))
    .flatMap((kind) => grounds.map((ground) => [kind, ground, 4.5] as const)),
];

test.each([0, 1])('contrast holds (theme %i)', (theme) => {
  const weak = pairs
    .map(([a, b, least]) => ({ a, b, least, is: contrast(tokens[a]![theme]!, tokens[b]![theme]!) }))
    .filter((p) => p.is < p.least)
    .map((p) => `${p.a} on ${p.b}: ${p.is.toFixed(2)}`);
  expect(weak).toEqual([]);
});
