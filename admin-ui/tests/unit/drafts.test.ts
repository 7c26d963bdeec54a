import { beforeEach, expect, test, vi } from 'vitest';
import { draftKey, dropDraft, foundDraft, keepDraft } from '../../src/state/drafts';

const kept = new Map<string, string>();
beforeEach(() => {
  kept.clear();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  });
});
const key = draftKey('posts', 'abc');
const secret = new Set(['password', 'tokenKey']);

test('what was typed is found again until it is dropped', () => {
  keepDraft(key, { title: 'Half', rank: 3 }, secret);
  expect(foundDraft(key)).toEqual({ title: 'Half', rank: 3 });
  expect(foundDraft(draftKey('posts', 'other'))).toBeNull();
  dropDraft(key);
  expect(foundDraft(key)).toBeNull();
});
test('secrets and files are never kept', () => {
  keepDraft(
    key,
    { password: 'secret', tokenKey: 'k', pic: new Blob(['x']), pics: [new Blob(['x'])] },
    secret,
  );
  expect([...kept.values()]).toEqual([]);
});
test('what is there and unreadable, or no object, is nothing', () => {
  for (const text of ['{', '[1]', '"x"', 'null']) {
    kept.set(key, text);
    expect(foundDraft(key)).toBeNull();
  }
});
test('a draft past all bounds is not kept, and one that became empty goes', () => {
  keepDraft(key, { title: 'x'.repeat(300_000) }, secret);
  expect(foundDraft(key)).toBeNull();
  keepDraft(key, { title: 'x' }, secret);
  keepDraft(key, {}, secret);
  expect(foundDraft(key)).toBeNull();
});
