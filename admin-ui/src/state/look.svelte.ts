import { getSettings } from '../api/admin';
import type { Settings } from '../api/types';
import { accentOf } from '../kit/color';

/** What PocketBase's directories hold when nobody chose a colour: then the dashboard keeps its own. */
const UNCHOSEN = '#1055c9';

/** How the owner of the server wants the dashboard to look. */
class Look {
  appName = $state('');
  /** Whether settings hide what changes collections. */
  locked = $state(false);
  /** Address of the tiles of maps; empty for the outline. */
  tiles = $state('');

  async load() {
    try {
      this.apply(await getSettings());
    } catch {
      // The dashboard looks as it was built.
    }
  }
  apply(settings: Settings) {
    this.appName = settings.meta.appName === 'Acme' ? '' : settings.meta.appName;
    this.locked = settings.meta.hideControls;
    this.tiles = settings.maps?.tiles ?? '';
    const color = settings.meta.accentColor;
    const accent = color === UNCHOSEN ? null : accentOf(color);
    const { style } = document.documentElement;
    for (const name of ['--accent', '--accent-soft', '--accent-ink']) {
      if (accent) style.setProperty(name, accent[name]!);
      else style.removeProperty(name);
    }
  }
}

export const look = new Look();
