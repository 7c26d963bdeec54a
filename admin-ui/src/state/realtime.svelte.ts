import { getRealtimeStats } from '../api/admin';
import { messageOf } from '../api/errors';
import type { RealtimeStats } from '../api/types';
import { watch, type Seen } from '../api/watch';

const EVERY_MS = 2000;
/** Events a second that are remembered, for the small chart. */
const POINTS = 60;
/** Events that are shown. */
const SHOWN = 200;

/** What realtime does, asked again and again while somebody looks. */
export class Pulse {
  stats = $state.raw<RealtimeStats | null>(null);
  error = $state('');
  rates = $state.raw<number[]>([]);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();

  async start() {
    const { signal } = this.#abort;
    try {
      this.stats = await getRealtimeStats(signal);
      this.rates = [...this.rates, this.stats.perSecond.events].slice(-POINTS);
      this.error = '';
    } catch (error) {
      if (signal.aborted) return;
      this.error = messageOf(error);
    }
    if (!signal.aborted) this.#timer = setTimeout(() => void this.start(), EVERY_MS);
  }
  stop() {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }
}

export interface Shown extends Seen {
  number: number;
  at: Date;
}

/** A subscription that is looked at. */
export class Watch {
  status = $state<'off' | 'connecting' | 'on'>('off');
  /** What the server refused; null while nothing went wrong. */
  refusal = $state<string | null>(null);
  events = $state.raw<Shown[]>([]);
  #count = 0;
  #stop: (() => void) | null = null;

  start(topic: string, filter: string) {
    this.stop();
    this.status = 'connecting';
    this.refusal = null;
    this.#stop = watch(topic, filter, {
      onReady: () => (this.status = 'on'),
      onEvent: (event) => {
        const shown = { ...event, number: ++this.#count, at: new Date() };
        this.events = [shown, ...this.events].slice(0, SHOWN);
      },
      onEnd: (message) => {
        this.status = 'off';
        this.refusal = message;
      },
    });
  }
  stop() {
    this.#stop?.();
    this.#stop = null;
    this.status = 'off';
  }
  clear() {
    this.events = [];
  }
}
