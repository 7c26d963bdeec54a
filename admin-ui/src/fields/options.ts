// The options of every kind of field, as a table. `OptionsForm.svelte` draws it.
import type { Field, Kind } from '../api/types';

export type Control = 'int' | 'float' | 'pattern' | 'bool' | 'list' | 'date' | 'many' | 'target' | 'stamps';
export interface OptionSpec {
  key: keyof Field & string;
  control: Control;
  label: string;
  hint?: string;
  placeholder?: string;
  choices?: string[];
  /** Only shown when the field may hold several values. */
  multipleOnly?: boolean;
}

const mimeTypes = [
  'image/jpeg',
  'image/png',
  'image/svg+xml',
  'image/gif',
  'image/webp',
  'application/pdf',
  'application/zip',
  'application/json',
  'text/plain',
  'text/csv',
  'application/msword',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  'application/vnd.ms-excel',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  'video/mp4',
  'video/webm',
  'audio/mpeg',
];
const domains: OptionSpec[] = [
  { key: 'onlyDomains', control: 'list', label: 'Only these domains', placeholder: 'example.com' },
  { key: 'exceptDomains', control: 'list', label: 'Not these domains', placeholder: 'example.com' },
];
const many: OptionSpec = { key: 'maxSelect', control: 'many', label: 'Values' };

export const optionSpecs: Record<Kind, OptionSpec[]> = {
  text: [
    { key: 'min', control: 'int', label: 'Least characters', placeholder: 'no limit' },
    { key: 'max', control: 'int', label: 'Most characters', placeholder: '5000' },
    {
      key: 'pattern',
      control: 'pattern',
      label: 'Pattern',
      placeholder: '^[a-z]+$',
      hint: 'A regular expression.',
    },
    {
      key: 'autogeneratePattern',
      control: 'pattern',
      label: 'Generate when empty',
      placeholder: '[a-z0-9]{20}',
      hint: 'On creation, texts that match this are made up.',
    },
  ],
  number: [
    { key: 'min', control: 'float', label: 'Least', placeholder: 'no limit' },
    { key: 'max', control: 'float', label: 'Most', placeholder: 'no limit' },
    { key: 'onlyInt', control: 'bool', label: 'Whole numbers only' },
  ],
  bool: [],
  email: domains,
  url: domains,
  editor: [
    { key: 'maxSize', control: 'int', label: 'Most bytes', placeholder: '5242880', hint: '0 means 5 MB.' },
    { key: 'convertURLs', control: 'bool', label: 'Strip the own domain from links' },
  ],
  date: [
    { key: 'min', control: 'date', label: 'Not before' },
    { key: 'max', control: 'date', label: 'Not after' },
  ],
  autodate: [{ key: 'onCreate', control: 'stamps', label: 'Set on' }],
  select: [
    { key: 'values', control: 'list', label: 'Choices', placeholder: 'Type a choice, then Enter' },
    many,
  ],
  file: [
    many,
    {
      key: 'maxSize',
      control: 'int',
      label: 'Most bytes per file',
      placeholder: '5242880',
      hint: '0 means 5 MB.',
    },
    {
      key: 'mimeTypes',
      control: 'list',
      label: 'Only these types',
      placeholder: 'Any type',
      choices: mimeTypes,
    },
    {
      key: 'thumbs',
      control: 'list',
      label: 'Thumbnail sizes',
      placeholder: '200x200',
      hint: 'WxH crops, WxHf fits inside, WxHt and WxHb keep top or bottom, Wx0 and 0xH keep the shape.',
    },
    {
      key: 'protected',
      control: 'bool',
      label: 'Protected',
      hint: 'Only those who pass the view rule get the file. Otherwise anyone with its address does.',
    },
  ],
  relation: [
    { key: 'collectionId', control: 'target', label: 'Points to' },
    many,
    { key: 'minSelect', control: 'int', label: 'At least', placeholder: '0', multipleOnly: true },
    {
      key: 'cascadeDelete',
      control: 'bool',
      label: 'Delete with the target',
      hint: 'When the last related record is deleted, this record is deleted too.',
    },
  ],
  json: [
    { key: 'maxSize', control: 'int', label: 'Most bytes', placeholder: '1048576', hint: '0 means 1 MB.' },
  ],
  password: [
    { key: 'min', control: 'int', label: 'Least characters', placeholder: '0' },
    { key: 'max', control: 'int', label: 'Most characters', placeholder: '71' },
    { key: 'pattern', control: 'pattern', label: 'Pattern', placeholder: '.*[0-9].*' },
    {
      key: 'cost',
      control: 'int',
      label: 'Hash cost',
      placeholder: '10',
      hint: '4 to 31. Each step doubles the work.',
    },
  ],
  geoPoint: [],
};
