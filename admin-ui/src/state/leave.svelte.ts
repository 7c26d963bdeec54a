import { text } from '../kit/strings';
import type { Location } from '../kit/url';
import { confirm } from './confirm.svelte';
import { route } from './route.svelte';

/** Asks before unsaved input is left behind. Call it while a component is set up. `stays` names moves that keep the form. */
export function holdWhileDirty(dirty: () => boolean, stays: (next: Location) => boolean = () => false) {
  // Talks to the browser: its own question when the tab is closed, ours for moves inside.
  $effect(() => {
    if (!dirty()) return;
    const off = route.guard(async (next) => {
      if (stays(next)) return true;
      return confirm.ask({
        title: text.common.unsaved,
        text: text.common.unsavedText,
        yes: text.common.discard,
        no: text.common.stay,
        danger: true,
      });
    });
    const warn = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener('beforeunload', warn);
    return () => {
      off();
      removeEventListener('beforeunload', warn);
    };
  });
}
