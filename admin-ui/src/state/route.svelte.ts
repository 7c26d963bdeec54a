import { formatHash, parseHash, type Location } from '../kit/url';

/** Where we are. The address is the only place where this is kept. */
class Route {
  #here = $state.raw<Location>(parseHash(globalThis.location?.hash ?? ''));
  /** Asked before a move; answers false to stay. Set by the form that holds unsaved input. */
  #guard: ((next: Location) => Promise<boolean>) | null = null;
  #shown = globalThis.location?.hash ?? '';
  #passing = false;

  start() {
    addEventListener('hashchange', () => void this.#changed());
  }
  get path() {
    return this.#here.path;
  }
  get query() {
    return this.#here.query;
  }
  guard(ask: (next: Location) => Promise<boolean>): () => void {
    this.#guard = ask;
    return () => {
      if (this.#guard === ask) this.#guard = null;
    };
  }

  async go(path: string[], query: Record<string, string | null | undefined> = {}, replace = false) {
    const hash = formatHash(path, query);
    if (hash === this.#shown) return;
    if (!(await this.#may(hash))) return;
    this.#passing = true;
    if (replace) history.replaceState(null, '', hash);
    else history.pushState(null, '', hash);
    this.#apply(hash);
    this.#passing = false;
  }
  /** The same page with some of its query changed; null takes a key out. */
  patch(change: Record<string, string | null | undefined>, replace = false) {
    return this.go(this.path, { ...this.query, ...change }, replace);
  }

  async #changed() {
    if (this.#passing || location.hash === this.#shown) return;
    const wanted = location.hash;
    if (this.#guard) {
      history.replaceState(null, '', this.#shown);
      if (!(await this.#may(wanted))) return;
      history.pushState(null, '', wanted);
    }
    this.#apply(wanted);
  }
  #apply(hash: string) {
    this.#shown = hash;
    this.#here = parseHash(hash);
  }
  async #may(hash: string): Promise<boolean> {
    return this.#guard === null || this.#guard(parseHash(hash));
  }
}

export const route = new Route();
