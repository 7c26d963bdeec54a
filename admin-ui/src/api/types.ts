// The shapes on the wire that the dashboard reads.

export const KINDS = [
  'text',
  'number',
  'bool',
  'email',
  'url',
  'editor',
  'date',
  'autodate',
  'select',
  'file',
  'relation',
  'json',
  'password',
  'geoPoint',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Field {
  id: string;
  name: string;
  type: Kind;
  system: boolean;
  hidden: boolean;
  presentable: boolean;
  required?: boolean;
  help?: string;
  primaryKey?: boolean;
  min?: number | string | null;
  max?: number | string | null;
  pattern?: string;
  autogeneratePattern?: string;
  onlyInt?: boolean;
  onlyDomains?: string[];
  exceptDomains?: string[];
  maxSize?: number;
  convertURLs?: boolean;
  onCreate?: boolean;
  onUpdate?: boolean;
  values?: string[];
  maxSelect?: number;
  minSelect?: number;
  collectionId?: string;
  cascadeDelete?: boolean;
  mimeTypes?: string[];
  thumbs?: string[];
  protected?: boolean;
  cost?: number;
}

export type CollectionType = 'base' | 'auth' | 'view';
export type Rule = string | null;
export const RULES = ['listRule', 'viewRule', 'createRule', 'updateRule', 'deleteRule'] as const;
export type RuleName = (typeof RULES)[number] | 'authRule' | 'manageRule';

export interface TokenConfig {
  duration: number;
}
export interface MailTemplate {
  subject: string;
  body: string;
}

export interface OAuth2Provider {
  name: string;
  clientId: string;
  /** Never sent back. Left out of a change, the stored one stays. */
  clientSecret?: string;
  displayName?: string;
  authURL?: string;
  tokenURL?: string;
  userInfoURL?: string;
}

export interface Collection {
  id: string;
  name: string;
  type: CollectionType;
  system: boolean;
  listRule: Rule;
  viewRule: Rule;
  createRule: Rule;
  updateRule: Rule;
  deleteRule: Rule;
  fields: Field[];
  indexes: string[];
  created?: string;
  updated?: string;
  // auth
  authRule?: Rule;
  manageRule?: Rule;
  passwordAuth?: { enabled: boolean; identityFields: string[] };
  mfa?: { enabled: boolean; duration: number; rule: string };
  oauth2?: {
    enabled: boolean;
    providers: OAuth2Provider[];
    mappedFields: { id: string; name: string; username: string; avatarURL: string };
  };
  verificationTemplate?: MailTemplate;
  resetPasswordTemplate?: MailTemplate;
  confirmEmailChangeTemplate?: MailTemplate;
  otp?: { enabled: boolean; duration: number; length: number; emailTemplate: MailTemplate };
  authAlert?: { enabled: boolean; emailTemplate: MailTemplate };
  authToken?: TokenConfig;
  passwordResetToken?: TokenConfig;
  emailChangeToken?: TokenConfig;
  verificationToken?: TokenConfig;
  fileToken?: TokenConfig;
  // view
  viewQuery?: string;
}

export interface RecordData {
  id: string;
  collectionId: string;
  collectionName: string;
  expand?: Record<string, RecordData | RecordData[]>;
  [field: string]: unknown;
}

export interface Page<T> {
  items: T[];
  page: number;
  perPage: number;
  totalItems: number;
  totalPages: number;
  /** Where the next page begins, if the server pages by cursor; null behind the last one. */
  nextCursor?: string | null;
  /** The same for the page before; null at the beginning. */
  prevCursor?: string | null;
}

export interface AuthAnswer {
  token: string;
  record: RecordData;
}

export interface AuthMethods {
  password: { enabled: boolean; identityFields: string[] };
  otp: { enabled: boolean; duration: number };
  mfa: { enabled: boolean; duration: number };
  passkey?: { enabled: boolean };
}

export interface LogLine {
  id: string;
  created: string;
  level: number;
  message: string;
  data: Record<string, unknown>;
}

export interface Settings {
  meta: {
    appName: string;
    appURL: string;
    accentColor: string;
    senderName: string;
    senderAddress: string;
    hideControls: boolean;
  };
  superuserIPs: string[];
  smtp: {
    enabled: boolean;
    host: string;
    port: number;
    username: string;
    /** Never sent back; only there when it is to be changed. */
    password?: string;
    authMethod: string;
    tls: boolean;
    localName: string;
  };
  trustedProxy: { headers: string[]; useLeftmostIP: boolean; addresses: string[] };
  backups: { cron: string; cronMaxKeep: number; s3: S3Settings };
  s3: S3Settings;
  batch: { enabled: boolean; maxRequests: number; timeout: number; maxBodySize: number };
  rateLimits: { enabled: boolean; rules: RateRule[]; excludedIPs: string[] };
  logs: {
    maxDays: number;
    minLevel: number;
    logIP: boolean;
    logAuthId: boolean;
    maxDataSize: number;
    maxPerSecond: number;
    maxSize: number;
  };
  realtime: {
    channels: ChannelRule[];
    catchUp: boolean;
    maxConnections: number;
    maxConnectionsPerAddress: number;
    maxSubscriptions: number;
    maxMessageBytes: number;
    maxBacklog: number;
  };
  passkeys: { collections: string[]; rpId: string; origins: string[] };
  accounts: { refuseCommonPasswords: string[] };
  maps?: { tiles: string };
  /** Paths of what the environment of the server decides: it cannot be changed here. */
  fixed?: string[];
}
export interface S3Settings {
  enabled: boolean;
  bucket: string;
  region: string;
  endpoint: string;
  accessKey: string;
  /** Never sent back; only there when it is to be changed. */
  secret?: string;
  forcePathStyle: boolean;
}
export interface ChannelRule {
  pattern: string;
  joinRule: Rule;
  publishRule: Rule;
  presence: boolean;
}
export interface RateRule {
  label: string;
  audience: string;
  duration: number;
  maxRequests: number;
}

export interface RealtimeStats {
  connections: { webSocket: number; sse: number; signedIn: number; max: number; latest: OpenConnection[] };
  subscriptions: {
    total: number;
    groups: number;
    replaying: number;
    topics: { topic: string; subscriptions: number }[];
  };
  channels: { open: number; members: number; historyBytes: number };
  totals: { events: number; frames: number; messages: number; putBack: number; resets: number };
  perSecond: { events: number; frames: number };
  lag: { milliseconds: number; changes: number };
}
export interface OpenConnection {
  transport: 'webSocket' | 'sse';
  address: string;
  since: string;
  collectionName: string | null;
  recordId: string | null;
  subscriptions: number;
  waiting: number;
}
