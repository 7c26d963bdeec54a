export interface Toast {
  id: number;
  tone: 'ok' | 'danger' | 'info';
  text: string;
  action?: { label: string; run: () => void };
  /** What closing it means, when that is more than closing. */
  closeLabel?: string;
  onclose?: () => void;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;
  #timers = new Map<number, ReturnType<typeof setTimeout>>();

  show(toast: Omit<Toast, 'id'>, life = 4000): number {
    const id = this.#next++;
    this.list = [...this.list.slice(-3), { ...toast, id }];
    if (life > 0)
      this.#timers.set(
        id,
        setTimeout(() => this.drop(id), life),
      );
    return id;
  }
  ok(text: string) {
    return this.show({ tone: 'ok', text });
  }
  /** Errors stay until they are closed. */
  error(text: string) {
    return this.show({ tone: 'danger', text }, 0);
  }
  drop(id: number) {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.list = this.list.filter((t) => t.id !== id);
  }
}

export const toasts = new Toasts();
