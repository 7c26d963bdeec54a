import { formatHash } from '../kit/url';

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'en' | 'de';
export type Density = 'compact' | 'normal' | 'relaxed';

export interface ColumnPrefs {
  hidden?: string[];
  shown?: string[];
  widths?: Record<string, number>;
  /** Names of fields from left to right; those that are not in it follow. */
  order?: string[];
}
export interface SavedFilter {
  name: string;
  filter: string;
  sort: string;
}
export interface FilterPrefs {
  saved?: SavedFilter[];
  recent?: string[];
}
interface Stored {
  theme: Theme;
  /** Empty: as the browser asks for. */
  language: Language | '';
  density: Density;
  inspector: number;
  sidebar: number;
  lastCollection: string;
  /** Language of the examples of the API. */
  lang: string;
  /** Ids of collections that stand on top of the list. */
  pinned: string[];
  columns: Record<string, ColumnPrefs>;
  filters: Record<string, FilterPrefs>;
}

const key = 'burrow:prefs';
/** Filters that are remembered for each collection. */
const RECENT = 15;
const defaults: Stored = {
  theme: 'system',
  language: '',
  density: 'normal',
  inspector: 460,
  sidebar: 216,
  lastCollection: '',
  lang: 'js',
  pinned: [],
  columns: {},
  filters: {},
};

/** What this person likes, kept in this browser. */
class Prefs {
  #all = $state<Stored>({ ...defaults, ...read() });

  constructor() {
    this.#paint();
    globalThis.addEventListener?.('storage', (e) => {
      if (e.key !== key) return;
      this.#all = { ...defaults, ...read() };
      this.#paint();
    });
  }
  get theme() {
    return this.#all.theme;
  }
  get language(): Language {
    return this.#all.language || (globalThis.navigator?.language?.startsWith('de') ? 'de' : 'en');
  }
  get density() {
    return this.#all.density;
  }
  get inspector() {
    return this.#all.inspector;
  }
  get sidebar() {
    return this.#all.sidebar;
  }
  get pinned() {
    return this.#all.pinned;
  }
  get lang() {
    return this.#all.lang;
  }
  get lastCollection() {
    return this.#all.lastCollection;
  }
  get rowHeight() {
    return { compact: 28, normal: 32, relaxed: 40 }[this.#all.density];
  }
  columns(collectionId: string): ColumnPrefs {
    return this.#all.columns[collectionId] ?? {};
  }
  setColumns(collectionId: string, change: ColumnPrefs) {
    this.set({
      columns: { ...this.#all.columns, [collectionId]: { ...this.columns(collectionId), ...change } },
    });
  }
  filters(collectionId: string): FilterPrefs {
    return this.#all.filters[collectionId] ?? {};
  }
  setFilters(collectionId: string, change: FilterPrefs) {
    this.set({
      filters: { ...this.#all.filters, [collectionId]: { ...this.filters(collectionId), ...change } },
    });
  }
  /** Remembers that a filter was used. */
  used(collectionId: string, filter: string) {
    if (filter === '') return;
    const recent = [filter, ...(this.filters(collectionId).recent ?? []).filter((f) => f !== filter)];
    this.setFilters(collectionId, { recent: recent.slice(0, RECENT) });
  }
  set(change: Partial<Stored>) {
    Object.assign(this.#all, change);
    this.#paint();
    try {
      localStorage.setItem(key, JSON.stringify(this.#all));
    } catch {
      // Storage is full or forbidden: the choice then lasts until the page is closed.
    }
  }
  #paint() {
    if (typeof document === 'undefined') return;
    const root = document.documentElement;
    if (this.#all.theme === 'system') root.removeAttribute('data-theme');
    else root.setAttribute('data-theme', this.#all.theme);
    root.setAttribute('data-density', this.#all.density);
  }
}

function read(): Partial<Stored> {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Stored>;
  } catch {
    return {};
  }
}

export const prefs = new Prefs();

/** The address to send a colleague. */
export const absoluteLink = (path: string[], query: Record<string, string> = {}) =>
  location.href.split('#')[0] + formatHash(path, query);
