// What the settings room asks for, as data: one line for each input.
import { text } from '../../kit/strings';
import { settingsRoom as t } from '../../kit/strings-settings';

export interface Input {
  path: string;
  label: string;
  hint?: string;
  kind: 'text' | 'number' | 'switch' | 'select' | 'list' | 'secret' | 'color';
  options?: [string, string][];
  /** Shown only while the switch at this path is on. */
  when?: string;
}
export interface Section {
  id: string;
  title: string;
  inputs: Input[];
}
const s = text.settings;
const line = (path: string, label: string, hint = '', more: Partial<Input> = {}): Input => ({
  path,
  label,
  hint,
  kind: 'text',
  ...more,
});
const number = (path: string, label: string, hint = '', more: Partial<Input> = {}) =>
  line(path, label, hint, { kind: 'number', ...more });
const flag = (path: string, label: string, hint = '', more: Partial<Input> = {}) =>
  line(path, label, hint, { kind: 'switch', ...more });
const list = (path: string, label: string, hint = '', more: Partial<Input> = {}) =>
  line(path, label, hint, { kind: 'list', ...more });

const bucket = (path: string): Input[] => {
  const more = { when: `${path}.enabled` };
  return [
    line(`${path}.endpoint`, t.storage.endpoint, '', more),
    line(`${path}.bucket`, t.storage.bucket, '', more),
    line(`${path}.region`, t.storage.region, '', more),
    line(`${path}.accessKey`, t.storage.accessKey, '', more),
    line(`${path}.secret`, t.storage.secret, t.mail.passwordHint, { ...more, kind: 'secret' }),
    flag(`${path}.forcePathStyle`, t.storage.pathStyle, '', more),
  ];
};
const smtp = { when: 'smtp.enabled' };

/** Read when the room is opened, so that the sentences are of the chosen language. */
export const sections = (): Section[] => [
  {
    id: 'application',
    title: t.application.title,
    inputs: [
      line('meta.appName', t.application.name),
      line('meta.appURL', t.application.url, t.application.urlHint),
      line('meta.accentColor', t.application.accent, t.application.accentHint, { kind: 'color' }),
      flag('meta.hideControls', t.application.hide, t.application.hideHint),
    ],
  },
  {
    id: 'mail',
    title: t.mail.title,
    inputs: [
      line('meta.senderName', t.mail.senderName),
      line('meta.senderAddress', t.mail.senderAddress),
      flag('smtp.enabled', t.mail.on, t.mail.onHint),
      line('smtp.host', t.mail.host, '', smtp),
      number('smtp.port', t.mail.port, '', smtp),
      line('smtp.username', t.mail.username, '', smtp),
      line('smtp.password', t.mail.password, t.mail.passwordHint, { ...smtp, kind: 'secret' }),
      line('smtp.tls', t.mail.tls, '', {
        ...smtp,
        kind: 'select',
        options: Object.entries(t.mail.tlsOptions),
      }),
      line('smtp.authMethod', t.mail.method, '', {
        ...smtp,
        kind: 'select',
        options: [
          ['', 'PLAIN'],
          ['LOGIN', 'LOGIN'],
        ],
      }),
      line('smtp.localName', t.mail.localName, t.mail.localNameHint, smtp),
    ],
  },
  {
    id: 'storage',
    title: t.storage.title,
    inputs: [flag('s3.enabled', t.storage.on, t.storage.onHint), ...bucket('s3')],
  },
  {
    id: 'backups',
    title: t.storage.backupsTitle,
    inputs: [flag('backups.s3.enabled', t.storage.backupsOn), ...bucket('backups.s3')],
  },
  {
    id: 'proxy',
    title: t.proxy.title,
    inputs: [
      list('trustedProxy.headers', t.proxy.headers, t.proxy.headersHint),
      flag('trustedProxy.useLeftmostIP', t.proxy.leftmost, t.proxy.leftmostHint),
      list('trustedProxy.addresses', t.proxy.believed, t.proxy.believedHint),
      list('superuserIPs', t.proxy.superuserIPs, t.proxy.superuserIPsHint),
    ],
  },
  {
    id: 'batch',
    title: s.batch,
    inputs: [
      flag('batch.enabled', s.batchOn),
      number('batch.maxRequests', s.batchMax, '', { when: 'batch.enabled' }),
      number('batch.timeout', s.batchTimeout, '', { when: 'batch.enabled' }),
      number('batch.maxBodySize', s.batchSize, s.batchSizeHint, { when: 'batch.enabled' }),
    ],
  },
  {
    id: 'rates',
    title: s.rates,
    inputs: [
      flag('rateLimits.enabled', s.ratesOn),
      list('rateLimits.excludedIPs', t.rates.excluded, t.rates.excludedHint),
    ],
  },
  {
    id: 'realtime',
    title: t.realtime.title,
    inputs: [
      flag('realtime.catchUp', t.realtime.catchUp),
      number('realtime.maxConnections', t.realtime.connections),
      number('realtime.maxConnectionsPerAddress', t.realtime.perAddress, t.realtime.perAddressHint),
      number('realtime.maxSubscriptions', t.realtime.subscriptions),
      number('realtime.maxMessageBytes', t.realtime.messageBytes),
      number('realtime.maxBacklog', t.realtime.backlog),
    ],
  },
  {
    id: 'passkeys',
    title: t.passkeys.title,
    inputs: [
      list('passkeys.collections', t.passkeys.collections),
      line('passkeys.rpId', t.passkeys.rpId, t.passkeys.rpIdHint),
      list('passkeys.origins', t.passkeys.origins, t.passkeys.originsHint),
    ],
  },
  {
    id: 'accounts',
    title: t.accounts.title,
    inputs: [list('accounts.refuseCommonPasswords', t.accounts.common, t.accounts.commonHint)],
  },
  {
    id: 'maps',
    title: t.maps.title,
    inputs: [line('maps.tiles', t.maps.tiles, t.maps.tilesHint)],
  },
  {
    id: 'logs',
    title: s.logs,
    inputs: [
      number('logs.maxDays', s.logDays, s.logDaysHint),
      line('logs.minLevel', s.logLevel, '', {
        kind: 'select',
        options: ['-4', '0', '4', '8'].map((level) => [level, s.levels[level]!]),
      }),
      number('logs.maxDataSize', t.logs.size, t.logs.sizeHint),
      number('logs.maxPerSecond', t.logs.perSecond, t.logs.perSecondHint),
      number('logs.maxSize', t.logs.file, t.logs.fileHint),
      flag('logs.logIP', s.logIP),
      flag('logs.logAuthId', s.logAuth),
    ],
  },
];

/** The variable that decides the setting at `path`. */
export const variable = (path: string) =>
  `BURROW_${path
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`;

type Tree = Record<string, unknown>;
export function valueAt(tree: object, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (at as Tree | undefined)?.[key], tree);
}
export function setAt(tree: object, path: string, value: unknown) {
  const keys = path.split('.');
  const last = keys.pop()!;
  const owner = keys.reduce<Tree>((at, key) => at[key] as Tree, tree as Tree);
  owner[last] = value;
}
