// A client of Burrow's WebSocket protocol for tests: every request waits for its one answer, everything the server
// says by itself is queued in order.

import WebSocket from "ws";
import { Inbox } from "./support.js";

export class Socket {
  #lastId = 0;
  #answers = new Map(); // id -> Inbox

  /** Connects, and waits for the `hello`. */
  static async open(server, protocols = ["burrow.v1"]) {
    const socket = new Socket(server, protocols);
    socket.hello = await socket.news.next("the hello");
    return socket;
  }

  constructor(server, protocols) {
    this.news = new Inbox(); // hello, event, reset, … and answers that belong to no request
    this.frames = []; // everything, as it came
    this.raw = new WebSocket(`${server.replace("http", "ws")}/api/realtime`, protocols);
    this.closed = new Promise((resolve) => this.raw.on("close", (code) => resolve(code)));
    this.raw.on("error", (error) => this.news.put({ type: "broken", error }));
    this.raw.on("message", (data, isBinary) => {
      const frame = isBinary ? { type: "binary" } : JSON.parse(data);
      this.frames.push(frame);
      (this.#answers.get(frame.id) ?? this.news).put(frame);
    });
  }

  /** Sends a message and gives its answer, be it `ok` or `error`. */
  async ask(type, fields = {}, id = ++this.#lastId) {
    this.#answers.set(id, new Inbox());
    this.raw.send(JSON.stringify({ type, id, ...fields }));
    return this.#answers.get(id).next(`the answer to ${type}`);
  }

  async close() {
    this.raw.close();
    await this.closed;
  }
}
