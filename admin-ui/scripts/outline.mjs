// Makes src/fields/outline.ts: the coasts of the world for the map of geo points, from Natural Earth's 1:110m land
// (public domain), as the npm package world-atlas packs it. Run once, by hand:
//   npm install --no-save world-atlas@2.0.2 && node scripts/outline.mjs node_modules/world-atlas/land-110m.json
import { readFileSync, writeFileSync } from 'node:fs';

/** Units a degree. */
const SCALE = 10;
const { transform, arcs, objects } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const decoded = arcs.map((arc) => {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [
      Math.round((x * transform.scale[0] + transform.translate[0] + 180) * SCALE),
      Math.round((90 - (y * transform.scale[1] + transform.translate[1])) * SCALE),
    ];
  });
});
const ring = (indexes) => {
  const points = indexes.flatMap((i) => (i < 0 ? [...decoded[~i]].reverse() : decoded[i]));
  return points.filter(([x, y], at) => at === 0 || x !== points[at - 1][0] || y !== points[at - 1][1]);
};
const polygons = objects.land.geometries.flatMap((g) => (g.type === 'Polygon' ? [g.arcs] : g.arcs));
const WIDE = 360 * SCALE;
/** A ring across the date line goes on beyond the edge instead of back over the whole map. */
function unfolded(points) {
  let shift = 0;
  const out = points.map(([x, y], i) => {
    const by = i > 0 ? x - points[i - 1][0] : 0;
    if (by > WIDE / 2) shift -= WIDE;
    if (by < -WIDE / 2) shift += WIDE;
    return [x + shift, y];
  });
  if (Math.abs(out.at(-1)[0] - out[0][0]) <= WIDE / 2) return out;
  // One around the pole does not come back to where it began: it is closed along the lower edge.
  return points.flatMap(([x, y], i) => {
    const before = points[i - 1];
    if (!before || Math.abs(x - before[0]) < WIDE / 2) return [[x, y]];
    const [from, to] = before[0] > x ? [WIDE, 0] : [0, WIDE];
    const low = 180 * SCALE;
    return [
      [from, before[1]],
      [from, low],
      [to, low],
      [to, y],
      [x, y],
    ];
  });
}
let path = '';
function draw(points) {
  path += `M${points[0].join(' ')}l`;
  path += points
    .slice(1)
    .map(([x, y], i) => `${x - points[i][0]} ${y - points[i][1]}`)
    .join(' ')
    .replaceAll(' -', '-');
  path += 'z';
}
for (const polygon of polygons)
  for (const points of polygon
    .map(ring)
    .filter((r) => r.length > 2)
    .map(unfolded)) {
    draw(points);
    const xs = points.map(([x]) => x);
    if (Math.min(...xs) < 0) draw(points.map(([x, y]) => [x + WIDE, y]));
    if (Math.max(...xs) > WIDE) draw(points.map(([x, y]) => [x - WIDE, y]));
  }
writeFileSync(
  new URL('../src/fields/outline.ts', import.meta.url),
  `// Made by scripts/outline.mjs from Natural Earth (public domain). Units: tenths of a degree from the north-west corner.\nexport const outline =\n  '${path}';\n`,
);
