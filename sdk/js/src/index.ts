// Realtime of Burrow beside the PocketBase SDK. Everything is a function over a connection, so that a bundler keeps only what
// is used.

export { connect, Connection, type Options, type SocketClass, type SocketLike, type Status } from "./connection.js";
export { subscribe, type RecordEvent, type SubscribeOptions, type Subscription } from "./subscribe.js";
export { live, type LiveOptions, type LiveQuery } from "./live.js";
export { join, type Channel, type JoinOptions, type Message } from "./channel.js";
export { ConnectionLost, RealtimeError, type Action, type AnyRecord, type Json, type Member } from "./protocol.js";
