import * as api from '../api/collections';
import { messageOf } from '../api/errors';
import type { Collection } from '../api/types';

/** All collections. Other tabs are told when one of them changes. */
class Collections {
  all = $state.raw<Collection[]>([]);
  status = $state<'loading' | 'ready' | 'error'>('loading');
  error = $state('');
  #channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('burrow:collections');
  #byId = $derived(new Map(this.all.map((c) => [c.id, c])));

  constructor() {
    this.#channel?.addEventListener('message', () => void this.load());
  }
  async load() {
    try {
      this.all = await api.allCollections();
      this.status = 'ready';
    } catch (error) {
      this.error = messageOf(error);
      if (this.status !== 'ready') this.status = 'error';
    }
  }
  find(idOrName: string | undefined): Collection | undefined {
    if (idOrName === undefined) return undefined;
    return this.#byId.get(idOrName) ?? this.all.find((c) => c.name.toLowerCase() === idOrName.toLowerCase());
  }
  /** Takes in what the server answered and asks for the rest, since a save can change other collections too. */
  saved(collection: Collection) {
    this.all = [...this.all.filter((c) => c.id !== collection.id), collection].sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    this.#channel?.postMessage('changed');
    void this.load();
  }
  /** Many may have changed: here and in other tabs all are asked for again. */
  changed() {
    this.#channel?.postMessage('changed');
    void this.load();
  }
  removed(id: string) {
    this.all = this.all.filter((c) => c.id !== id);
    this.#channel?.postMessage('changed');
  }
}

export const collections = new Collections();
