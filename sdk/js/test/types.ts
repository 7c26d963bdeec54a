// Compiles when the types say what a user expects of them.

import PocketBase from "pocketbase";
import { connect, join, live, subscribe, type Member } from "../src/index.js";

interface Post {
  id: string;
  title: string;
}

export async function example(): Promise<void> {
  const realtime = connect(new PocketBase("http://127.0.0.1:8090"));

  const subscription = await subscribe<Post>(realtime, "posts/*", ({ action, record }) => {
    const title: string = record.title;
    const kind: "create" | "update" | "delete" | "leave" = action;
    void [title, kind];
  });
  const cursor: string | null = subscription.cursor;

  for await (const posts of live<Post>(realtime, "posts", { sort: "-created", limit: 20 })) {
    const first: Post | undefined = posts[0];
    void first;
    // @ts-expect-error results are never changed, only replaced
    posts.push({ id: "", title: "" });
  }

  const room = await join<{ name: string }>(realtime, "room:1", { presence: { name: "Ann" } });
  const members: readonly Member<{ name: string }>[] = room.members;
  room.onMessage<{ text: string }>(({ payload }) => void payload.text, "say");
  // @ts-expect-error presence has a name
  await room.present({ nick: "Ann" });
  void [cursor, members];
}
