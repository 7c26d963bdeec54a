import { expect, test } from 'vitest';
import { overAgain } from '../../src/kit/wait';

const at = (answers: boolean[]) => {
  let asked = 0;
  const ask = () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]!);
  return { ask, asked: () => asked };
};
const now = () => Promise.resolve();

test('waits through busy and unreachable until the answer is yes again', async () => {
  const { ask, asked } = at([true, false, false, true, true]);
  await overAgain(ask, 300, 60_000, now);
  expect(asked()).toBe(4);
});

test('does not wait for ever when it was over before the first question', async () => {
  const { ask, asked } = at([true]);
  await overAgain(ask, 500, 2000, now);
  expect(asked()).toBe(5);
});
