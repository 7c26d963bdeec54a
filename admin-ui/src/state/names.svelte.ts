import { listRecords } from '../api/records';
import { displayFields, displayName } from '../api/schema';
import type { RecordData } from '../api/types';
import { quote } from '../kit/expr';
import { SvelteMap } from 'svelte/reactivity';
import { collections } from './collections.svelte';

const BATCH = 80;

/** What related records are called. Asked for in batches, once each. */
class Names {
  #known = new SvelteMap<string, string>();
  #wanted = new Map<string, Set<string>>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The name, or undefined while it is being fetched. Safe to call while drawing. */
  of(collectionId: string, id: string): string | undefined {
    const name = this.#known.get(`${collectionId}/${id}`);
    if (name === undefined) this.#want(collectionId, id);
    return name;
  }
  learn(record: RecordData) {
    const key = `${record.collectionId}/${record.id}`;
    const name = displayName(record, collections.find(record.collectionId));
    if (this.#known.get(key) !== name) this.#known.set(key, name);
  }
  #want(collectionId: string, id: string) {
    const ids = this.#wanted.get(collectionId) ?? new Set();
    this.#wanted.set(collectionId, ids.add(id));
    this.#timer ??= setTimeout(() => void this.#fetch(), 20);
  }
  async #fetch() {
    this.#timer = undefined;
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (const [collectionId, set] of wanted) {
      const collection = collections.find(collectionId);
      const ids = [...set].filter((id) => !this.#known.has(`${collectionId}/${id}`));
      if (!collection) continue;
      const fields = ['id', 'collectionId', ...displayFields(collection).map((f) => f.name)].join(',');
      for (let at = 0; at < ids.length; at += BATCH) {
        const part = ids.slice(at, at + BATCH);
        try {
          const filter = part.map((id) => `id=${quote(id)}`).join('||');
          const page = await listRecords(collectionId, { filter, fields, perPage: BATCH, skipTotal: true });
          for (const record of page.items) this.learn(record);
        } catch {
          // The id itself is shown instead.
        }
        for (const id of part)
          if (!this.#known.has(`${collectionId}/${id}`)) this.#known.set(`${collectionId}/${id}`, id);
      }
    }
  }
}

export const names = new Names();
