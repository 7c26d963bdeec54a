// A client of Burrow's realtime protocol (WebSocket subprotocol burrow.v1) for one topic.
//
// It signs in, subscribes, and remembers the cursor of the last thing it heard. When the connection breaks it comes
// back with `since: cursor`, and the server sends exactly what was missed; the list need not be read again.

const PING_EVERY_MS = 25_000;
const ANSWER_WITHIN_MS = 10_000;
const RETRY_MAX_MS = 15_000;

/**
 * Listens to `topic` as the owner of `token` until `close()` is called. The listener has
 *   event({action, record})   something happened
 *   reset()                   what is on the screen may be incomplete: read it again
 *   state("live" | "offline" | "unsupported" | "signedOut" | "refused", reason)
 * `reset` also comes once at the start, right after the subscription stands.
 */
export class Live {
  #listener;
  #token;
  #topic;
  #socket = null;
  #cursor = ""; // nothing heard yet
  #lastId = 0;
  #waiting = new Map(); // id of a request -> {type, resolve, reject}
  #attempts = 0;
  #timers = new Set();
  #closed = false;

  constructor({ topic, token, listener }) {
    this.#topic = topic;
    this.#token = token;
    this.#listener = listener;
    this.#connect();
  }

  close() {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.close();
  }

  #connect() {
    const url = new URL("/api/realtime", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, "burrow.v1");
    this.#socket = socket;
    let greeted = false;

    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "hello") {
        greeted = true;
        this.#begin(socket);
      } else {
        this.#receive(frame);
      }
    });
    socket.addEventListener("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the connection ended"));
      this.#waiting.clear();
      if (!this.#closed) this.#retry(greeted);
    });
  }

  async #begin(socket) {
    try {
      const { record } = await this.#request({ type: "auth", token: this.#token });
      if (!record) return this.#end("signedOut");
      const since = this.#cursor ? { since: this.#cursor } : {};
      const { cursor } = await this.#request({ type: "subscribe", topic: this.#topic, ...since });
      this.#attempts = 0;
      if (!this.#cursor) {
        this.#cursor = cursor;
        this.#listener.reset();
      }
      this.#listener.state("live");
      this.#pingLater(socket);
    } catch (refusal) {
      const isFinal = refusal.status >= 400 && refusal.status < 500 && refusal.status !== 429;
      if (!isFinal)
        socket.close(); // broken, silent or busy: try again
      else if (refusal.request === "auth") this.#end("signedOut");
      else this.#end("refused", refusal.message);
    }
  }

  #receive(frame) {
    switch (frame.type) {
      case "ok":
      case "error": {
        const request = this.#waiting.get(frame.id);
        this.#waiting.delete(frame.id);
        if (frame.type === "ok") request?.resolve(frame);
        else request?.reject(Object.assign(new Error(frame.message), { status: frame.status, request: request.type }));
        break;
      }
      case "event":
        this.#cursor = frame.cursor;
        this.#listener.event(frame);
        break;
      case "reset":
        this.#cursor = frame.cursor;
        this.#listener.reset();
        break;
      case "signedOut":
        this.#end("signedOut");
        break;
    }
  }

  #request(message) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = this.#after(ANSWER_WITHIN_MS, () => reject(new Error("the server does not answer")));
      const settled = (settle) => (value) => {
        this.#cancel(timer);
        settle(value);
      };
      this.#waiting.set(id, { type: message.type, resolve: settled(resolve), reject: settled(reject) });
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** A ping shows that the connection lives, and its cursor keeps a quiet subscription from growing old. */
  #pingLater(socket) {
    this.#after(PING_EVERY_MS, async () => {
      if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
      try {
        this.#cursor = (await this.#request({ type: "ping" })).cursor;
        this.#pingLater(socket);
      } catch {
        socket.close();
      }
    });
  }

  async #retry(greeted) {
    this.#listener.state("offline");
    // Refused three times before the first frame although the server is well: it does not speak this protocol.
    if (!greeted && !this.#cursor && this.#attempts >= 2 && (await isHealthy())) return this.#end("unsupported");
    const pause = Math.min(RETRY_MAX_MS, 300 * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    this.#after(pause, () => this.#connect());
  }

  #end(state, reason) {
    if (this.#closed) return;
    this.close();
    this.#listener.state(state, reason);
  }

  #after(milliseconds, work) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closed) work();
    }, milliseconds);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer) {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }
}

async function isHealthy() {
  const answer = await fetch("/api/health").catch(() => null);
  return answer?.status === 200;
}
