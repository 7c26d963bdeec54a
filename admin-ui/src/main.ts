import { mount } from 'svelte';
import App from './App.svelte';
import { prefs } from './state/prefs.svelte';
import { route } from './state/route.svelte';
import './ui/tokens.css';
import './ui/base.css';

document.documentElement.lang = prefs.language;
if (prefs.language === 'de') (await import('./kit/lang/german')).speakGerman();
route.start();
mount(App, { target: document.getElementById('app')! });
