import { describe, expect, test } from 'vitest';
import { buckets, HOUR, percentile, stepFor } from '../../src/kit/buckets';
import { accentOf, contrast, parseHex } from '../../src/kit/color';
import { toCsv } from '../../src/kit/csv';
import { arrange, line } from '../../src/kit/diagram';
import { endpointsOf, langsOf, sample, valuesOf, type CollectionLike } from '../../src/kit/endpoints';
import { parseMetrics, quantile, sum } from '../../src/kit/prometheus';
import { filtered, leading, listOf, missing } from '../../src/kit/slow';
import { adopted, changesOf, lineDiff, parseImport, strangers } from '../../src/kit/transfer';

const field = (name: string, type: string, more: object = {}) => ({
  name,
  type,
  system: false,
  hidden: false,
  ...more,
});
const posts: CollectionLike = {
  name: 'posts',
  type: 'base',
  fields: [
    field('id', 'text', { primaryKey: true }),
    field('title', 'text', { required: true }),
    field('secret', 'text', { hidden: true }),
    field('done', 'bool'),
    field('created', 'autodate'),
  ],
};

describe('the API page', () => {
  test('shows the real fields, and never a hidden one in an answer', () => {
    const create = endpointsOf(posts).find((e) => e.id === 'create')!;
    expect(valuesOf(create.params)).toEqual({ title: 'text', secret: 'text', done: true });
    expect(create.params.find((p) => p.name === 'title')?.required).toBe(true);
    expect(create.answer).not.toHaveProperty('secret');
  });
  test('views are only read, and only reading goes over a socket', () => {
    const view = endpointsOf({ ...posts, type: 'view' });
    expect(view.map((e) => e.id)).toEqual(['list', 'view']);
    expect(langsOf(view[0]!)).toContain('ws');
    expect(langsOf(endpointsOf(posts).find((e) => e.id === 'create')!)).not.toContain('ws');
  });
  test('every endpoint has an example in each of its languages', () => {
    const users: CollectionLike = {
      ...posts,
      name: 'users',
      type: 'auth',
      fields: [...posts.fields, field('password', 'password')],
    };
    for (const e of endpointsOf(users))
      for (const lang of langsOf(e)) {
        const code = sample(e, users, lang, 'http://x');
        expect(code, `${e.id} ${lang}`).toMatch(/http:|ws:/);
        expect(code).not.toContain('undefined');
      }
  });
  test('Python gets its own words, but not inside of texts', () => {
    const create = endpointsOf(posts).find((e) => e.id === 'create')!;
    expect(sample(create, posts, 'python', 'http://x')).toContain('"done": True');
  });
});

describe('export and import', () => {
  const now = [
    {
      id: 'a',
      name: 'posts',
      fields: [
        { id: 'f1', name: 'title', type: 'text' },
        { id: 'f2', name: 'state', type: 'text' },
      ],
    },
    { id: 'b', name: 'tags', fields: [] },
  ];
  test('what is the same changes nothing', () => {
    expect(changesOf(now, structuredClone(now), true)).toEqual([]);
    expect(changesOf(now, [{ ...now[0]!, created: 'x' }], false)).toEqual([]);
  });
  test('what goes is named before it goes', () => {
    const wish = [{ id: 'a', name: 'articles', fields: [{ id: 'f1', name: 'title', type: 'text' }] }];
    const kept = changesOf(now, wish, false);
    expect(kept).toMatchObject([{ kind: 'changed', name: 'articles', was: 'posts', losing: [] }]);
    const gone = changesOf(now, wish, true);
    expect(gone.map((c) => [c.kind, c.name, c.losing])).toEqual([
      ['changed', 'articles', ['state']],
      ['deleted', 'tags', []],
    ]);
  });
  test('our ids can be kept, also where relations point', () => {
    const foreign = [
      {
        id: 'z',
        name: 'posts',
        fields: [
          { id: 'q', name: 'title', type: 'text' },
          { id: 'r', name: 'self', type: 'relation', collectionId: 'z' },
        ],
      },
    ];
    expect(strangers(now, foreign)).toHaveLength(1);
    expect(adopted(now, foreign)[0]).toMatchObject({
      id: 'a',
      fields: [{ id: 'f1' }, { id: 'r', collectionId: 'a' }],
    });
  });
  test('only lists of collections are taken', () => {
    expect(parseImport('[{"name":"a"}]')).toHaveLength(1);
    for (const text of ['', '[]', '7', '[1]', '{"a":1}', '[{"name":1}]', '{'])
      expect(parseImport(text)).toBeNull();
  });
  test('lines that changed stand between lines that did not', () => {
    const lines = lineDiff('a\nb\nc\nd\ne\nf', 'a\nb\nc\nx\ne\nf', 1);
    expect(lines.map((l) => `${l.tone[0]}${l.text}`)).toEqual(['s…', 'sc', 'gd', 'nx', 'se', 's…']);
  });
});

describe('the log chart', () => {
  test('has a bar also where nothing happened', () => {
    const bars = buckets(0, 4 * HOUR, HOUR, [[HOUR + 5, 3]], [[HOUR + 5, 1]]);
    expect(bars.map((b) => b.total)).toEqual([0, 3, 0, 0]);
    expect(bars[1]!.failed).toBe(1);
    expect(stepFor(0, 60_000)).toBe(60_000);
  });
  test('percentiles of few values are values', () => {
    expect(percentile([], 0.5)).toBe(0);
    expect(percentile([1, 2, 3, 4], 0.5)).toBe(2);
    expect(percentile([1, 2, 3, 4], 0.99)).toBe(4);
  });
});

describe('metrics', () => {
  const list = parseMetrics(
    '# HELP x y\nreq{method="GET",status="200"} 8\nreq{method="GET",status="404"} 2\nt_bucket{le="0.001"} 5\nt_bucket{le="0.01"} 9\nt_bucket{le="+Inf"} 10\nnonsense\n',
  );
  test('are read with their labels', () => {
    expect(sum(list, 'req')).toBe(10);
    expect(sum(list, 'req', (l) => Number(l.status) >= 400)).toBe(2);
  });
  test('a quantile is the upper end of its bucket', () => {
    expect(quantile(list, 't', 0.5)).toBe(0.001);
    expect(quantile(list, 't', 0.9)).toBe(0.01);
    expect(quantile(list, 't', 0.99)).toBe(Infinity);
    expect(quantile([], 't', 0.5)).toBe(0);
  });
});

describe('missing indexes', () => {
  const c = {
    name: 'posts',
    fields: [{ name: 'id' }, { name: 'state' }, { name: 'created' }],
    indexes: ['CREATE INDEX `i` ON `posts` (`created` DESC)'],
  };
  const list = (filter: string, sort = '') => ({ collection: 'posts', filter, sort });
  test('an address is a list request or not', () => {
    expect(listOf('/api/collections/posts/records?filter=a%3D1&sort=-b')).toEqual({
      collection: 'posts',
      filter: 'a=1',
      sort: '-b',
    });
    expect(listOf('/api/collections/posts/records/abc')).toBeNull();
  });
  test('only compared fields could be found by an index', () => {
    expect(filtered("state = 'a' && title ~ 'b' && author.state = 1", new Set(['state', 'title']))).toEqual([
      'state',
    ]);
  });
  test('the first column is what counts', () => {
    expect(leading(c.indexes[0]!)).toBe('created');
    expect(missing(list("state = 'a'", '-created'), c)).toEqual(['state', 'created']);
    expect(missing(list("created > 'a'"), c)).toEqual([]);
    expect(missing(list('', '-state'), c)).toEqual(['state']);
    expect(missing(list('', '-created'), c)).toEqual([]);
    expect(missing(list("id = 'x'"), c)).toEqual([]);
  });
});

test('an accent is readable on both themes, whatever was chosen', () => {
  for (const color of ['#ffff00', '#000000', '#ffffff', '#1055c9', '#0f0']) {
    const [day, night] = accentOf(color)!
      ['--accent']!.match(/#[0-9a-f]{6}/g)!
      .map((hex) => parseHex(hex)!);
    expect(contrast(day!, [246, 241, 232])).toBeGreaterThanOrEqual(4.5);
    expect(contrast(night!, [27, 23, 19])).toBeGreaterThanOrEqual(4.5);
  }
  expect(accentOf('red; } body {')).toBeNull();
});

test('a formula in a cell stays a text, a number stays one', () => {
  expect(
    toCsv(
      ['a', 'b'],
      [
        ['=1+1', '-3'],
        [null, 'x"y,z'],
      ],
    ),
  ).toBe(`a,b\r\n'=1+1,-3\r\n,"x""y,z"`);
});

test('no two tables of the diagram lie over each other, circles of relations included', () => {
  const tables = Array.from({ length: 40 }, (_, i) => ({
    id: `t${i}`,
    rows: 3 + (i % 9),
    to: [`t${(i + 1) % 40}`, `t${(i * 7) % 40}`],
  }));
  const spots = Object.values(arrange(tables));
  expect(spots).toHaveLength(40);
  expect(new Set(spots.map((s) => `${s.x}/${s.y}`)).size).toBe(40);
  expect(line({ x: 0, y: 0 }, 1, { x: 400, y: 0 })).toMatch(/^M220 65 C/);
});
