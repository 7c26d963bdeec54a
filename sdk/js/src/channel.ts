// Messages between clients, and who is there.

import type { Attachment, Connection } from "./connection.js";
import { RealtimeError, type Json, type Member, type News } from "./protocol.js";

export interface JoinOptions<P> {
  /** What the others are to see. */
  presence?: P;
  /** A cursor of the channel: first the messages after it. */
  since?: string;
  /** Messages were missed that cannot be had again. */
  onReset?: (reason: string) => void;
  /** The membership has ended: it is not allowed any more. */
  onError?: (error: Error) => void;
}

export interface Message<T = Json> {
  event: string;
  payload: T;
  /** The member who sent it. */
  from: string;
  cursor: string;
}

export interface Channel<P = Json> {
  readonly name: string;
  /** What others know this client by; another one after each break of the connection. */
  readonly member: string | null;
  /** Who is there, oneself included, in the order of joining. */
  readonly members: readonly Member<P>[];
  /** Where the channel is; good for `since`. */
  readonly cursor: string | null;
  /** Calls back with messages, all or those of one event; gives the way to stop. */
  onMessage<T = Json>(hear: (message: Message<T>) => void, event?: string): () => void;
  /** Calls back when members come, go or show something else, and at once with those who are there. */
  onPresence(hear: (members: readonly Member<P>[]) => void): () => void;
  publish(event: string, payload?: unknown, options?: { echo?: boolean }): Promise<void>;
  /** Shows the others something else, also after a break of the connection. */
  present(presence: P): Promise<void>;
  leave(): void;
}

/** Becomes a member of a channel, and stays one over breaks of the connection. Rejects when the server refuses. */
export async function join<P extends Record<string, unknown> = Record<string, unknown>>(
  connection: Connection,
  name: string,
  options: JoinOptions<P> = {},
): Promise<Channel<P>> {
  const messageListeners = new Set<(message: Message<any>) => void>();
  const presenceListeners = new Set<(members: readonly Member<P>[]) => void>();
  let presence = options.presence;
  let cursor: string | null = options.since ?? null;
  let member: string | null = null;
  let members: readonly Member<P>[] = [];
  let left = false;
  // Frames may stand right behind the answer to `join`: they wait until it has been looked at.
  let entering = false;
  const early: News[] = [];
  /** Whether nothing was heard since joining with a cursor: a `reset` then means messages alone. */
  let fresh = false;

  const show = (now: readonly Member<P>[]) => {
    members = now;
    for (const hear of [...presenceListeners]) hear(members);
  };
  const enter = async () => {
    entering = true;
    early.length = 0;
    fresh = cursor !== null;
    const answer = await connection.ask("join", {
      channel: name,
      ...(presence ? { presence } : {}),
      ...(cursor ? { since: cursor } : {}),
    });
    entering = false;
    member = answer["member"] as string;
    cursor ??= answer["cursor"] as string;
    show(answer["members"] as Member<P>[]);
    for (const news of early.splice(0)) take(news);
  };
  // Notices of presence may be among what is gone: join anew to know who is there.
  const again = async () => {
    await connection.ask("leave", { channel: name });
    await enter();
  };

  const take = (news: News) => {
    const first = fresh;
    fresh = false;
    if (news.type === "message") {
      cursor = news.cursor ?? cursor;
      const message = news as unknown as Message<any>;
      for (const hear of [...messageListeners]) hear(message);
    } else if (news.type === "presence") {
      show(after(members, news));
    } else if (news.type === "reset") {
      cursor = news.cursor ?? cursor;
      options.onReset?.(String(news["reason"]));
      if (!first) again().catch(() => {});
    } else if (news.type === "error") {
      connection.detach(attachment);
      attachment.fail(RealtimeError.from(news));
    }
  };

  const attachment: Attachment = {
    begin: enter,
    hear(news) {
      if (news.channel !== name || left) return false;
      if (entering) early.push(news);
      else take(news);
      return true;
    },
    fail(error) {
      left = true;
      options.onError?.(error);
    },
  };
  await connection.attach(attachment);
  return {
    name,
    get member() {
      return member;
    },
    get members() {
      return members;
    },
    get cursor() {
      return cursor;
    },
    onMessage(hear, event) {
      const wanted = (message: Message<any>) => {
        if (event === undefined || message.event === event) hear(message);
      };
      messageListeners.add(wanted);
      return () => void messageListeners.delete(wanted);
    },
    onPresence(hear) {
      presenceListeners.add(hear);
      hear(members);
      return () => void presenceListeners.delete(hear);
    },
    async publish(event, payload = null, { echo = false } = {}) {
      await connection.ask("publish", { channel: name, event, payload, echo });
    },
    async present(now) {
      presence = now;
      await connection.ask("presence", { channel: name, presence: now });
      show(members.map((known) => (known.member === member ? { ...known, presence: now } : known)));
    },
    leave() {
      if (left) return;
      left = true;
      connection.ask("leave", { channel: name }).catch(() => {});
      connection.detach(attachment);
    },
  };
}

/** Who is there after a notice of presence. */
function after<P>(members: readonly Member<P>[], news: News): Member<P>[] {
  const joined = news["joined"] as Member<P>[];
  const gone = new Set([...(news["left"] as string[]), ...joined.map((face) => face.member)]);
  const changed = new Map((news["changed"] as Member<P>[]).map((face) => [face.member, face.presence]));
  const kept = members
    .filter((known) => !gone.has(known.member))
    .map((known) => (changed.has(known.member) ? { ...known, presence: changed.get(known.member) ?? null } : known));
  return [...kept, ...joined];
}

