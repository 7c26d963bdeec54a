// Every endpoint of a collection with its real fields, and how it is called from each language.

export interface FieldLike {
  name: string;
  type: string;
  required?: boolean;
  system: boolean;
  hidden: boolean;
  primaryKey?: boolean;
  values?: string[];
  maxSelect?: number;
  onCreate?: boolean;
}
export interface CollectionLike {
  name: string;
  type: 'base' | 'auth' | 'view';
  fields: FieldLike[];
  passwordAuth?: { enabled: boolean; identityFields: string[] };
  otp?: { enabled: boolean };
  oauth2?: { enabled: boolean };
}
export interface Param {
  name: string;
  type: string;
  required: boolean;
  where: 'path' | 'query' | 'body';
  example: unknown;
}
export type EndpointId =
  | 'list'
  | 'view'
  | 'create'
  | 'update'
  | 'delete'
  | 'realtime'
  | 'batch'
  | 'auth-methods'
  | 'auth-with-password'
  | 'request-otp'
  | 'auth-with-otp'
  | 'auth-with-oauth2'
  | 'auth-refresh'
  | 'request-verification'
  | 'confirm-verification'
  | 'request-password-reset'
  | 'confirm-password-reset'
  | 'request-email-change'
  | 'confirm-email-change'
  | 'impersonate';
export interface Endpoint {
  id: EndpointId;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'WS';
  /** With `:id` and the like for what the caller fills in. */
  path: string;
  rule?: 'listRule' | 'viewRule' | 'createRule' | 'updateRule' | 'deleteRule' | 'authRule';
  superuser?: boolean;
  /** A method of sign-in that is switched off. */
  off?: boolean;
  params: Param[];
  status: number;
  answer: unknown;
}
export type Lang = 'js' | 'dart' | 'python' | 'curl' | 'ws';
export const LANGS: Lang[] = ['js', 'dart', 'python', 'curl', 'ws'];

/** A value that such a field takes. */
export function sampleOf(field: FieldLike): unknown {
  const many = (field.maxSelect ?? 1) > 1;
  switch (field.type) {
    case 'number':
      return 123;
    case 'bool':
      return true;
    case 'email':
      return 'ann@example.com';
    case 'url':
      return 'https://example.com';
    case 'editor':
      return '<p>Hello</p>';
    case 'date':
    case 'autodate':
      return '2026-01-02 03:04:05.678Z';
    case 'select':
      return many ? (field.values ?? []).slice(0, 2) : (field.values?.[0] ?? '');
    case 'relation':
      return many ? ['RELATED_ID'] : 'RELATED_ID';
    case 'file':
      return many ? ['photo.png'] : 'photo.png';
    case 'json':
      return { any: ['value'] };
    case 'geoPoint':
      return { lon: 13.4, lat: 52.5 };
    case 'password':
      return 'a-long-password';
    default:
      return field.primaryKey ? 'RECORD_ID' : 'text';
  }
}

function recordOf(c: CollectionLike): Record<string, unknown> {
  const shown = c.fields.filter((f) => !f.hidden && f.type !== 'password');
  return {
    collectionName: c.name,
    ...Object.fromEntries(shown.map((f) => [f.name, sampleOf(f)])),
  };
}

function body(c: CollectionLike, create: boolean): Param[] {
  const inputs = c.fields.filter(
    (f) => f.type !== 'autodate' && !f.primaryKey && f.name !== 'tokenKey' && f.name !== 'verified',
  );
  const out: Param[] = inputs.map((f) => ({
    name: f.name,
    type: (f.maxSelect ?? 1) > 1 ? `${f.type}[]` : f.type,
    required: create && (f.required === true || f.type === 'password'),
    where: 'body',
    example: sampleOf(f),
  }));
  if (c.type === 'auth') {
    const at = out.findIndex((p) => p.name === 'password');
    const twin: Param = {
      name: 'passwordConfirm',
      type: 'text',
      required: create,
      where: 'body',
      example: 'a-long-password',
    };
    if (at >= 0) out.splice(at + 1, 0, twin);
    if (!create)
      out.splice(at, 0, {
        name: 'oldPassword',
        type: 'text',
        required: false,
        where: 'body',
        example: 'the-old-password',
      });
  }
  return out;
}

const q = (name: string, type: string, example: unknown): Param => ({
  name,
  type,
  required: false,
  where: 'query',
  example,
});
const b = (name: string, example: unknown, required = true): Param => ({
  name,
  type: 'text',
  required,
  where: 'body',
  example,
});
const ID: Param = { name: 'id', type: 'text', required: true, where: 'path', example: 'RECORD_ID' };

export function endpointsOf(c: CollectionLike): Endpoint[] {
  const base = `/api/collections/${c.name}`;
  const record = recordOf(c);
  const shape = [q('expand', 'text', ''), q('fields', 'text', '')];
  const out: Endpoint[] = [
    {
      id: 'list',
      method: 'GET',
      path: `${base}/records`,
      rule: 'listRule',
      params: [
        q('page', 'number', 1),
        q('perPage', 'number', 30),
        q('sort', 'text', c.fields.some((f) => f.name === 'created') ? '-created' : ''),
        q('filter', 'text', ''),
        ...shape,
        q('skipTotal', 'bool', ''),
      ],
      status: 200,
      answer: { page: 1, perPage: 30, totalPages: 1, totalItems: 1, items: [record] },
    },
    {
      id: 'view',
      method: 'GET',
      path: `${base}/records/:id`,
      rule: 'viewRule',
      params: [ID, ...shape],
      status: 200,
      answer: record,
    },
  ];
  if (c.type !== 'view')
    out.push(
      {
        id: 'create',
        method: 'POST',
        path: `${base}/records`,
        rule: 'createRule',
        params: [...body(c, true), ...shape],
        status: 200,
        answer: record,
      },
      {
        id: 'update',
        method: 'PATCH',
        path: `${base}/records/:id`,
        rule: 'updateRule',
        params: [ID, ...body(c, false), ...shape],
        status: 200,
        answer: record,
      },
      {
        id: 'delete',
        method: 'DELETE',
        path: `${base}/records/:id`,
        rule: 'deleteRule',
        params: [ID],
        status: 204,
        answer: null,
      },
      {
        id: 'realtime',
        method: 'WS',
        path: '/api/realtime',
        rule: 'listRule',
        params: [],
        status: 101,
        answer: { type: 'event', sub: 's1', action: 'create', record, cursor: '…' },
      },
      {
        id: 'batch',
        method: 'POST',
        path: '/api/batch',
        params: [
          {
            name: 'requests',
            type: 'json',
            required: true,
            where: 'body',
            example: [{ method: 'POST', url: `${base}/records`, body: valuesOf(body(c, true)) }],
          },
        ],
        status: 200,
        answer: [{ status: 200, body: record }],
      },
    );
  if (c.type === 'auth') out.push(...authEndpoints(c, base, record));
  return out;
}

function authEndpoints(c: CollectionLike, base: string, record: Record<string, unknown>): Endpoint[] {
  const signedIn = { token: 'JWT', record };
  const make = (
    id: EndpointId,
    params: Param[],
    status: number,
    answer: unknown,
    more: Partial<Endpoint> = {},
  ): Endpoint => ({
    id,
    method: 'POST',
    path: `${base}/${id}`,
    params,
    status,
    answer,
    ...more,
  });
  return [
    make(
      'auth-methods',
      [],
      200,
      {
        password: { enabled: true, identityFields: ['email'] },
        otp: { enabled: false },
        mfa: { enabled: false },
        oauth2: { enabled: false, providers: [] },
      },
      { method: 'GET' },
    ),
    make(
      'auth-with-password',
      [b('identity', 'ann@example.com'), b('password', 'a-long-password')],
      200,
      signedIn,
      { rule: 'authRule', off: c.passwordAuth?.enabled === false },
    ),
    make(
      'request-otp',
      [b('email', 'ann@example.com')],
      200,
      { otpId: 'OTP_ID' },
      { off: c.otp?.enabled === false },
    ),
    make('auth-with-otp', [b('otpId', 'OTP_ID'), b('password', '123456')], 200, signedIn, {
      rule: 'authRule',
      off: c.otp?.enabled === false,
    }),
    make(
      'auth-with-oauth2',
      [
        b('provider', 'google'),
        b('code', 'CODE'),
        b('codeVerifier', 'VERIFIER'),
        b('redirectURL', 'https://example.com/redirect'),
      ],
      200,
      { ...signedIn, meta: { id: '…', isNew: false } },
      { rule: 'authRule', off: c.oauth2?.enabled === false },
    ),
    make('auth-refresh', [], 200, signedIn),
    make('request-verification', [b('email', 'ann@example.com')], 204, null),
    make('confirm-verification', [b('token', 'TOKEN_OF_THE_MAIL')], 204, null),
    make('request-password-reset', [b('email', 'ann@example.com')], 204, null),
    make(
      'confirm-password-reset',
      [
        b('token', 'TOKEN_OF_THE_MAIL'),
        b('password', 'a-new-password'),
        b('passwordConfirm', 'a-new-password'),
      ],
      204,
      null,
    ),
    make('request-email-change', [b('newEmail', 'new@example.com')], 204, null),
    make(
      'confirm-email-change',
      [b('token', 'TOKEN_OF_THE_MAIL'), b('password', 'a-long-password')],
      204,
      null,
    ),
    make(
      'impersonate',
      [ID, { name: 'duration', type: 'number', required: false, where: 'body', example: 3600 }],
      200,
      signedIn,
      { path: `${base}/impersonate/:id`, superuser: true },
    ),
  ];
}

/** What is sent by default: body parameters with their examples, files left out. */
export const valuesOf = (params: Param[]): Record<string, unknown> =>
  Object.fromEntries(
    params
      .filter((p) => p.where === 'body' && !p.type.startsWith('file') && p.name !== 'oldPassword')
      .map((p) => [p.name, p.example]),
  );

const indent = (text: string, by: number) => text.replace(/\n/g, `\n${' '.repeat(by)}`);
const json = (value: unknown) => JSON.stringify(value, null, 2);
/** JSON as a Python literal. */
const python = (value: unknown) =>
  json(value)
    .replace(/(?<=[:[,]\s*)true\b/g, 'True')
    .replace(/(?<=[:[,]\s*)false\b/g, 'False')
    .replace(/(?<=[:[,]\s*)null\b/g, 'None');
const jsKey = (text: string) => text.replace(/"([A-Za-z_]\w*)":/g, '$1:').replace(/"/g, "'");
const isWritten = (e: Endpoint) => e.params.some((p) => p.where === 'body');

/** How `e` is called, as code that runs once its capitals are filled in. */
export function sample(e: Endpoint, c: CollectionLike, lang: Lang, origin: string): string {
  const data = valuesOf(e.params);
  const topic = `${c.name}/*`;
  if (lang === 'curl') return curl(e, data, origin, topic);
  if (lang === 'python') return inPython(e, data, origin, topic);
  if (lang === 'ws') return overSocket(e, c, origin);
  const js = lang === 'js';
  const head = js
    ? `import PocketBase from 'pocketbase';\n\nconst pb = new PocketBase('${origin}');\n\n`
    : `import 'package:pocketbase/pocketbase.dart';\n\nfinal pb = PocketBase('${origin}');\n\n`;
  const of = `pb.collection('${c.name}')`;
  const literal = js ? jsKey(json(data)) : `<String, dynamic>${json(data)}`;
  const filter = js
    ? `{\n  sort: '-@rowid',\n  // filter: pb.filter('id = {:id}', { id: 'RECORD_ID' }),\n}`
    : `sort: '-@rowid'`;
  const args = Object.values(data)
    .map((v) => `'${String(v)}'`)
    .join(', ');
  const lines: Record<EndpointId, string> = {
    list: js
      ? `const page = await ${of}.getList(1, 30, ${filter});`
      : `final page = await ${of}.getList(page: 1, perPage: 30, ${filter});`,
    view: js
      ? `const record = await ${of}.getOne('RECORD_ID');`
      : `final record = await ${of}.getOne('RECORD_ID');`,
    create: js
      ? `const record = await ${of}.create(${literal});`
      : `final record = await ${of}.create(body: ${literal});`,
    update: js
      ? `const record = await ${of}.update('RECORD_ID', ${literal});`
      : `final record = await ${of}.update('RECORD_ID', body: ${literal});`,
    delete: `await ${of}.delete('RECORD_ID');`,
    realtime: js
      ? `await ${of}.subscribe('*', (e) => {\n  console.log(e.action, e.record);\n});`
      : `await ${of}.subscribe('*', (e) {\n  print('\${e.action} \${e.record}');\n});`,
    batch: js
      ? `const batch = pb.createBatch();\nbatch.collection('${c.name}').create(${jsKey(json(valuesOf(body(c, true))))});\nconst answers = await batch.send();`
      : `final batch = pb.createBatch();\nbatch.collection('${c.name}').create(body: <String, dynamic>${json(valuesOf(body(c, true)))});\nfinal answers = await batch.send();`,
    'auth-methods': `${js ? 'const' : 'final'} methods = await ${of}.listAuthMethods();`,
    'auth-with-password': `${js ? 'const' : 'final'} auth = await ${of}.authWithPassword(${args});`,
    'request-otp': `${js ? 'const' : 'final'} otp = await ${of}.requestOTP(${args});`,
    'auth-with-otp': `${js ? 'const' : 'final'} auth = await ${of}.authWithOTP(${args});`,
    'auth-with-oauth2': js
      ? `const auth = await ${of}.authWithOAuth2({ provider: 'google' });`
      : `final auth = await ${of}.authWithOAuth2('google', (url) async {\n  await launchUrl(url);\n});`,
    'auth-refresh': `await ${of}.authRefresh();`,
    'request-verification': `await ${of}.requestVerification(${args});`,
    'confirm-verification': `await ${of}.confirmVerification(${args});`,
    'request-password-reset': `await ${of}.requestPasswordReset(${args});`,
    'confirm-password-reset': `await ${of}.confirmPasswordReset(${args});`,
    'request-email-change': `await ${of}.requestEmailChange(${args});`,
    'confirm-email-change': `await ${of}.confirmEmailChange(${args});`,
    impersonate: js
      ? `const client = await ${of}.impersonate('RECORD_ID', 3600);`
      : `final client = await ${of}.impersonate('RECORD_ID', 3600);`,
  };
  return head + lines[e.id];
}

function curl(e: Endpoint, data: Record<string, unknown>, origin: string, topic: string): string {
  const url = origin + e.path.replace(':id', 'RECORD_ID');
  if (e.method === 'WS')
    return `# An event stream; its first event names the client.\ncurl -N ${url}\n\n# In another shell: what to listen to.\ncurl ${url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{"clientId": "CLIENT_ID", "subscriptions": ["${topic}"]}'`;
  const method = e.method === 'GET' ? '' : `-X ${e.method} `;
  const token = e.superuser ? 'SUPERUSER_TOKEN' : 'TOKEN';
  const sent = isWritten(e)
    ? ` \\\n  -H 'Content-Type: application/json' \\\n  -d '${json(data).replaceAll("'", "'\\''")}'`
    : '';
  return `curl ${method}'${url}' \\\n  -H 'Authorization: ${token}'${sent}`;
}

function inPython(e: Endpoint, data: Record<string, unknown>, origin: string, topic: string): string {
  const url = origin + e.path.replace(':id', 'RECORD_ID');
  if (e.method === 'WS')
    return `import json\nimport websockets.sync.client as ws\n\nwith ws.connect("${url.replace(/^http/, 'ws')}", subprotocols=["burrow.v1"]) as socket:\n    socket.send(json.dumps({"type": "subscribe", "id": 1, "topic": "${topic}"}))\n    for frame in socket:\n        print(json.loads(frame))`;
  const sent = isWritten(e) ? `\n    json=${indent(python(data), 4)},` : '';
  return `import requests\n\nanswer = requests.${e.method.toLowerCase()}(\n    "${url}",\n    headers={"Authorization": "TOKEN"},${sent}\n)\nanswer.raise_for_status()\n${e.status === 204 ? 'print(answer.status_code)' : 'print(answer.json())'}`;
}

function overSocket(e: Endpoint, c: CollectionLike, origin: string): string {
  const frame =
    e.id === 'list'
      ? `{ type: 'live', id: 1, collection: '${c.name}', sort: '-@rowid', limit: 100 }`
      : e.id === 'view'
        ? `{ type: 'subscribe', id: 1, topic: '${c.name}/RECORD_ID' }`
        : `{ type: 'subscribe', id: 1, topic: '${c.name}/*' }`;
  return `const socket = new WebSocket('${origin.replace(/^http/, 'ws')}/api/realtime', 'burrow.v1');\n\nsocket.onopen = () => {\n  socket.send(JSON.stringify({ type: 'auth', id: 0, token: 'TOKEN' }));\n  socket.send(JSON.stringify(${frame}));\n};\nsocket.onmessage = (event) => console.log(JSON.parse(event.data));`;
}

/** The languages that make sense for an endpoint: only reading goes over the socket. */
export const langsOf = (e: Endpoint): Lang[] =>
  LANGS.filter((lang) => lang !== 'ws' || ['list', 'view', 'realtime'].includes(e.id));
