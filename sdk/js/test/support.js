// A real server for each test file, and a wire that can be cut.

import { createServer, connect as dial } from "node:net";
import { after } from "node:test";
import WebSocket from "ws";
import { connect } from "../dist/index.js";
import { World, everyone, eventually } from "../../../tests/sdk/support.js";

export { World, everyone, eventually };

/** A relay between a client and the server: `cut` breaks every connection through it, `close` also refuses new ones. */
export class Wire {
  #sockets = new Set();

  static async to(url) {
    const { hostname, port } = new URL(url);
    const wire = new Wire();
    wire.server = createServer((near) => {
      if (wire.closed) return near.destroy();
      const far = dial(Number(port), hostname);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ]) {
        wire.#sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => {
          wire.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    await new Promise((resolve) => wire.server.listen(0, "127.0.0.1", resolve));
    wire.url = `http://127.0.0.1:${wire.server.address().port}`;
    after(() => {
      wire.close();
      wire.server.close();
    });
    return wire;
  }

  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  close() {
    this.closed = true;
    this.cut();
  }

  open() {
    this.closed = false;
  }
}

/** A connection as `pb`, through `url`, which ends with the test. */
export function realtime(t, pb, options = {}) {
  const connection = connect(pb, { WebSocket, ...options });
  t.after(() => connection.close());
  return connection;
}
