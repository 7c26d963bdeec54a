// What each kind of field is called and looks like: the same in heads, forms, completion lists.
import AtSign from '@lucide/svelte/icons/at-sign';
import Braces from '@lucide/svelte/icons/braces';
import Calendar from '@lucide/svelte/icons/calendar';
import CalendarClock from '@lucide/svelte/icons/calendar-clock';
import FileIcon from '@lucide/svelte/icons/paperclip';
import Hash from '@lucide/svelte/icons/hash';
import KeyRound from '@lucide/svelte/icons/key-round';
import LinkIcon from '@lucide/svelte/icons/link';
import List from '@lucide/svelte/icons/list-checks';
import MapPin from '@lucide/svelte/icons/map-pin';
import Pilcrow from '@lucide/svelte/icons/pilcrow';
import Spline from '@lucide/svelte/icons/spline';
import ToggleLeft from '@lucide/svelte/icons/toggle-left';
import Type from '@lucide/svelte/icons/type';
import type { Icon } from '../ui/icon';
import type { Kind } from '../api/types';

export interface KindInfo {
  label: string;
  text: string;
  icon: Icon;
  color: string;
  /** Width of its column to begin with. */
  width: number;
}

export const kinds: Record<Kind, KindInfo> = {
  text: { label: 'Text', text: 'Words of any length', icon: Type, color: 'var(--kind-text)', width: 200 },
  number: { label: 'Number', text: 'Whole or decimal', icon: Hash, color: 'var(--kind-number)', width: 110 },
  bool: { label: 'Bool', text: 'Yes or no', icon: ToggleLeft, color: 'var(--kind-bool)', width: 100 },
  email: { label: 'Email', text: 'A mail address', icon: AtSign, color: 'var(--kind-email)', width: 200 },
  url: { label: 'URL', text: 'A web address', icon: LinkIcon, color: 'var(--kind-url)', width: 200 },
  editor: {
    label: 'Rich text',
    text: 'Formatted text as HTML',
    icon: Pilcrow,
    color: 'var(--kind-editor)',
    width: 240,
  },
  date: { label: 'Date', text: 'A moment in time', icon: Calendar, color: 'var(--kind-date)', width: 160 },
  autodate: {
    label: 'Autodate',
    text: 'When it was created or changed',
    icon: CalendarClock,
    color: 'var(--kind-autodate)',
    width: 160,
  },
  select: {
    label: 'Select',
    text: 'One or more of a few values',
    icon: List,
    color: 'var(--kind-select)',
    width: 160,
  },
  file: {
    label: 'File',
    text: 'Images and documents',
    icon: FileIcon,
    color: 'var(--kind-file)',
    width: 150,
  },
  relation: {
    label: 'Relation',
    text: 'Links to other records',
    icon: Spline,
    color: 'var(--kind-relation)',
    width: 190,
  },
  json: { label: 'JSON', text: 'Anything structured', icon: Braces, color: 'var(--kind-json)', width: 200 },
  password: {
    label: 'Password',
    text: 'Stored as a hash only',
    icon: KeyRound,
    color: 'var(--kind-password)',
    width: 110,
  },
  geoPoint: {
    label: 'Geo point',
    text: 'Longitude and latitude',
    icon: MapPin,
    color: 'var(--kind-geopoint)',
    width: 160,
  },
};
