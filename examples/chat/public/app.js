// A small chat: accounts, rooms, and messages that appear for everyone at once.
// Text from people enters the page through textContent only.

import PocketBase, { ClientResponseError } from "./vendor/pocketbase.es.mjs";

const PAGE = 50;

const pb = new PocketBase(location.origin);
pb.autoCancellation(false);

const $ = (id) => document.getElementById(id);
const rooms = new Map(); // id -> record
const shown = new Map(); // id of a message -> its element in the open room
const gone = new Set(); // ids of rooms and messages that were deleted while this page was open
let openRoom = null; // record
let leaveRoom = async () => {}; // ends the subscription of the open room
let connectedBefore = false;

// ---------------------------------------------------------------- signing in

const signIn = $("sign-in");
let isNewcomer = false;

$("switch-form").addEventListener("click", () => {
  isNewcomer = !isNewcomer;
  $("name-label").hidden = !isNewcomer;
  signIn.elements.name.required = isNewcomer;
  signIn.elements.password.autocomplete = isNewcomer ? "new-password" : "current-password";
  $("sign-in-hint").textContent = isNewcomer ? "Create an account to talk." : "Sign in to talk.";
  signIn.querySelector(".primary").textContent = isNewcomer ? "Create account" : "Sign in";
  $("switch-form").textContent = isNewcomer ? "I have an account" : "I have no account yet";
  showFormError("");
});

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, email, password } = Object.fromEntries(new FormData(signIn));
  busyWhile(signIn, async () => {
    showFormError("");
    try {
      if (isNewcomer) {
        await pb.collection("users").create({ name: name.trim(), email, password, passwordConfirm: password });
      }
      await pb.collection("users").authWithPassword(email, password);
      signIn.reset();
      await enter();
    } catch (error) {
      showFormError(explain(error));
    }
  });
});

$("sign-out").addEventListener("click", leave);

function showFormError(text) {
  const line = signIn.querySelector(".error");
  line.textContent = text;
  line.hidden = !text;
}

async function enter() {
  $("welcome").hidden = true;
  $("chat").hidden = false;
  showMe();
  await pb.realtime.subscribe("PB_CONNECT", onConnect);
  await pb.collection("rooms").subscribe("*", onRoomEvent);
  await loadRooms();
}

async function leave() {
  await closeRoom();
  await pb.realtime.unsubscribe().catch(() => {});
  pb.authStore.clear();
  connectedBefore = false;
  rooms.clear();
  $("rooms").replaceChildren();
  $("chat").hidden = true;
  $("welcome").hidden = false;
}

// ---------------------------------------------------------------- the connection

// Server-sent events do not replay what was missed, so everything visible is read again after a pause.
function onConnect() {
  $("offline").hidden = true;
  if (connectedBefore)
    attempt(async () => {
      await loadRooms();
      if (openRoom) await loadMessages(openRoom);
    });
  connectedBefore = true;
}

pb.realtime.onDisconnect = (subscriptions) => {
  $("offline").hidden = subscriptions.length === 0;
};

// ---------------------------------------------------------------- my account

function showMe() {
  const me = pb.authStore.record;
  $("my-name").textContent = displayName(me);
  $("my-avatar").replaceChildren(avatar(me));
}

$("avatar-file").addEventListener("change", (event) => {
  const [picture] = event.target.files;
  if (!picture) return;
  attempt(async () => {
    const me = await pb.collection("users").update(pb.authStore.record.id, { avatar: picture });
    showMe();
    for (const element of shown.values()) {
      if (element.dataset.author === me.id) element.querySelector(".avatar").replaceWith(avatar(me));
    }
  }).finally(() => (event.target.value = ""));
});

// ---------------------------------------------------------------- rooms

// An answer may be older than an event that overtook it. So a list removes only what was known before it was asked for,
// and brings back nothing that was deleted meanwhile.

async function loadRooms() {
  const known = [...rooms.keys()];
  const all = await pb.collection("rooms").getFullList({ sort: "name:lower" });
  const present = new Set(all.map((room) => room.id));
  for (const id of known) if (!present.has(id)) rooms.delete(id);
  for (const room of all) if (!gone.has(room.id)) rooms.set(room.id, room);
  drawRooms();
}

function onRoomEvent({ action, record }) {
  if (action === "delete") {
    gone.add(record.id);
    rooms.delete(record.id);
  } else {
    rooms.set(record.id, record);
  }
  drawRooms();
}

function drawRooms() {
  if (openRoom && !rooms.has(openRoom.id)) {
    notify(`The room “${openRoom.name}” was deleted.`);
    closeRoom();
  }
  const sorted = [...rooms.values()].sort((a, b) => a.name.localeCompare(b.name));
  $("rooms").replaceChildren(
    ...sorted.map((room) => {
      const button = make("button", { type: "button", textContent: room.name });
      button.setAttribute("aria-current", String(room.id === openRoom?.id));
      button.addEventListener("click", () => attempt(() => enterRoom(room)));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
  $("no-rooms").hidden = sorted.length > 0;
}

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.name.value.trim();
  if (!name) return;
  busyWhile(form, () =>
    attempt(async () => {
      const room = await pb.collection("rooms").create({ name, owner: pb.authStore.record.id });
      form.reset();
      rooms.set(room.id, room);
      await enterRoom(room);
    }),
  );
});

$("delete-room").addEventListener("click", () => {
  const room = openRoom;
  if (!confirm(`Delete “${room.name}” and all its messages?`)) return;
  attempt(async () => {
    await closeRoom();
    await pb.collection("rooms").delete(room.id);
  });
});

$("back").addEventListener("click", () => closeRoom());

async function enterRoom(room) {
  if (openRoom?.id === room.id) return;
  await closeRoom();
  openRoom = room;
  $("room-name").textContent = room.name;
  $("delete-room").hidden = room.owner !== pb.authStore.record.id;
  $("composer").hidden = false;
  $("chat").classList.add("in-room");
  drawRooms();

  // Listening starts before reading, so that nothing said in between is missed.
  const stop = await pb.collection("messages").subscribe("*", onMessageEvent, {
    filter: pb.filter("room = {:room}", { room: room.id }),
    expand: "author",
  });
  if (openRoom !== room) return stop();
  leaveRoom = stop;
  await loadMessages(room);
  $("composer").elements.body.focus();
}

async function closeRoom() {
  const stop = leaveRoom;
  leaveRoom = async () => {};
  openRoom = null;
  shown.clear();
  $("messages").replaceChildren();
  $("room-name").textContent = "Choose a room";
  for (const id of ["delete-room", "composer", "earlier", "no-messages"]) $(id).hidden = true;
  $("chat").classList.remove("in-room");
  drawRooms();
  await stop().catch(() => {}); // a subscription that is lost already needs no ending
}

// ---------------------------------------------------------------- messages

async function loadMessages(room, before = "") {
  const known = [...shown];
  const page = await pb.collection("messages").getList(1, PAGE, {
    filter: before
      ? pb.filter("room = {:room} && created <= {:before}", { room: room.id, before })
      : pb.filter("room = {:room}", { room: room.id }),
    sort: "-created",
    expand: "author",
    skipTotal: true,
  });
  if (openRoom !== room) return;

  // After a pause: what was deleted has to go, and so has everything if more was said than one page holds.
  if (!before) {
    const present = new Set(page.items.map((message) => message.id));
    const oldest = page.items.at(-1)?.created ?? "";
    const overlaps = known.some(([id]) => present.has(id));
    for (const [id, element] of known) {
      if (!present.has(id) && (!overlaps || element.dataset.created >= oldest)) removeMessage(id);
    }
  }
  keepingPlace(Boolean(before), () => page.items.forEach(showMessage));
  $("earlier").hidden = page.items.length < PAGE;
  $("no-messages").hidden = shown.size > 0;
}

function onMessageEvent({ action, record }) {
  if (record.room !== openRoom?.id) return;
  if (action === "delete") {
    gone.add(record.id);
    removeMessage(record.id);
  } else {
    keepingPlace(false, () => showMessage(record));
  }
  $("no-messages").hidden = shown.size > 0;
}

function showMessage(message) {
  if (shown.has(message.id) || gone.has(message.id)) return;
  const element = messageElement(message);
  const next = [...$("messages").children].find((other) => other.dataset.created > message.created);
  $("messages").insertBefore(element, next ?? null);
  shown.set(message.id, element);
}

function removeMessage(id) {
  shown.get(id)?.remove();
  shown.delete(id);
}

function messageElement(message) {
  const me = pb.authStore.record;
  const isMine = message.author === me.id;
  const author = isMine ? me : message.expand?.author;
  const sent = new Date(message.created.replace(" ", "T"));

  const time = make("time", {
    dateTime: sent.toISOString(),
    textContent: sent.toLocaleString([], { dateStyle: "short", timeStyle: "short" }),
  });
  const byline = make("div", { className: "byline" });
  byline.append(make("strong", { textContent: isMine ? "You" : displayName(author) }), time);
  if (isMine) {
    const remove = make("button", { type: "button", className: "link danger", textContent: "Delete" });
    remove.addEventListener("click", () => attempt(() => pb.collection("messages").delete(message.id)));
    byline.append(remove);
  }

  const bubble = make("div", { className: "bubble" });
  bubble.append(byline, make("p", { className: "body", textContent: message.body }));
  const item = make("li", { className: isMine ? "message mine" : "message" });
  item.dataset.created = message.created;
  item.dataset.author = message.author;
  item.append(avatar(author), bubble);
  return item;
}

/** Keeps the reader at the end of the talk, or at the message being read. */
function keepingPlace(isHistory, change) {
  const scroller = $("scroller");
  const fromEnd = scroller.scrollHeight - scroller.scrollTop;
  const wasAtEnd = fromEnd - scroller.clientHeight < 80;
  change();
  if (isHistory) scroller.scrollTop = scroller.scrollHeight - fromEnd;
  else if (wasAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

$("earlier").addEventListener("click", () =>
  attempt(() => loadMessages(openRoom, $("messages").firstElementChild.dataset.created)),
);

const composer = $("composer");

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const body = composer.elements.body.value.trim();
  if (!body || !openRoom) return;
  composer.reset(); // at once, so that the next message can be written while this one travels
  attempt(
    () => pb.collection("messages").create({ room: openRoom.id, author: pb.authStore.record.id, body }),
    () => (composer.elements.body.value ||= body),
  );
  composer.elements.body.focus();
});

composer.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

// ---------------------------------------------------------------- small parts

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function displayName(user) {
  return user?.name || "Somebody";
}

function avatar(user) {
  if (user?.avatar) {
    return make("img", { className: "avatar", alt: "", src: pb.files.getURL(user, user.avatar, { thumb: "100x100" }) });
  }
  const initials = displayName(user)
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase() ?? "")
    .join("");
  const circle = make("span", { className: "avatar", textContent: initials });
  circle.setAttribute("aria-hidden", "true");
  return circle;
}

async function busyWhile(form, work) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
  }
}

/** Does the work; tells the person if it failed, and asks to sign in again if the account is no longer known. */
async function attempt(work, undo = () => {}) {
  try {
    await work();
  } catch (error) {
    undo();
    notify(explain(error));
    if (error instanceof ClientResponseError && error.status === 401) await leave();
  }
}

function explain(error) {
  if (!(error instanceof ClientResponseError)) {
    console.error(error);
    return "Something went wrong.";
  }
  if (error.status === 0) return "The server cannot be reached.";
  const fields = Object.entries(error.response.data ?? {}).map(([field, { message }]) => `${field}: ${message}`);
  return fields.join(" ") || error.message;
}

let noticeTimer;
function notify(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => ($("notice").hidden = true), 6000);
}

// ---------------------------------------------------------------- start

try {
  if (pb.authStore.isValid) await pb.collection("users").authRefresh();
} catch (error) {
  if (error.status === 0) notify(explain(error));
  else pb.authStore.clear();
}
if (pb.authStore.isValid) await attempt(enter);
else $("welcome").hidden = false;
