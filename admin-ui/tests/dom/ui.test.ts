import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { createRawSnippet, tick } from 'svelte';
import { describe, expect, test, vi } from 'vitest';
import ConfirmDialog from '../../src/ui/ConfirmDialog.svelte';
import ExprInput from '../../src/ui/ExprInput.svelte';
import Grid from '../../src/ui/Grid.svelte';
import ListInput from '../../src/ui/ListInput.svelte';
import Tabs from '../../src/ui/Tabs.svelte';
import Toaster from '../../src/ui/Toaster.svelte';

const cell = createRawSnippet<[{ id: string }, { id: string }]>((row) => ({
  render: () => `<span>cell ${row().id}</span>`,
}));
const card = createRawSnippet<[{ id: string }]>((row) => ({ render: () => `<span>card ${row().id}</span>` }));
const rows = Array.from({ length: 5000 }, (_, i) => ({ id: `r${i}` }));
const column = { id: 'a', label: 'A', width: 100, kind: 'text', sortable: true, sort: 'none' as const };

function grid(extra: object = {}) {
  const calls = { onsort: vi.fn(), onselect: vi.fn(), onopen: vi.fn(), onmore: vi.fn() };
  render(Grid, {
    props: {
      label: 'Rows',
      columns: [column],
      rows,
      total: null,
      rowHeight: 32,
      current: '',
      selected: new Set<string>(),
      cell,
      card,
      ...calls,
      ...extra,
    },
  });
  return { ...calls, box: screen.getByRole('grid') };
}

describe('Grid', () => {
  test('draws only what can be seen', () => {
    const { box } = grid();
    expect(within(box).getAllByRole('row').length).toBeLessThan(60);
    expect(within(box).getByText('cell r0')).toBeTruthy();
  });
  test('arrows move, enter opens, space selects', async () => {
    const { box, onopen, onselect } = grid();
    await fireEvent.keyDown(box, { key: 'ArrowDown' });
    await fireEvent.keyDown(box, { key: 'ArrowDown' });
    await fireEvent.keyDown(box, { key: 'Enter' });
    expect(onopen).toHaveBeenLastCalledWith({ id: 'r1' }, false);
    await fireEvent.keyDown(box, { key: ' ' });
    expect(onselect).toHaveBeenLastCalledWith(['r1'], true);
  });
  test('a head sorts, with shift it adds', async () => {
    const { box, onsort } = grid();
    await fireEvent.click(within(box).getByRole('button', { name: 'A' }), { shiftKey: true });
    expect(onsort).toHaveBeenLastCalledWith('a', true);
  });
  test('a cell has its own cursor, and is edited by F2', async () => {
    const onedit = vi.fn();
    const { box } = grid({ onedit });
    await fireEvent.keyDown(box, { key: 'ArrowDown' });
    await fireEvent.keyDown(box, { key: 'ArrowRight' });
    await fireEvent.keyDown(box, { key: 'F2' });
    expect(onedit).toHaveBeenLastCalledWith({ id: 'r0' }, 'a');
  });
  test('rows that are not here yet keep their places', async () => {
    const { box } = grid({ rows: rows.slice(200, 300), first: 200, count: 1_000_000 });
    expect(within(box).queryByText('cell r200')).toBeNull();
    expect(within(box).getAllByRole('row', { busy: true }).length).toBeGreaterThan(5);
  });
  test('a head moves its column', async () => {
    const onreorder = vi.fn();
    const { box } = grid({ onreorder, columns: [column, { ...column, id: 'b', label: 'B' }] });
    await fireEvent.keyDown(within(box).getByRole('button', { name: 'A' }), {
      key: 'ArrowRight',
      altKey: true,
    });
    expect(onreorder).toHaveBeenLastCalledWith('a', null);
  });
  test('asks for more at the end', () => {
    const { onmore } = grid({ rows: rows.slice(0, 5) });
    expect(onmore).toHaveBeenCalled();
  });
});

describe('ExprInput', () => {
  test('completes, and marks what cannot be right once it is left', async () => {
    const oninput = vi.fn();
    const complete = vi.fn(() => [{ label: 'title', detail: 'text', kind: 'text', from: 0, to: 2 }]);
    const view = render(ExprInput, { props: { value: 'ti', oninput, complete, 'aria-label': 'Filter' } });
    const box = screen.getByRole('textbox');
    await fireEvent.input(box, { target: { value: 'ti' } });
    await tick();
    expect(box.getAttribute('aria-controls')).toBeTruthy();
    await fireEvent.keyDown(box, { key: 'Tab' });
    expect(oninput).toHaveBeenLastCalledWith('title');
    await fireEvent.blur(box);
    await view.rerender({ value: 'title =' });
    expect(screen.getByText('A field, a value or a macro is missing here.')).toBeTruthy();
  });
});

describe('small parts', () => {
  test('a list takes several at once and no doubles', async () => {
    const onchange = vi.fn();
    render(ListInput, { props: { values: ['a'], onchange, id: 'l' } });
    const box = screen.getByRole('textbox');
    await fireEvent.input(box, { target: { value: 'a, b ,c' } });
    await fireEvent.keyDown(box, { key: 'Enter' });
    expect(onchange).toHaveBeenLastCalledWith(['a', 'b', 'c']);
    await fireEvent.click(screen.getByRole('button', { name: 'Remove a' }));
    expect(onchange).toHaveBeenLastCalledWith([]);
  });
  test('tabs move with the arrows', async () => {
    const onchange = vi.fn();
    render(Tabs, {
      props: {
        label: 'T',
        tabs: [
          { id: 'a', label: 'A' },
          { id: 'b', label: 'B', fault: true },
        ],
        current: 'a',
        onchange,
        panel: 'p',
      },
    });
    await fireEvent.keyDown(screen.getByRole('tab', { name: 'A' }), { key: 'ArrowLeft' });
    expect(onchange).toHaveBeenLastCalledWith('b');
  });
  test('what cannot be undone wants its name typed', async () => {
    const onanswer = vi.fn();
    render(ConfirmDialog, {
      props: {
        question: {
          title: 'Delete',
          text: 'Sure?',
          yes: 'Delete it',
          danger: true,
          typed: { label: 'Name', value: 'posts' },
        },
        onanswer,
      },
    });
    const yes = screen.getByRole('button', { name: 'Delete it' });
    expect(yes).toHaveProperty('disabled', true);
    await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'posts' } });
    await fireEvent.click(yes);
    expect(onanswer).toHaveBeenCalledWith(true);
  });
  test('a toast can be acted on and closed', async () => {
    const run = vi.fn();
    const drop = vi.fn();
    render(Toaster, {
      props: { list: [{ id: 7, tone: 'info', text: 'Gone.', action: { label: 'Undo', run } }], drop },
    });
    await fireEvent.click(screen.getByRole('button', { name: 'Undo' }));
    expect(run).toHaveBeenCalled();
    await fireEvent.click(screen.getByRole('button', { name: 'Close' }));
    expect(drop).toHaveBeenCalledWith(7);
  });
});
