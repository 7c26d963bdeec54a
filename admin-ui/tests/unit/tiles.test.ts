import { expect, test } from 'vitest';
import { flat, mercator, tilesOf } from '../../src/kit/tiles';

test('both planes take a place there and back', () => {
  for (const plane of [flat, mercator])
    for (const [lon, lat] of [
      [0, 0],
      [16.37, 48.2],
      [-179, -80],
    ] as const) {
      expect(plane.lon(plane.x(lon))).toBeCloseTo(lon, 6);
      expect(plane.lat(plane.y(lat))).toBeCloseTo(lat, 6);
    }
  expect(mercator.y(0)).toBe(1800);
  expect(mercator.y(90)).toBeCloseTo(0, 0);
});
test('the tiles of a view are those that servers number so', () => {
  const address = 'https://t.example/{z}/{x}/{y}.png';
  const whole = { left: 0, top: 0, width: 3600, height: 3600 };
  expect(tilesOf(address, whole, 256).map((t) => t.url)).toEqual(['https://t.example/0/0/0.png']);
  expect(tilesOf(address, whole, 512)).toHaveLength(4);
  // Vienna at zoom 4 is in tile 8/5.
  const [x, y] = [mercator.x(16.37), mercator.y(48.2)];
  const near = tilesOf(address, { left: x - 1, top: y - 1, width: 2, height: 2 }, (256 * 16 * 2) / 3600);
  expect(near.map((t) => t.url)).toEqual(['https://t.example/4/8/5.png']);
  expect(near[0]).toMatchObject({ size: 225, x: 1800, y: 1125 });
});
test('there are no tiles beyond the edge of the world, nor past the deepest zoom', () => {
  const urls = tilesOf('{z}/{x}/{y}', { left: -900, top: -900, width: 1800, height: 1800 }, 512).map(
    (t) => t.url,
  );
  expect(urls).toEqual(['2/0/0']);
  expect(tilesOf('{z}/{x}/{y}', { left: 0, top: 0, width: 1e-6, height: 1e-6 }, 512)[0]!.url).toBe('18/0/0');
});
