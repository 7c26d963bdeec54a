import { expect, test, vi } from 'vitest';
import { GridScroll } from '../../src/ui/grid-scroll.svelte';

/** A box that scrolls as browsers do. */
function boxed(scroll: GridScroll) {
  let y = 0;
  const box = {
    get scrollTop() {
      return y;
    },
    set scrollTop(to: number) {
      y = Math.round(Math.min(scroll.tall - scroll.view, Math.max(0, to)));
    },
  };
  scroll.attach(box as HTMLElement);
  return { box, turn: (by: number) => ((box.scrollTop += by), scroll.moved()) };
}

test('a list that fits scrolls by itself', () => {
  const scroll = new GridScroll();
  [scroll.whole, scroll.view] = [50_000, 600];
  const { turn } = boxed(scroll);
  turn(120);
  expect([scroll.top, scroll.shift, scroll.tall]).toEqual([120, 0, 50_000]);
  scroll.to(1e9);
  expect(scroll.top).toBe(49_400);
  scroll.stop();
});

test('in a list taller than the bar, short moves are pixels and long ones places', () => {
  const scroll = new GridScroll();
  [scroll.whole, scroll.view] = [32_000_000, 600];
  const { box, turn } = boxed(scroll);
  turn(120);
  turn(120);
  expect(scroll.top).toBe(240);
  // The bar, dragged to the middle.
  box.scrollTop = scroll.tall / 2;
  scroll.moved();
  expect(Math.abs(scroll.top - 16_000_000)).toBeLessThan(1000);
  const middle = scroll.top;
  turn(100);
  expect(scroll.top).toBeCloseTo(middle + 100, 3);
  // A row stands where it should: its place less the shift is in view.
  expect(scroll.top - scroll.shift).toBeCloseTo(box.scrollTop, 3);
  scroll.stop();
});

test('turning the wheel reaches both ends, pixel by pixel', () => {
  const scroll = new GridScroll();
  [scroll.whole, scroll.view] = [32_000_000, 600];
  const { box, turn } = boxed(scroll);
  scroll.to(32_000_000 - 600 - 10_000);
  for (let i = 0; i < 120; i++) turn(100);
  expect(scroll.top).toBe(32_000_000 - 600);
  scroll.to(10_000);
  for (let i = 0; i < 120; i++) turn(-100);
  expect([scroll.top, box.scrollTop]).toEqual([0, 0]);
  scroll.stop();
});

test('while a screen and more goes by at each step nothing is drawn, and once it is over all is', () => {
  vi.useFakeTimers();
  const scroll = new GridScroll();
  [scroll.whole, scroll.view] = [5_000_000, 600];
  const { turn } = boxed(scroll);
  turn(2_000);
  // One step alone is a jump, and read at once.
  expect(scroll.rushing).toBe(false);
  turn(2_000);
  expect(scroll.rushing).toBe(true);
  turn(120);
  expect(scroll.rushing).toBe(false);
  turn(2_000);
  turn(2_000);
  expect(scroll.rushing).toBe(true);
  vi.advanceTimersByTime(100);
  expect(scroll.rushing).toBe(false);
  scroll.stop();
  vi.useRealTimers();
});
