import type { LucideProps } from '@lucide/svelte';
import type { Component } from 'svelte';

/** Any icon of the one family in use. */
export type Icon = Component<LucideProps>;
