import { ApiError } from '../api/errors';

/** Asks for the password where the server wants more than a token. One question at a time. */
class Prove {
  asking = $state(false);
  wrong = $state(false);
  #answer: ((password: string | null) => void) | null = null;

  /** Runs `work` with no password first, then with the one that is typed; null when somebody thought better of it. */
  async run<T>(work: (password: string) => Promise<T>): Promise<T | null> {
    let password: string | null = '';
    for (;;) {
      try {
        const done = await work(password);
        this.#close();
        return done;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 403) {
          this.#close();
          throw error;
        }
        this.wrong = password !== '';
        this.asking = true;
        password = await new Promise<string | null>((resolve) => (this.#answer = resolve));
        if (password === null) {
          this.#close();
          return null;
        }
      }
    }
  }
  answer(password: string | null) {
    this.#answer?.(password);
    this.#answer = null;
  }
  #close() {
    this.asking = false;
    this.wrong = false;
  }
}

export const prove = new Prove();
