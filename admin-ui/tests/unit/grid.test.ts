import { describe, expect, test } from 'vitest';
import { columnsOfFile, csvRows, formatOf, guessField } from '../../src/kit/columns-of-file';
import { moved, ordered } from '../../src/pages/records/columns';
import { clashes } from '../../src/state/save';
import { Selection } from '../../src/state/selection.svelte';
import type { Field } from '../../src/api/types';

describe('the columns of a file', () => {
  test('CSV is read with quotes, line breaks inside them and any separator', () => {
    expect(csvRows('\uFEFFa;"b ""x"""\r\n1;"two\nlines"\r\n3', 9)).toEqual([
      ['a', 'b "x"'],
      ['1', 'two\nlines'],
      ['3'],
    ]);
    expect(columnsOfFile('csv', 'name\tage\nAda\t36\n')).toEqual([
      { name: 'name', sample: 'Ada' },
      { name: 'age', sample: '36' },
    ]);
  });
  test('JSON and lines of JSON give the keys of their first objects, cut ones aside', () => {
    const head = '[{"a": "}{", "b": 1},\n {"c": [{"d": 1}]}, {"e": ';
    expect(columnsOfFile('json', head).map((c) => c.name)).toEqual(['a', 'b', 'c']);
    expect(columnsOfFile('ndjson', '{"a":null}\n{"b":"x"}')).toEqual([
      { name: 'a', sample: 'null' },
      { name: 'b', sample: 'x' },
    ]);
  });
  test('the format is told by the name, else by the beginning', () => {
    expect(formatOf('x.jsonl', '')).toBe('ndjson');
    expect(formatOf('', ' [1')).toBe('json');
    expect(formatOf('', '{"a"')).toBe('ndjson');
    expect(formatOf('x.tsv', '')).toBe('csv');
  });
  test('a column means the field of the same name, loosely', () => {
    expect(guessField('First Name', ['id', 'firstName'])).toBe('firstName');
    expect(guessField('nope', ['id'])).toBe(null);
  });
});

describe('columns', () => {
  const fields = ['id', 'a', 'b', 'c'].map((name) => ({ name }) as Field);
  test('are put where a person wants them; new ones follow', () => {
    expect(moved(fields, {}, 'c', 'a')).toEqual(['id', 'c', 'a', 'b']);
    expect(moved(fields, { order: ['c', 'id', 'a', 'b'] }, 'c', null)).toEqual(['id', 'a', 'b', 'c']);
    expect(ordered(fields, { order: ['b', 'a'] }).map((f) => f.name)).toEqual(['b', 'a', 'id', 'c']);
  });
});

describe('a selection', () => {
  test('of some goes by ids, of all by what matches, but for some', () => {
    const some = new Selection();
    some.set(['a', 'b'], true);
    some.set(['b'], false);
    expect(some.target('x = 1')).toEqual({ ids: ['a'] });
    some.everything();
    expect(some.count(10)).toBe(10);
    some.set(["c'"], false);
    expect([some.has('a'), some.has("c'"), some.count(10), some.count(null)]).toEqual([true, false, 9, null]);
    const target = some.target('x = 1 // why') as { filter: string };
    expect(target.filter).toMatch(/^\(x = 1 \/\/ why\n\) && id != /);
    some.set(["c'"], true);
    expect(some.target('')).toEqual({ filter: '' });
  });
});

describe('saving', () => {
  const base = { id: 'r', collectionId: 'c', collectionName: 'c', title: 'a', tags: ['x'], n: 1 };
  test('only the same field, otherwise, is a clash', () => {
    expect(clashes(base, { ...base, n: 2 }, { title: 'b' })).toEqual([]);
    expect(clashes(base, { ...base, title: 'c' }, { title: 'b' })).toEqual(['title']);
    expect(clashes(base, { ...base, title: 'b' }, { title: 'b' })).toEqual([]);
    expect(clashes(base, { ...base, tags: ['x'] }, { tags: ['y'] })).toEqual([]);
    expect(clashes(base, base, { 'tags+': 'y' })).toEqual([]);
  });
});
