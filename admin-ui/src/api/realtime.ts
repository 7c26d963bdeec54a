// One event stream for the whole dashboard. It comes back by itself and then submits all topics again.
import { apiUrl, request } from './client';
import type { RecordData } from './types';

export interface Change {
  action: 'create' | 'update' | 'delete';
  record: RecordData;
}
type Listener = (change: Change) => void;
export type LiveStatus = 'off' | 'connecting' | 'live';

const delays = [300, 600, 1200, 2500, 5000, 10_000];

export class Realtime {
  private source: EventSource | null = null;
  private clientId = '';
  private topics = new Map<string, Set<Listener>>();
  private attempts = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private submitting: Promise<void> = Promise.resolve();

  /** @param onStatus told about every change; `again` after a gap in which changes may have been missed. */
  constructor(private onStatus: (status: LiveStatus, again: boolean) => void) {}

  subscribe(topic: string, listener: Listener): () => void {
    const listeners = this.topics.get(topic) ?? new Set<Listener>();
    const fresh = !this.topics.has(topic);
    this.topics.set(topic, listeners.add(listener));
    if (fresh) {
      this.source?.addEventListener(topic, this.dispatch);
      if (this.source) void this.submit();
      else this.connect();
    }
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.topics.get(topic) !== listeners) return;
      this.topics.delete(topic);
      this.source?.removeEventListener(topic, this.dispatch);
      if (this.topics.size === 0) this.close();
      else void this.submit();
    };
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.clientId = '';
    this.attempts = 0;
    this.onStatus('off', false);
  }

  private dispatch = (event: MessageEvent<string>) => {
    const change = JSON.parse(event.data) as Change;
    for (const listener of this.topics.get(event.type) ?? []) listener(change);
  };

  private connect() {
    clearTimeout(this.timer);
    this.onStatus('connecting', false);
    const source = new EventSource(apiUrl('/api/realtime'));
    this.source = source;
    for (const topic of this.topics.keys()) source.addEventListener(topic, this.dispatch);
    source.addEventListener('PB_CONNECT', (event) => {
      this.clientId = event.lastEventId || (JSON.parse(event.data) as { clientId: string }).clientId;
      void this.submit();
    });
    source.onerror = () => this.retry();
  }

  private retry() {
    this.source?.close();
    this.source = null;
    this.clientId = '';
    if (this.topics.size === 0) return;
    this.onStatus('connecting', false);
    const delay = delays[Math.min(this.attempts++, delays.length - 1)]!;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), delay);
  }

  /** The list replaces the former one, so submissions go one after the other. */
  private submit(): Promise<void> {
    this.submitting = this.submitting.then(async () => {
      const clientId = this.clientId;
      if (clientId === '') return;
      try {
        await request('/api/realtime', {
          method: 'POST',
          body: { clientId, subscriptions: [...this.topics.keys()] },
        });
        if (clientId !== this.clientId) return;
        this.onStatus('live', this.attempts > 0);
        this.attempts = 0;
      } catch {
        if (clientId === this.clientId) this.retry();
      }
    });
    return this.submitting;
  }
}
