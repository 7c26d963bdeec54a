// One subscription over a WebSocket of its own, for looking at what happens. It does not come back by itself: who watches
// wants to see when a connection ends.
import { apiUrl, token } from './client';

export interface Seen {
  action: string;
  record: Record<string, unknown>;
}
interface Hears {
  onReady(): void;
  onEvent(event: Seen): void;
  /** With what the server said, or nothing when the connection just ended. */
  onEnd(message: string): void;
}

/** Subscribes; gives the way to stop. */
export function watch(topic: string, filter: string, hears: Hears): () => void {
  const url = new URL(apiUrl('/api/realtime'), location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url, 'burrow.v1');
  let over = false;
  const end = (message: string) => {
    if (over) return;
    over = true;
    socket.close();
    hears.onEnd(message);
  };
  const say = (message: object) => socket.send(JSON.stringify(message));
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    if (over) return;
    const frame = JSON.parse(data) as Record<string, unknown>;
    if (frame.type === 'hello') say({ type: 'auth', id: 'auth', token: token() });
    else if (frame.type === 'error') end(String(frame.message));
    else if (frame.id === 'auth')
      say({ type: 'subscribe', id: 'subscribe', topic, ...(filter && { filter }) });
    else if (frame.id === 'subscribe') hears.onReady();
    else if (frame.type === 'event') hears.onEvent(frame as unknown as Seen);
  };
  socket.onclose = () => end('');
  return () => {
    over = true;
    socket.close();
  };
}
