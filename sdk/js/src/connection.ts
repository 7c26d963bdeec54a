// One WebSocket for everything, kept alive: it reconnects by itself, signs in as whoever the PocketBase instance is signed
// in as, and tells each of its attachments (a subscription, a live query, a channel) to begin again where it was.

import type PocketBase from "pocketbase";
import { delay } from "./backoff.js";
import { ConnectionLost, RealtimeError, type Answer, type AnyRecord, type News } from "./protocol.js";

/** The part of the WebSocket interface that is used: browsers, Node 22 and the `ws` package have it. */
export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string, protocols?: string | string[]) => SocketLike;

export type Status = "closed" | "connecting" | "open";

export interface Options {
  /** The WebSocket class; the global one where there is one. Node before 22 has none: pass that of the `ws` package. */
  WebSocket?: SocketClass;
  /** Called at each change of the connection's state. */
  onStatus?: (status: Status) => void;
  /** Called when the token of the connection has ended on the server; it goes on as a guest. */
  onSignedOut?: () => void;
}

/** Something that lives on a connection and outlives its breaks. */
export interface Attachment {
  /** The connection is there, signed in: (re)start. A rejection with a `RealtimeError` ends the attachment. */
  begin(): Promise<void>;
  /** Whether a frame is for it, and what it does with it. */
  hear(news: News): boolean;
  /** The cursor of the whole connection moved on while this one was quiet. */
  age?(cursor: string): void;
  /** It could not begin again, or the server has ended it. */
  fail(error: Error): void;
}

const PROTOCOL = "burrow.v1";
const PING_EVERY_MS = 25_000;
const PING_PATIENCE_MS = 10_000;
/** What a connection must last for the next break to start with short delays again. */
const STABLE_MS = 5_000;

interface Asked {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

export class Connection {
  status: Status = "closed";
  /** The record that the server knows this connection as; null for guests. */
  record: AnyRecord | null = null;

  readonly #pb: PocketBase;
  readonly #options: Options;
  readonly #attachments = new Set<Attachment>();
  readonly #asked = new Map<number, Asked>();
  #socket: SocketLike | null = null;
  #ready = false;
  #lastId = 0;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #pinging: ReturnType<typeof setInterval> | null = null;
  #unwatch: (() => void) | null = null;
  #signing: Promise<void> = Promise.resolve();
  readonly #online = () => this.#now();

  constructor(pb: PocketBase, options: Options = {}) {
    this.#pb = pb;
    this.#options = options;
  }

  /** Adds an attachment, connects if need be, and gives the outcome of its first beginning. */
  async attach(attachment: Attachment): Promise<void> {
    this.#attachments.add(attachment);
    if (this.#ready) return this.#begin(attachment, true);
    const first = new Promise<void>((resolve, reject) => this.#first.set(attachment, { resolve, reject }));
    try {
      this.#open();
    } catch (error) {
      this.detach(attachment);
      first.catch(() => {});
      throw error;
    }
    return first;
  }

  /** Removes an attachment; without any the connection is closed. */
  detach(attachment: Attachment): void {
    this.#attachments.delete(attachment);
    this.#first.get(attachment)?.reject(new ConnectionLost());
    this.#first.delete(attachment);
    if (this.#attachments.size === 0) this.close();
  }

  /** Sends a message and gives its `ok`. */
  async ask(type: string, fields: Record<string, unknown> = {}): Promise<Answer> {
    const socket = this.#socket;
    if (!socket || socket.readyState !== 1) throw new ConnectionLost();
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    socket.send(JSON.stringify({ ...fields, type, id }));
    const got = await answer;
    if (got.type === "error") throw RealtimeError.from(got);
    return got;
  }

  /** Closes for good; what is attached hears nothing more. A later `attach` connects again. */
  close(): void {
    for (const attachment of this.#attachments) this.#first.get(attachment)?.reject(new ConnectionLost());
    this.#first.clear();
    this.#attachments.clear();
    this.#stop();
    const socket = this.#socket;
    this.#drop();
    if (socket) silence(socket);
    socket?.close(1000);
    this.#be("closed");
  }

  /** Promises of those who wait for their first beginning. */
  readonly #first = new Map<Attachment, { resolve: () => void; reject: (error: Error) => void }>();

  #open(): void {
    if (this.#socket || this.#retry) return;
    const Socket = this.#options.WebSocket ?? (globalThis as { WebSocket?: SocketClass }).WebSocket;
    if (!Socket) throw new Error("there is no global WebSocket here: pass one, such as that of the ws package, as options.WebSocket");
    this.#unwatch ??= this.#pb.authStore.onChange(() => void this.#signIn().catch(() => {}));
    (globalThis as unknown as Partial<Window>).addEventListener?.("online", this.#online);
    this.#be("connecting");
    const socket = new Socket(this.#url(), PROTOCOL);
    this.#socket = socket;
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#hear(String(event.data));
    };
    socket.onerror = () => {};
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost();
    };
  }

  #url(): string {
    const url = this.#pb.buildURL("/api/realtime");
    const base = (globalThis as { location?: { href: string } }).location?.href;
    return new URL(url, base).href.replace(/^http/, "ws");
  }

  #hear(text: string): void {
    this.#heardAt = Date.now();
    const frame = JSON.parse(text) as News;
    const id = frame["id"];
    const asked = typeof id === "number" ? this.#asked.get(id) : undefined;
    if (asked) {
      this.#asked.delete(id as number);
      asked.resolve(frame as unknown as Answer);
      return;
    }
    if (frame.type === "hello") return void this.#welcome();
    if (frame.type === "signedOut") {
      this.record = null;
      this.#options.onSignedOut?.();
      return;
    }
    for (const attachment of [...this.#attachments]) {
      if (attachment.hear(frame)) return;
    }
  }

  /** The server is there: sign in, then let everything begin. */
  async #welcome(): Promise<void> {
    const socket = this.#socket;
    this.#openedAt = Date.now();
    this.#pinging = setInterval(() => void this.#ping(), PING_EVERY_MS);
    unref(this.#pinging);
    await this.#signIn().catch(() => {});
    if (this.#socket !== socket || !socket) return;
    this.#ready = true;
    this.#be("open");
    for (const attachment of [...this.#attachments]) void this.#begin(attachment, false).catch(() => {});
  }

  async #begin(attachment: Attachment, asked: boolean): Promise<void> {
    try {
      await attachment.begin();
      this.#first.get(attachment)?.resolve();
      this.#first.delete(attachment);
    } catch (error) {
      // Lost again: it begins with the next connection.
      if (error instanceof ConnectionLost && this.#attachments.has(attachment)) {
        if (asked && !this.#ready) {
          return new Promise((resolve, reject) => this.#first.set(attachment, { resolve, reject }));
        }
        return;
      }
      this.#attachments.delete(attachment);
      const first = this.#first.get(attachment);
      this.#first.delete(attachment);
      if (first) first.reject(error as Error);
      else if (!asked) attachment.fail(error as Error);
      if (this.#attachments.size === 0) this.close();
      if (asked) throw error;
    }
  }

  /** Tells the server who we are now; one after the other, so that the last one counts. */
  #signIn(): Promise<void> {
    const turn = this.#signing.then(async () => {
      const { token } = this.#pb.authStore;
      if (!token && !this.record) return;
      try {
        const answer = await this.ask("auth", { token });
        this.record = answer["record"] as AnyRecord | null;
      } catch (error) {
        // A token that does not hold makes a guest, as it does over HTTP: not whoever was here before.
        if (error instanceof RealtimeError && this.record) {
          await this.ask("auth", { token: "" });
          this.record = null;
        }
        throw error;
      }
    });
    this.#signing = turn.catch(() => {});
    return turn;
  }

  /** Whether the other end is still there: pings of the protocol itself are not seen by browsers. */
  async #ping(): Promise<void> {
    const socket = this.#socket;
    const patience = setTimeout(() => {
      if (this.#socket === socket && Date.now() - this.#heardAt >= PING_PATIENCE_MS) {
        if (socket) silence(socket);
        socket?.close();
        this.#lost();
      }
    }, PING_PATIENCE_MS);
    unref(patience);
    try {
      const { cursor } = await this.ask("ping");
      for (const attachment of this.#attachments) attachment.age?.(cursor as string);
    } catch {
      // The close is heard by itself.
    } finally {
      clearTimeout(patience);
    }
  }

  #lost(): void {
    this.#drop();
    if (this.#attachments.size === 0) return this.#be("closed");
    this.#be("connecting");
    this.#attempt = this.#openedAt && Date.now() - this.#openedAt > STABLE_MS ? 0 : this.#attempt + 1;
    this.#openedAt = 0;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#open();
    }, delay(this.#attempt));
  }

  /** The network is back: no reason to wait. */
  #now(): void {
    if (!this.#retry) return;
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#open();
  }

  #drop(): void {
    this.#socket = null;
    this.#ready = false;
    this.record = null;
    if (this.#pinging) clearInterval(this.#pinging);
    this.#pinging = null;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(new ConnectionLost());
  }

  #stop(): void {
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
    this.#attempt = 0;
    this.#openedAt = 0;
    this.#unwatch?.();
    this.#unwatch = null;
    (globalThis as unknown as Partial<Window>).removeEventListener?.("online", this.#online);
  }

  #be(status: Status): void {
    if (this.status === status) return;
    this.status = status;
    this.#options.onStatus?.(status);
  }
}

function silence(socket: SocketLike): void {
  socket.onmessage = null;
  socket.onclose = null;
}

/** Timers that must not keep a Node process alive. */
function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}

/** A connection for realtime beside `pb`: same server, same identity. Opens with the first thing that needs it. */
export function connect(pb: PocketBase, options: Options = {}): Connection {
  return new Connection(pb, options);
}
