// The page table: first part of the address -> page. Everything but the data room is loaded when it is opened.
import type { Component } from 'svelte';
import DataPage from './pages/data/DataPage.svelte';

export const pages: Record<string, () => Component | Promise<{ default: Component }>> = {
  data: () => DataPage,
  account: () => import('./pages/account/AccountPage.svelte'),
  schema: () => import('./pages/schema/SchemaPage.svelte'),
  live: () => import('./pages/live/LivePage.svelte'),
  logs: () => import('./pages/logs/LogsPage.svelte'),
  sql: () => import('./pages/sql/SqlPage.svelte'),
  ops: () => import('./pages/ops/OpsPage.svelte'),
  settings: () => import('./pages/settings/SettingsPage.svelte'),
};
