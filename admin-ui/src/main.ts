import { mount } from 'svelte';
import App from './App.svelte';
import { route } from './state/route.svelte';
import './ui/tokens.css';
import './ui/base.css';

route.start();
mount(App, { target: document.getElementById('app')! });
