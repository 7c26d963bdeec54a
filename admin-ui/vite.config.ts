import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// The server behind `npm run dev` and `npm run preview`.
const server = process.env.BURROW_URL ?? 'http://127.0.0.1:8090';
const proxy = { '/api': { target: server, changeOrigin: false } };

export default defineConfig({
  base: '/_/',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    reportCompressedSize: false,
  },
  server: { proxy, host: '127.0.0.1' },
  preview: { proxy, host: '127.0.0.1' },
});
