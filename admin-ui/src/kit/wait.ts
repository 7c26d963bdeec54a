// Waiting for something that ends by itself.

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/**
 * Asks until the answer was no at least once and then yes, or until it was nothing but yes for `grace` ms: what is
 * quick may be over before the first question.
 */
export async function overAgain(
  ask: () => Promise<boolean>,
  every = 300,
  grace = 4000,
  wait: (ms: number) => Promise<void> = pause,
): Promise<void> {
  let busy = false;
  for (let quiet = 0; ; quiet += every) {
    await wait(every);
    if (!(await ask())) busy = true;
    else if (busy || quiet >= grace) return;
  }
}
