import { describe, expect, test } from 'vitest';
import { check, lex, quote } from '../../src/kit/expr';

describe('check', () => {
  test.each([
    '',
    'a = 1',
    "title ~ 'x' && (n > 3 || n = null)",
    'a = 1 // why\n && b = 2',
    '@request.auth.id != ""',
    'tags:each ?= "a"',
    '@collection.posts:alias.a.b ?!~ "x"',
    'geoDistance(place.lon, place.lat, 23, 41) < 5',
    "strftime('%Y', created) = '2026'",
    'n=-1',
    '(a = 1)(b = 2)',
    'a = 1 (b = 2)',
    "t = 'it\\'s'",
  ])('accepts %s', (text) => expect(check(text)).toBeNull());

  test.each([
    ['  ', 0],
    ['a', 1],
    ['a =', 3],
    ['a == 1', 3],
    ['a = 1 b = 2', 6],
    ['a = 1 &&', 8],
    ['(a = 1', 0],
    ['a = 1)', 5],
    ['()', 1],
    ["a = 'open", 4],
    ['a. = 1', 0],
    ['a = 1 AND b = 2', 6],
    ['a = .5', 4],
    ['a = +1', 4],
    ['f(a = 1', 4],
  ])('finds the fault in %j at %i', (text, at) => expect(check(text)).toMatchObject({ from: at }));
});

test('lex covers the whole text', () => {
  const text = "a ?= 'b' && @now > c:lower // x\n§";
  expect(
    lex(text)
      .map((t) => text.slice(t.from, t.to))
      .join(''),
  ).toBe(text);
});

test('quote keeps quotes and backslashes', () => {
  expect(quote("it's \\ here")).toBe("'it\\'s \\\\ here'");
  expect(check(`a = ${quote("it's \\")}`)).toBeNull();
});
