import { Realtime, type LiveStatus } from '../api/realtime';

/** The one event stream, with a status to look at. `gaps` counts the times changes may have been missed. */
class Live {
  status = $state<LiveStatus>('off');
  gaps = $state(0);
  #stream = new Realtime((status, again) => {
    this.status = status;
    if (again) this.gaps++;
  });
  subscribe = this.#stream.subscribe.bind(this.#stream);
  close = () => this.#stream.close();
}

export const live = new Live();
