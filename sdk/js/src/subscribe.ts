// Changes of records, from a cursor on: nothing is missed over a break of the connection.

import type { Attachment, Connection } from "./connection.js";
import { RealtimeError, type Action, type AnyRecord, type News } from "./protocol.js";

export interface SubscribeOptions {
  filter?: string;
  expand?: string;
  fields?: string;
  /** What rules see as `@request.query.*` and `@request.headers.*`. */
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** A cursor of an earlier subscription: first what came after it. */
  since?: string;
  /** What was missed is gone: fetch again. The subscription goes on with the present. */
  onReset?: () => void;
  /** The subscription has ended: it is not allowed any more. */
  onError?: (error: Error) => void;
}

export interface RecordEvent<T> {
  action: Action;
  /** For `leave` only its id and collection: it went out of sight. */
  record: T;
  cursor: string;
}

export interface Subscription {
  /** Where it is; good for `since`, also after a restart of the program or the server. */
  readonly cursor: string | null;
  unsubscribe(): void;
}

/** Hears of changes of `topic`: `COLLECTION/*` or `COLLECTION/RECORD_ID`. Rejects when the server refuses. */
export async function subscribe<T = AnyRecord>(
  connection: Connection,
  topic: string,
  hear: (event: RecordEvent<T>) => void,
  options: SubscribeOptions = {},
): Promise<Subscription> {
  const { onReset, onError, since, ...fields } = options;
  let sub: string | null = null;
  let cursor: string | null = since ?? null;
  // A frame may stand right behind the answer that tells which subscription it is for.
  const early: News[] = [];

  const take = (news: News): boolean => {
    if (news.sub !== sub) return false;
    if (news.type === "event") {
      cursor = news.cursor ?? cursor;
      hear({ action: news["action"] as Action, record: news["record"] as T, cursor: cursor ?? "" });
    } else if (news.type === "reset") {
      cursor = news.cursor ?? cursor;
      onReset?.();
    } else if (news.type === "error") {
      connection.detach(attachment);
      attachment.fail(RealtimeError.from(news));
    }
    return true;
  };

  const attachment: Attachment = {
    async begin() {
      sub = null;
      early.length = 0;
      const answer = await connection.ask("subscribe", { ...fields, topic, ...(cursor ? { since: cursor } : {}) });
      sub = answer["sub"] as string;
      cursor ??= answer["cursor"] as string;
      for (const news of early.splice(0)) take(news);
    },
    hear(news) {
      if (sub === null && news.sub) early.push(news);
      return sub !== null && take(news);
    },
    age(now) {
      if (sub !== null) cursor = now;
    },
    fail(error) {
      onError?.(error);
    },
  };
  await connection.attach(attachment);
  return {
    get cursor() {
      return cursor;
    },
    unsubscribe() {
      const known = sub;
      sub = "";
      if (known) connection.ask("unsubscribe", { sub: known }).catch(() => {});
      connection.detach(attachment);
    },
  };
}
