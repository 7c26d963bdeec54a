// What goes over the wire (realtime protocol, version 1): docs/realtime.md of the server says what each frame means.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A record as the server sends it. */
export interface AnyRecord {
  id: string;
  collectionId?: string;
  collectionName?: string;
  [field: string]: unknown;
}

export type Action = "create" | "update" | "delete" | "leave";

export interface Member<P = Json, R = AnyRecord> {
  /** What others know this connection by, in this channel. */
  member: string;
  presence: P | null;
  /** The record behind it as this client may see it. */
  record: R | null;
}

export type Change<T> =
  | { op: "remove"; id: string }
  | { op: "update"; id: string; index: number; record: T }
  | { op: "add"; index: number; record: T };

export interface Answer {
  type: "ok" | "error";
  id: number | string | null;
  status?: number;
  message?: string;
  data?: Record<string, unknown>;
  [field: string]: unknown;
}

/** Whatever the server says that answers nothing; `type` tells what else is in it. */
export interface News {
  type: string;
  sub?: string;
  channel?: string;
  cursor?: string;
  [field: string]: unknown;
}

/** A refusal of the server, with the status and data that the HTTP API would give. */
export class RealtimeError extends Error {
  override name = "RealtimeError";

  constructor(
    message: string,
    readonly status: number,
    readonly data: Record<string, unknown> = {},
  ) {
    super(message);
  }

  static from(answer: Answer | News): RealtimeError {
    const { status, message, data } = answer as Answer;
    return new RealtimeError(message ?? "refused", status ?? 0, data ?? {});
  }
}

/** The connection broke before the answer came: nobody knows whether the server has done it. */
export class ConnectionLost extends Error {
  override name = "ConnectionLost";

  constructor() {
    super("the connection was lost before the answer came");
  }
}
