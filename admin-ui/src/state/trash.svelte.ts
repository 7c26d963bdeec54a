import { deleteRecord } from '../api/records';
import { ApiError, messageOf } from '../api/errors';
import type { RecordData } from '../api/types';
import { text } from '../kit/strings';
import { SvelteSet } from 'svelte/reactivity';
import { toasts } from './toast.svelte';

export const HOLD = 8000;
const AT_ONCE = 3;
interface Held {
  collectionId: string;
  ids: string[];
  timer: ReturnType<typeof setTimeout>;
  toast: number;
}

const keyOf = (collectionId: string, id: string) => `${collectionId}/${id}`;

/** Deleted records vanish at once, but the server hears of it only after a while, so that it can be taken back. */
class Trash {
  #hidden = new SvelteSet<string>();
  #held = new Set<Held>();

  constructor() {
    globalThis.addEventListener?.('pagehide', () => this.#flush());
  }
  get any() {
    return this.#hidden.size > 0;
  }
  has(record: RecordData) {
    return this.#hidden.has(keyOf(record.collectionId, record.id));
  }
  hold(collectionId: string, ids: string[]) {
    for (const id of ids) this.#hidden.add(keyOf(collectionId, id));
    const held: Held = {
      collectionId,
      ids,
      timer: setTimeout(() => void this.#commit(held), HOLD),
      toast: 0,
    };
    this.#held.add(held);
    held.toast = toasts.show(
      {
        tone: 'info',
        text: text.records.deleted(ids.length),
        action: { label: text.common.undo, run: () => this.#undo(held) },
        closeLabel: text.records.deleteNow,
        onclose: () => void this.#commit(held),
      },
      0,
    );
  }
  /** Takes the latest deletion back. */
  undo(): boolean {
    const last = [...this.#held].at(-1);
    if (last) this.#undo(last);
    return last !== undefined;
  }
  #undo(held: Held) {
    if (!this.#held.delete(held)) return;
    clearTimeout(held.timer);
    toasts.drop(held.toast);
    for (const id of held.ids) this.#hidden.delete(keyOf(held.collectionId, id));
  }
  async #commit(held: Held) {
    if (!this.#held.delete(held)) return;
    clearTimeout(held.timer);
    toasts.drop(held.toast);
    const queue = [...held.ids];
    const failed: string[] = [];
    const worker = async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        try {
          await deleteRecord(held.collectionId, id);
        } catch (error) {
          if (error instanceof ApiError && error.status === 404) continue;
          failed.push(messageOf(error));
          this.#hidden.delete(keyOf(held.collectionId, id));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (failed.length > 0) toasts.error(text.records.deleteFailed(failed.length, failed[0] ?? ''));
  }
  #flush() {
    for (const held of this.#held)
      for (const id of held.ids)
        void deleteRecord(held.collectionId, id, { keepalive: true }).catch(() => undefined);
    this.#held.clear();
  }
}

export const trash = new Trash();
