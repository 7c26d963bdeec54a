// How long to wait before the next try: longer each time, and never the same for all, so that a server which comes back is
// not met by everybody at once.

const FIRST_MS = 250;
const LONGEST_MS = 30_000;

/** Milliseconds before try number `attempt` (from 0): somewhere between half of the delay and all of it. */
export function delay(attempt: number, random: () => number = Math.random): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20));
  return most * (0.5 + random() / 2);
}
