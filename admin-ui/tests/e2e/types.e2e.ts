// The types of the wire are written by hand. This holds them to what the server really answers: each answer is compiled
// as a literal of its type, by the compiler that checks the dashboard.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { start, EMAIL, PASSWORD, type Burrow } from './support';

const src = resolve(import.meta.dirname, '../../src/api');

let burrow: Burrow;
beforeAll(async () => {
  burrow = await start({ superuser: true });
});
afterAll(async () => {
  await burrow?.stop();
});

/** What the compiler says of `answers`, each beside the type that it is said to have. */
function judge(answers: [type: string, answer: unknown][]): string[] {
  const names = [
    'AuthAnswer',
    'AuthMethods',
    'Collection',
    'LogLine',
    'Page',
    'RealtimeStats',
    'RecordData',
    'Settings',
  ];
  const lines = answers.map(
    ([type, answer], at) => `export const a${at}: Known<${type}> = ${JSON.stringify(answer)};`,
  );
  const text = [
    `import type { ${names.join(', ')} } from './types';`,
    `import type { Backup, Job } from './ops';`,
    `import type { ProviderInfo } from './collections';`,
    // What the dashboard does not read may be there beside it.
    'type Known<T> = T extends (infer U)[] ? Known<U>[] : T extends object',
    '  ? { [K in keyof T]: Known<T[K]> } & { [other: string]: unknown } : T;',
    ...lines,
  ].join('\n');
  const name = join(src, 'answers.check.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (file) => (file === name ? text : readFile(file));
  host.fileExists = (file) => file === name || fileExists(file);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (file, ...rest) =>
    file === name ? ts.createSourceFile(file, text, rest[0]) : getSourceFile(file, ...rest);
  const program = ts.createProgram([name], options, host);
  return program
    .getSemanticDiagnostics(program.getSourceFile(name))
    .map((found) => ts.flattenDiagnosticMessageText(found.messageText, '\n'));
}

test('what the server answers has the types that the dashboard reads', async () => {
  const get = (path: string) => burrow.call<unknown>('GET', path);
  const kinds = [
    'text',
    'number',
    'bool',
    'email',
    'url',
    'editor',
    'date',
    'json',
    'password',
    'geoPoint',
    'file',
  ];
  const users = await burrow.call<{ id: string }>('GET', '/api/collections/users');
  await burrow.call('POST', '/api/collections', {
    name: 'all',
    fields: [
      ...kinds.map((type) => ({ type, name: `${type}_field` })),
      { type: 'select', name: 'choice', values: ['a', 'b'] },
      { type: 'relation', name: 'owner', collectionId: users.id },
      { type: 'autodate', name: 'created', onCreate: true },
    ],
  });
  await burrow.call('POST', '/api/collections', {
    name: 'shown',
    type: 'view',
    viewQuery: 'SELECT id FROM "all"',
  });
  await burrow.call('POST', '/api/collections/all/records', { text_field: 'x' });
  await burrow.call('POST', '/api/backups', { name: 'one.zip' });

  const wrong = judge([
    ['Page<Collection>', await get('/api/collections?perPage=500')],
    ['Page<RecordData>', await get('/api/collections/all/records')],
    ['Page<LogLine>', await get('/api/logs')],
    ['Settings', await get('/api/settings')],
    ['AuthMethods', await get('/api/collections/users/auth-methods')],
    ['ProviderInfo[]', await get('/api/collections/meta/oauth2-providers')],
    ['RealtimeStats', await get('/api/realtime/stats')],
    ['Backup[]', await get('/api/backups')],
    ['Job[]', await get('/api/crons')],
    [
      'AuthAnswer',
      await burrow.call('POST', '/api/collections/_superusers/auth-with-password', {
        identity: EMAIL,
        password: PASSWORD,
      }),
    ],
  ]);

  expect(wrong).toEqual([]);
  // That a wrong answer is seen at all.
  expect(
    judge([['Page<LogLine>', { items: [{ id: 1 }], page: 1, perPage: 30, totalItems: 0, totalPages: 0 }]]),
  ).not.toEqual([]);
});
