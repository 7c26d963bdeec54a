import { refresh } from '../api/auth';
import { setHooks } from '../api/client';
import { ApiError } from '../api/errors';
import type { AuthAnswer, RecordData } from '../api/types';
import { tokenEnd } from '../kit/url';

interface Stored {
  token: string;
  record: RecordData;
}
const key = `burrow:session:${globalThis.location?.pathname ?? ''}`;
const REFRESH_EVERY = 30 * 60_000;

/** Who is signed in. An ended session is renewed in place: requests wait until somebody signed in again. */
class Session {
  #now = $state.raw<Stored | null>(read());
  expired = $state(false);
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #refreshed = 0;

  constructor() {
    setHooks({
      token: () => this.#now?.token ?? '',
      stale: () => this.#now !== null && tokenEnd(this.#now.token) < Date.now(),
      renew: () => this.#renew(),
      accepted: (token) => this.#accepted(token),
    });
    globalThis.addEventListener?.('storage', (e) => {
      if (e.key !== key) return;
      this.#now = read();
      if (this.#now && tokenEnd(this.#now.token) > Date.now()) this.#settle();
    });
    globalThis.addEventListener?.('focus', () => void this.keepFresh());
  }
  get signedIn() {
    return this.#now !== null;
  }
  get record() {
    return this.#now?.record ?? null;
  }
  get email() {
    return String(this.#now?.record.email ?? '');
  }

  begin(answer: AuthAnswer) {
    this.#store({ token: answer.token, record: answer.record });
    this.#refreshed = Date.now();
    this.#settle();
  }
  end() {
    this.#store(null);
    this.expired = false;
    for (const w of this.#waiting.splice(0)) w.reject(new ApiError(401, 'You signed out.'));
  }
  /** A new token from time to time; also finds out early that the old one is no longer accepted. */
  async keepFresh() {
    const token = this.#now?.token;
    if (!token || this.expired || Date.now() - this.#refreshed < REFRESH_EVERY) return;
    if (!(await this.#accepted(token))) this.expired = true;
  }

  async #accepted(token: string): Promise<boolean> {
    if (this.expired) return false;
    this.#refreshed = Date.now();
    try {
      const answer = await refresh(token);
      if (this.#now?.token === token) this.#store({ token: answer.token, record: answer.record });
      return true;
    } catch (error) {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return false;
      this.#refreshed = 0;
      return true;
    }
  }
  #renew(): Promise<void> {
    this.expired = true;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
  #settle() {
    this.expired = false;
    for (const w of this.#waiting.splice(0)) w.resolve();
  }
  #store(next: Stored | null) {
    this.#now = next;
    try {
      if (next) localStorage.setItem(key, JSON.stringify(next));
      else localStorage.removeItem(key);
    } catch {
      // Without storage the session lasts until the page is closed.
    }
  }
}

function read(): Stored | null {
  try {
    const stored = JSON.parse(localStorage.getItem(key) ?? 'null') as Stored | null;
    return stored && typeof stored.token === 'string' ? stored : null;
  } catch {
    return null;
  }
}

export const session = new Session();
