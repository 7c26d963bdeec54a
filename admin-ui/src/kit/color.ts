// The accent as its owner chose it, made readable on both themes.
type Rgb = [number, number, number];

export function parseHex(text: string): Rgb | null {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text.trim())?.[1];
  if (!hex) return null;
  const full = hex.length === 3 ? [...hex].map((c) => c + c).join('') : hex;
  return [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16)) as Rgb;
}
const light = ([r, g, b]: Rgb) => {
  const part = (v: number) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
export const contrast = (a: Rgb, b: Rgb) => {
  const [x, y] = [light(a), light(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};
const mix = (a: Rgb, b: Rgb, part: number) => a.map((v, i) => Math.round(v + (b[i]! - v) * part)) as Rgb;
export const toHex = (c: Rgb) => `#${c.map((v) => v.toString(16).padStart(2, '0')).join('')}`;

/** `color`, moved towards `end` until it stands out from every ground by 4.5:1. */
function readable(color: Rgb, end: Rgb, grounds: Rgb[]): Rgb {
  for (let part = 0; part <= 1; part += 0.05) {
    const tried = mix(color, end, part);
    if (grounds.every((ground) => contrast(tried, ground) >= 4.5)) return tried;
  }
  return end;
}

/** The custom properties of an accent, or null when `text` is no colour. */
export function accentOf(text: string): Record<string, string> | null {
  const color = parseHex(text);
  if (!color) return null;
  const [paper, night]: [Rgb, Rgb] = [
    [239, 232, 219],
    [45, 37, 30],
  ];
  const soft: [Rgb, Rgb] = [mix([252, 249, 243], color, 0.14), mix([35, 29, 24], color, 0.22)];
  const day = readable(color, [0, 0, 0], [paper, soft[0]]);
  const dark = readable(color, [255, 255, 255], [night, soft[1]]);
  return {
    '--accent': `light-dark(${toHex(day)}, ${toHex(dark)})`,
    '--accent-soft': `light-dark(${toHex(soft[0])}, ${toHex(soft[1])})`,
    '--accent-ink': 'light-dark(#ffffff, #14100c)',
  };
}
