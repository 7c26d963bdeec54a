import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { tick } from 'svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import LivePage from '../../src/pages/live/LivePage.svelte';

const stats = {
  connections: {
    webSocket: 2,
    sse: 1,
    signedIn: 1,
    max: 50000,
    latest: [
      {
        transport: 'webSocket',
        address: '10.0.0.7',
        since: '2026-01-02 03:04:05.678Z',
        collectionName: 'users',
        recordId: 'abc',
        subscriptions: 3,
        waiting: 12,
      },
    ],
  },
  subscriptions: { total: 4, groups: 2, replaying: 1, topics: [{ topic: 'posts/*', subscriptions: 3 }] },
  channels: { open: 1, members: 5, historyBytes: 0 },
  totals: { events: 10, frames: 40, messages: 7, putBack: 6, resets: 1 },
  perSecond: { events: 1.25, frames: 5 },
  lag: { milliseconds: 2.34, changes: 0 },
};

/** A server's end of a WebSocket, as the page sees it. */
class Line {
  static last: Line;
  said: Record<string, unknown>[] = [];
  closed = false;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  constructor(readonly url: URL) {
    Line.last = this;
  }
  send(text: string) {
    this.said.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.closed = true;
    this.onclose?.();
  }
  tell(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const answer = (status: number, body: object) =>
  Promise.resolve(new Response(JSON.stringify(body), { status }));
beforeEach(() => {
  vi.stubGlobal(
    'fetch',
    vi.fn(() => answer(200, stats)),
  );
  vi.stubGlobal('WebSocket', Line);
});
afterEach(() => vi.unstubAllGlobals());

test('shows what there is and what happens', async () => {
  render(LivePage);
  const topics = await screen.findByRole('cell', { name: 'posts/*' });
  expect(within(topics.closest('tr')!).getByText('3')).toBeTruthy();
  expect(screen.getByText('1 signed in, 50,000 at most')).toBeTruthy();
  expect(screen.getByText('judged as 2, 1 catching up')).toBeTruthy();
  expect(screen.getByText('2.3 ms')).toBeTruthy();
  expect(screen.getByRole('cell', { name: 'users/abc' })).toBeTruthy();
});

test('says when the numbers cannot be had', async () => {
  vi.stubGlobal('fetch', () => answer(503, { message: 'Busy.' }));
  render(LivePage);
  expect((await screen.findByRole('alert')).textContent).toContain('Busy.');
});

test('subscribes as the superuser and shows events, the newest first', async () => {
  render(LivePage);
  await fireEvent.input(await screen.findByLabelText('Topic'), { target: { value: 'posts/*' } });
  await fireEvent.input(screen.getByLabelText('Filter'), { target: { value: 'n > 1' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Subscribe' }));
  const line = Line.last;
  expect(line.url.protocol).toBe('ws:');
  line.tell({ type: 'hello' });
  line.tell({ type: 'ok', id: 'auth' });
  line.tell({ type: 'ok', id: 'subscribe', sub: '1' });
  await tick();
  expect(line.said.map((m) => m.type)).toEqual(['auth', 'subscribe']);
  expect(line.said[1]).toMatchObject({ topic: 'posts/*', filter: 'n > 1' });
  expect(screen.getByText('Nothing yet. Change a record, and it appears here.')).toBeTruthy();

  for (const id of ['a', 'b'])
    line.tell({ type: 'event', action: 'create', record: { id, collectionName: 'posts' } });
  await tick();
  const shown = within(screen.getByRole('list', { name: 'Events' })).getAllByRole('listitem');
  expect(shown.map((item) => /posts\/\w/.exec(item.textContent ?? '')?.[0])).toEqual(['posts/b', 'posts/a']);
  await fireEvent.click(screen.getByRole('button', { name: 'Stop' }));
  expect(line.closed).toBe(true);
  expect(screen.queryByRole('alert')).toBeNull();
});

test('a refusal stands below the form', async () => {
  render(LivePage);
  await fireEvent.input(await screen.findByLabelText('Topic'), { target: { value: 'nowhere/*' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Subscribe' }));
  Line.last.tell({ type: 'error', id: 'subscribe', status: 404, message: 'Missing collection context.' });
  await tick();
  expect(screen.getByRole('alert').textContent).toBe('Missing collection context.');
  expect(screen.getByRole('button', { name: 'Subscribe' })).toBeTruthy();
});
