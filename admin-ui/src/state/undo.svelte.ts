/** Something that can be taken back for as long as it is here. */
export interface Undoable {
  run: () => void;
}

/** What was done last, the latest at the end. */
class Undos {
  #list: Undoable[] = [];
  /** Remembers it; gives the way to forget it. */
  push(undoable: Undoable): () => void {
    this.#list = [...this.#list, undoable].slice(-50);
    return () => (this.#list = this.#list.filter((u) => u !== undoable));
  }
  /** Takes the latest back. */
  last(): boolean {
    const latest = this.#list.at(-1);
    if (!latest) return false;
    this.#list = this.#list.slice(0, -1);
    latest.run();
    return true;
  }
}

export const undos = new Undos();
