import { describe, expect, test } from 'vitest';
import { below, flatten } from '../../src/api/errors';
import { saveBody } from '../../src/api/records';
import { blankField, displayName, freeName, isZero, slug, zero } from '../../src/api/schema';
import { KINDS, type Collection } from '../../src/api/types';

describe('errors of the server', () => {
  const data = {
    fields: { 3: { max: { code: 'x', message: 'Too big.' }, name: { code: 'y', message: 'Bad.' } } },
    name: { code: 'z', message: 'Taken.' },
  };
  test('are flattened to paths', () =>
    expect(flatten(data)).toEqual({ 'fields.3.max': 'Too big.', 'fields.3.name': 'Bad.', name: 'Taken.' }));
  test('are picked by path', () =>
    expect(below(flatten(data), 'fields.3')).toEqual({ max: 'Too big.', name: 'Bad.' }));
  test('bear anything', () =>
    expect([flatten(null), flatten('x'), flatten({ a: null })]).toEqual([{}, {}, {}]));
});

describe('the body of a save', () => {
  test('is plain JSON without files', () => expect(saveBody({ a: 1, b: ['x'] })).toEqual({ a: 1, b: ['x'] }));
  test('is a form with new files, what is kept goes along', () => {
    const file = new File(['x'], 'x.txt');
    const form = saveBody({ title: 't', docs: ['old.txt', file], one: file }) as FormData;
    expect(JSON.parse(String(form.get('@jsonPayload')))).toEqual({ title: 't', docs: ['old.txt'] });
    expect((form.get('docs+') as File).name).toBe('x.txt');
    expect((form.get('one') as File).name).toBe('x.txt');
  });
});

describe('schema', () => {
  test('every kind has a blank and a zero', () => {
    for (const kind of KINDS) {
      const field = blankField(kind, []);
      expect(field.type).toBe(kind);
      expect(isZero(zero(field))).toBe(true);
    }
  });
  test('names are free and clean', () => {
    expect(freeName('text', ['Text', 'text2'])).toBe('text3');
    expect(slug('my new thing!')).toBe('my_new_thing_');
  });
  test('a record is called by its presentable fields, else by a likely one, else by its id', () => {
    const record = { id: 'r1', collectionId: 'c', collectionName: 'c', title: 'T', other: 'O' };
    const collection = (fields: object[]) => ({ fields }) as Collection;
    expect(
      displayName(
        record,
        collection([
          { name: 'other', type: 'text', presentable: true },
          { name: 'title', type: 'text' },
        ]),
      ),
    ).toBe('O');
    expect(displayName(record, collection([{ name: 'title', type: 'text' }]))).toBe('T');
    expect(displayName(record, collection([]))).toBe('r1');
  });
});
