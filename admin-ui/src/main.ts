import { mount } from 'svelte';
import App from './App.svelte';
import { prefs } from './state/prefs.svelte';
import { route } from './state/route.svelte';
import './ui/tokens.css';
import './ui/base.css';

async function begin() {
  document.documentElement.lang = prefs.language;
  // The sentences are in place before anything is drawn.
  if (prefs.language === 'de') (await import('./kit/lang/german')).speakGerman();
  route.start();
  mount(App, { target: document.getElementById('app')! });
}
void begin();
