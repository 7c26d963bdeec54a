import { startBulk } from '../api/bulk';
import { deleteRecord } from '../api/records';
import { ApiError, messageOf } from '../api/errors';
import type { RecordData } from '../api/types';
import { text } from '../kit/strings';
import { SvelteSet } from 'svelte/reactivity';
import { toasts } from './toast.svelte';
import { undos } from './undo.svelte';

export const HOLD = 8000;
interface Held {
  collectionId: string;
  ids: string[];
  timer: ReturnType<typeof setTimeout>;
  toast: number;
  forget: () => void;
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
  /** Out of sight, without more. */
  hide(collectionId: string, ids: string[]) {
    for (const id of ids) this.#hidden.add(keyOf(collectionId, id));
  }
  show(collectionId: string, ids: string[]) {
    for (const id of ids) this.#hidden.delete(keyOf(collectionId, id));
  }
  hold(collectionId: string, ids: string[]) {
    this.hide(collectionId, ids);
    const held: Held = {
      collectionId,
      ids,
      timer: setTimeout(() => void this.#commit(held), HOLD),
      toast: 0,
      forget: undos.push({ run: () => this.#undo(held) }),
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
  /** Takes back what was done last: a deletion that is held, or an edit. */
  undo(): boolean {
    return undos.last();
  }
  #take(held: Held): boolean {
    if (!this.#held.delete(held)) return false;
    clearTimeout(held.timer);
    toasts.drop(held.toast);
    held.forget();
    return true;
  }
  #undo(held: Held) {
    if (this.#take(held)) this.show(held.collectionId, held.ids);
  }
  async #commit(held: Held) {
    if (!this.#take(held)) return;
    const failed = await this.#send(held).catch((error: unknown) =>
      held.ids.map((id) => ({ id, message: messageOf(error) })),
    );
    this.show(
      held.collectionId,
      failed.map((f) => f.id),
    );
    if (failed.length > 0) toasts.error(text.records.deleteFailed(failed.length, failed[0]!.message));
  }
  /** Gives those that could not be deleted. */
  async #send({ collectionId, ids }: Held): Promise<{ id: string; message: string }[]> {
    if (ids.length > 1) {
      const { errors = [] } = await startBulk(collectionId, { action: 'delete', ids }, () => undefined);
      return errors;
    }
    const id = ids[0]!;
    try {
      await deleteRecord(collectionId, id);
      return [];
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return [];
      return [{ id, message: messageOf(error) }];
    }
  }
  #flush() {
    for (const { collectionId, ids } of this.#held) {
      const sent: Promise<unknown> =
        ids.length > 1
          ? startBulk(collectionId, { action: 'delete', ids }, () => undefined, true)
          : deleteRecord(collectionId, ids[0]!, { keepalive: true });
      sent.catch(() => undefined);
    }
    this.#held.clear();
  }
}

export const trash = new Trash();
