import { SvelteMap } from 'svelte/reactivity';

export interface Action {
  id: string;
  label: string;
  group: string;
  keys?: string;
  run: () => void;
}

/** What can be done right now. Pages add theirs while they are open; the palette and the key list show them. */
class Actions {
  palette = $state(false);
  help = $state(false);
  #sets = new SvelteMap<string, Action[]>();

  register(owner: string, list: Action[]): () => void {
    this.#sets.set(owner, list);
    return () => {
      if (this.#sets.get(owner) === list) this.#sets.delete(owner);
    };
  }
  get list(): Action[] {
    return [...this.#sets.values()].flat();
  }
  /** Runs the action bound to this key, if there is one. */
  press(key: string): boolean {
    const action = this.list.find((a) => a.keys === key);
    action?.run();
    return action !== undefined;
  }
}

export const actions = new Actions();
