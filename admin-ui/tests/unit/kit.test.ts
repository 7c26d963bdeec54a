import { describe, expect, test } from 'vitest';
import { same } from '../../src/kit/diff';
import { bytes, excerpt, parseDate, toServerDate } from '../../src/kit/format';
import { buildIndex, copyIndex, parseIndex, renameColumn } from '../../src/kit/indexes';
import { placeOf } from '../../src/kit/order';
import { cycleSort, serverSort, toFilter } from '../../src/kit/query';
import { tint } from '../../src/kit/tint';
import { formatHash, parseHash, query, tokenEnd } from '../../src/kit/url';

describe('addresses', () => {
  test('go there and back', () => {
    const hash = formatHash(['data', 'posts'], { filter: 'a = "x&y" && b', sort: '', record: null });
    expect(parseHash(hash)).toEqual({ path: ['data', 'posts'], query: { filter: 'a = "x&y" && b' } });
  });
  test('survive broken escapes', () => expect(parseHash('#/data/%zz').path).toEqual(['data', '%zz']));
  test('leave out what is empty', () =>
    expect(query({ page: 2, filter: '', skipTotal: true, x: undefined })).toBe('?page=2&skipTotal=1'));
  test('read when a token ends', () => {
    const body = btoa(JSON.stringify({ exp: 1700000000 }));
    expect(tokenEnd(`a.${body}.c`)).toBe(1700000000000);
    expect(tokenEnd('rubbish')).toBe(0);
  });
});

describe('search', () => {
  const fields = [
    { name: 'title', type: 'text' },
    { name: 'ok', type: 'bool' },
    { name: 'n', type: 'number' },
  ];
  test('words look into every readable field', () =>
    expect(toFilter("it's", fields)).toBe("title ~ 'it\\'s' || n ~ 'it\\'s'"));
  test('expressions go as they are', () => expect(toFilter(' n > 3 ', fields)).toBe('n > 3'));
  test('sort cycles', () => {
    expect(cycleSort('', 'a', false)).toBe('a');
    expect(cycleSort('a', 'a', false)).toBe('-a');
    expect(cycleSort('-a', 'a', false)).toBe('');
    expect(cycleSort('a', 'b', true)).toBe('a,b');
    expect(cycleSort('a,b', 'a', true)).toBe('-a,b');
    expect(cycleSort('-a,b', 'a', true)).toBe('b');
  });
  test('pages never overlap', () => {
    expect(serverSort('', false)).toBe('-@rowid');
    expect(serverSort('', true)).toBe('');
    expect(serverSort('-n', false)).toBe('-n,id');
    expect(serverSort('id', false)).toBe('id');
  });
});

describe('live rows', () => {
  const rows = [
    { id: 'a', n: 1 },
    { id: 'c', n: 3 },
    { id: 'e', n: 5 },
  ];
  test('find their place', () => {
    expect(placeOf(rows, { id: 'b', n: 2 }, 'n')).toBe(1);
    expect(placeOf([...rows].reverse(), { id: 'b', n: 2 }, '-n')).toBe(2);
    expect(placeOf(rows, { id: 'z', n: 9 }, 'n')).toBe(3);
    expect(placeOf(rows, { id: 'z', n: 9 }, 'author.name')).toBe(0);
  });
});

describe('indexes', () => {
  test('are read loosely', () => {
    expect(parseIndex('create unique index if not exists i2 on ixc (a, b desc) where a != ""')).toEqual({
      name: 'i2',
      unique: true,
      columns: 'a, b desc',
      where: 'a != ""',
    });
    expect(parseIndex('CREATE INDEX `i4` ON `ixc` (\n  lower(b),\n  `c`\n)')).toMatchObject({
      name: 'i4',
      columns: 'lower(b), `c`',
    });
    expect(parseIndex('rubbish')).toBeNull();
  });
  test('are built back', () =>
    expect(buildIndex({ name: 'i', unique: true, columns: '`a`', where: '' }, 't')).toBe(
      'CREATE UNIQUE INDEX `i` ON `t` (`a`)',
    ));
  test('follow a renamed field, whole words only', () =>
    expect(renameColumn('CREATE INDEX `a` ON `t` (`a`, aa, lower(a))', 'a', 'b')).toBe(
      'CREATE INDEX `a` ON `t` (`b`, aa, lower(b))',
    ));
  test('get a new name in a copy', () => {
    expect(copyIndex('CREATE INDEX `idx_t_1` ON `t` (`a`)', 't', 't2', 'xy')).toContain('ON `t2`');
    expect(copyIndex('CREATE INDEX `i` ON `t` (`a`)', 'posts', 'p2', 'xy')).toContain('`i_xy`');
  });
});

describe('values', () => {
  test('compare deeply', () => {
    expect(same({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toBe(true);
    expect(same([], {})).toBe(false);
    expect(same({ a: undefined }, { b: undefined })).toBe(false);
  });
  test('rich text becomes one line', () =>
    expect(excerpt('<h2>One</h2><p>two <b>th</b>ree &amp; <script>x</script></p>')).toBe('One two three &'));
  test('bytes', () =>
    expect([bytes(12), bytes(1536), bytes(5 * 1024 * 1024)]).toEqual(['12 bytes', '1.5 KB', '5 MB']));
  test('dates of the server', () => {
    expect(toServerDate(parseDate('2026-11-20 22:57:20.299Z')!)).toBe('2026-11-20 22:57:20.299Z');
    expect(parseDate('')).toBeNull();
  });
  test.each(['json', 'sql', 'html', 'rule'] as const)('colouring %s loses nothing', (language) => {
    const text = `{"a": [1, tr"ue]} <p class="x">'it' -- & ?`;
    expect(
      tint(text, language)
        .map((p) => p.text)
        .join(''),
    ).toBe(text);
  });
});
