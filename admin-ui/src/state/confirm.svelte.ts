export interface Question {
  title: string;
  text: string;
  yes: string;
  no?: string;
  danger?: boolean;
  list?: string[];
  /** What has to be typed before the answer can be yes. */
  typed?: { label: string; value: string };
}

/** Questions about what cannot be undone. One at a time. */
class Confirm {
  question = $state.raw<Question | null>(null);
  #answer: ((yes: boolean) => void) | null = null;

  ask(question: Question): Promise<boolean> {
    this.#answer?.(false);
    this.question = question;
    return new Promise((resolve) => (this.#answer = resolve));
  }
  answer(yes: boolean) {
    this.question = null;
    this.#answer?.(yes);
    this.#answer = null;
  }
}

export const confirm = new Confirm();
