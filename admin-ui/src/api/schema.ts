// Pure questions about collections and fields.
import type { Collection, Field, Kind, RecordData } from './types';

export const isMultiple = (field: Field) =>
  ['select', 'file', 'relation'].includes(field.type) && (field.maxSelect ?? 0) > 1;

/** The value of an untouched field in a new record. */
export function zero(field: Field): unknown {
  switch (field.type) {
    case 'bool':
      return false;
    case 'number':
      return 0;
    case 'json':
      return null;
    case 'geoPoint':
      return { lon: 0, lat: 0 };
    case 'select':
    case 'file':
    case 'relation':
      return isMultiple(field) ? [] : '';
    default:
      return '';
  }
}

export function isZero(value: unknown): boolean {
  if (value == null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === 'object') {
    const point = value as { lon?: unknown; lat?: unknown };
    return (
      Object.keys(value).length === 0 ||
      (point.lon === 0 && point.lat === 0 && Object.keys(value).length === 2)
    );
  }
  return false;
}

export const asList = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(String) : value == null || value === '' ? [] : [String(value)];

const common = { system: false, hidden: false, presentable: false, required: false, help: '' };
const options: Record<Kind, Partial<Field>> = {
  text: { min: 0, max: 0, pattern: '', autogeneratePattern: '', primaryKey: false },
  number: { min: null, max: null, onlyInt: false },
  bool: {},
  email: { onlyDomains: [], exceptDomains: [] },
  url: { onlyDomains: [], exceptDomains: [] },
  editor: { maxSize: 0, convertURLs: false },
  date: { min: '', max: '' },
  autodate: { onCreate: true, onUpdate: false },
  select: { values: [], maxSelect: 1 },
  file: { maxSelect: 1, maxSize: 0, mimeTypes: [], thumbs: [], protected: false },
  relation: { collectionId: '', cascadeDelete: false, minSelect: 0, maxSelect: 1 },
  json: { maxSize: 0 },
  password: { min: 8, max: 0, pattern: '', cost: 0 },
  geoPoint: {},
};

export function blankField(type: Kind, taken: string[]): Field {
  return {
    ...common,
    ...structuredClone(options[type]),
    id: '',
    name: freeName(type === 'geoPoint' ? 'location' : type, taken),
    type,
  };
}

export function freeName(wish: string, taken: string[]): string {
  const used = new Set(taken.map((name) => name.toLowerCase()));
  for (let i = 1; ; i++) {
    const name = i === 1 ? wish : `${wish}${i}`;
    if (!used.has(name.toLowerCase())) return name;
  }
}

const likely = [
  'title',
  'name',
  'slug',
  'email',
  'username',
  'nickname',
  'label',
  'subject',
  'key',
  'heading',
];

/** The fields that stand for a record in chips and titles. */
export function displayFields(collection: Collection): Field[] {
  const chosen = collection.fields.filter((f) => f.presentable && !f.hidden);
  if (chosen.length) return chosen;
  for (const name of likely) {
    const field = collection.fields.find((f) => f.name === name && !f.hidden);
    if (field) return [field];
  }
  return [];
}

export function displayName(record: RecordData, collection: Collection | undefined): string {
  const parts = (collection ? displayFields(collection) : [])
    .map((f) => record[f.name])
    .filter((value) => !isZero(value))
    .map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)));
  return parts.join(' · ').slice(0, 120) || record.id;
}

/** Collection names follow `^\w+$`. */
export const slug = (text: string) => text.trimStart().replace(/[^\w]+/g, '_');
