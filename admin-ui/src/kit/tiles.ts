// Maps as planes of units, and the pictures of a tile server that lie on them.

/** A map of the world laid flat. */
export interface Plane {
  wide: number;
  high: number;
  x: (lon: number) => number;
  y: (lat: number) => number;
  lon: (x: number) => number;
  lat: (y: number) => number;
}
const WIDE = 3600;

/** Degrees as they are: what the outline is drawn in. */
export const flat: Plane = {
  wide: WIDE,
  high: WIDE / 2,
  x: (lon) => (lon + 180) * 10,
  y: (lat) => (90 - lat) * 10,
  lon: (x) => x / 10 - 180,
  lat: (y) => 90 - y / 10,
};

/** The square that tile servers cut, which ends at 85 degrees. */
const MOST = 85.0511;
export const mercator: Plane = {
  ...flat,
  high: WIDE,
  y: (lat) => {
    const phi = (Math.min(MOST, Math.max(-MOST, lat)) * Math.PI) / 180;
    return (0.5 - Math.log(Math.tan(Math.PI / 4 + phi / 2)) / (2 * Math.PI)) * WIDE;
  },
  lat: (y) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / WIDE))) * 180) / Math.PI,
};

export interface Tile {
  url: string;
  x: number;
  y: number;
  size: number;
}
const TILE_PIXELS = 256;
const DEEPEST = 18;

/** The tiles that cover a part of the mercator plane that is drawn `pixels` wide. */
export function tilesOf(
  address: string,
  part: { left: number; top: number; width: number; height: number },
  pixels: number,
): Tile[] {
  const wanted = Math.log2((pixels / TILE_PIXELS) * (WIDE / part.width));
  const z = Math.min(DEEPEST, Math.max(0, Math.round(wanted)));
  const size = WIDE / 2 ** z;
  const last = 2 ** z - 1;
  const range = (from: number, length: number) => {
    const first = Math.max(0, Math.floor(from / size));
    return Array.from(
      { length: Math.max(0, Math.min(last, Math.ceil((from + length) / size) - 1) - first + 1) },
      (_, i) => first + i,
    );
  };
  return range(part.top, part.height).flatMap((y) =>
    range(part.left, part.width).map((x) => ({
      url: address.replace('{z}', String(z)).replace('{x}', String(x)).replace('{y}', String(y)),
      x: x * size,
      y: y * size,
      size,
    })),
  );
}
