// A list request that stays true.

import type { Attachment, Connection } from "./connection.js";
import { RealtimeError, type AnyRecord, type Change, type News } from "./protocol.js";

export interface LiveOptions {
  filter?: string;
  sort?: string;
  /** 1 to 1,000; 100 when nothing is said. */
  limit?: number;
  expand?: string;
  fields?: string;
}

/** The result of a query, always the present one. Arrays are never changed, only replaced. */
export interface LiveQuery<T> extends AsyncIterable<readonly T[]> {
  /** The result; undefined until the first one came. */
  readonly items: readonly T[] | undefined;
  /** Why it has ended, if it was refused. */
  readonly error: Error | undefined;
  /** Calls back with each result from now on, and at once with the present one; gives the way to stop. */
  listen(hear: (items: readonly T[]) => void): () => void;
  /** Ends the query. */
  close(): void;
}

/**
 * Keeps the answer to a list request true. Listen with a callback, or `for await` the result: a loop that is slower than
 * the changes skips to the latest result. Leaving the loop ends a query that nobody else listens to.
 */
export function live<T extends { id: string } = AnyRecord>(
  connection: Connection,
  collection: string,
  options: LiveOptions = {},
  callback?: (items: readonly T[]) => void,
): LiveQuery<T> {
  const listeners = new Set<(items: readonly T[]) => void>();
  const enders = new Set<() => void>();
  let items: readonly T[] | undefined;
  let error: Error | undefined;
  let closed = false;
  let sub: string | null = null;
  const early: News[] = [];

  const tell = (result: readonly T[]) => {
    items = result;
    for (const hear of [...listeners]) hear(result);
  };
  const end = (why?: Error) => {
    if (closed) return;
    closed = true;
    error = why;
    for (const ended of [...enders]) ended();
  };
  const take = (news: News): boolean => {
    if (news.sub !== sub) return false;
    if (news.type === "snapshot") tell(news["items"] as T[]);
    else if (news.type === "diff") tell(apply(items ?? [], news["changes"] as Change<T>[]));
    else if (news.type === "error") {
      connection.detach(attachment);
      end(RealtimeError.from(news));
    }
    return true;
  };

  const attachment: Attachment = {
    async begin() {
      sub = null;
      early.length = 0;
      const answer = await connection.ask("live", { ...options, collection });
      sub = answer["sub"] as string;
      for (const news of early.splice(0)) take(news);
    },
    hear(news) {
      if (sub === null && news.sub) early.push(news);
      return sub !== null && take(news);
    },
    fail: end,
  };

  const query: LiveQuery<T> = {
    get items() {
      return items;
    },
    get error() {
      return error;
    },
    listen(hear) {
      listeners.add(hear);
      if (items) hear(items);
      return () => void listeners.delete(hear);
    },
    close() {
      if (closed) return;
      const known = sub;
      sub = "";
      if (known) connection.ask("unsubscribe", { sub: known }).catch(() => {});
      connection.detach(attachment);
      end();
    },
    async *[Symbol.asyncIterator]() {
      let news = items !== undefined;
      let wake = () => {};
      const hear = () => {
        news = true;
        wake();
      };
      listeners.add(hear);
      enders.add(hear);
      try {
        for (;;) {
          if (news && items && !closed) {
            news = false;
            yield items;
          } else if (closed) {
            if (error) throw error;
            return;
          } else {
            await new Promise<void>((resolve) => (wake = resolve));
          }
        }
      } finally {
        listeners.delete(hear);
        enders.delete(hear);
        if (listeners.size === 0 && enders.size === 0) query.close();
      }
    },
  };
  if (callback) listeners.add(callback);
  connection.attach(attachment).catch(end);
  return query;
}

/** The result after `changes`, done one after the other. */
export function apply<T extends { id: string }>(items: readonly T[], changes: readonly Change<T>[]): T[] {
  const result = [...items];
  for (const change of changes) {
    if (change.op !== "add") {
      const at = result.findIndex((item) => item.id === change.id);
      if (at >= 0) result.splice(at, 1);
    }
    if (change.op !== "remove") result.splice(change.index, 0, change.record);
  }
  return result;
}
