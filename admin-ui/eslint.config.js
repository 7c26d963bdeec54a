import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

// Each layer may import from the layers before it, never from those after it.
const layers = ['kit', 'api', 'state', 'ui', 'fields', 'pages'];
const direction = layers.map((layer, i) => ({
  files: [`src/${layer}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: layers.slice(i + 1).map((later) => ({
          group: [`**/${later}/*`, `**/${later}/**`],
          message: `${layer} must not import from ${later}: the direction is ${layers.join(' → ')}.`,
        })),
      },
    ],
  },
}));

export default ts.config(
  { ignores: ['dist', 'node_modules'] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
  },
  {
    rules: {
      'svelte/no-at-html-tags': 'error',
      'svelte/no-navigation-without-resolve': 'off',
      'svelte/prefer-svelte-reactivity': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      eqeqeq: ['error', 'smart'],
    },
  },
  { files: ['src/**'], rules: { 'no-console': 'error', 'no-eval': 'error' } },
  ...direction,
);
