// Where the tables of the diagram stand, and how the lines between them run.
export interface Spot {
  x: number;
  y: number;
}
export interface Table {
  id: string;
  rows: number;
  /** Ids of the tables that it points to. */
  to: string[];
}
export const WIDTH = 220;
export const HEAD = 32;
export const ROW = 22;
const GAP = 80;
const SPACE = 28;

export const heightOf = (rows: number) => HEAD + rows * ROW + 6;

/** Tables in columns: what is pointed to stands left of what points to it, and each column is as short as can be. */
export function arrange(tables: Table[]): Record<string, Spot> {
  const known = new Set(tables.map((t) => t.id));
  const depth = new Map<string, number>();
  const deep = (table: Table, trail: Set<string>): number => {
    const found = depth.get(table.id);
    if (found !== undefined) return found;
    if (trail.has(table.id)) return 0;
    trail.add(table.id);
    const below = table.to
      .filter((id) => id !== table.id && known.has(id))
      .map(
        (id) =>
          deep(
            tables.find((t) => t.id === id)!,
            trail,
          ) + 1,
      );
    trail.delete(table.id);
    const own = Math.max(0, ...below);
    depth.set(table.id, own);
    return own;
  };
  for (const table of tables) deep(table, new Set());
  const most = Math.max(900, Math.sqrt(tables.reduce((sum, t) => sum + heightOf(t.rows) * WIDTH, 0)) * 1.2);
  const out: Record<string, Spot> = {};
  let x = 0;
  const layers = Math.max(0, ...depth.values());
  for (let layer = 0; layer <= layers; layer++) {
    let y = 0;
    let used = false;
    for (const table of tables.filter((t) => depth.get(t.id) === layer)) {
      const height = heightOf(table.rows);
      if (y > 0 && y + height > most) {
        x += WIDTH + GAP;
        y = 0;
      }
      out[table.id] = { x, y };
      y += height + SPACE;
      used = true;
    }
    if (used) x += WIDTH + GAP;
  }
  return out;
}

/** A line from the field `row` of one table to the head of another, around whichever sides are nearer. */
export function line(from: Spot, row: number, to: Spot): string {
  const y1 = from.y + HEAD + row * ROW + ROW / 2;
  const y2 = to.y + HEAD / 2;
  const right = to.x >= from.x + WIDTH / 2;
  const same = Math.abs(to.x - from.x) < WIDTH / 2;
  const x1 = right || same ? from.x + WIDTH : from.x;
  const x2 = same ? to.x + WIDTH : right ? to.x : to.x + WIDTH;
  const pull = Math.max(40, Math.abs(x2 - x1) / 2);
  const c1 = right || same ? x1 + pull : x1 - pull;
  const c2 = same || !right ? x2 + pull : x2 - pull;
  return `M${x1} ${y1} C${c1} ${y1} ${c2} ${y2} ${x2} ${y2}`;
}
