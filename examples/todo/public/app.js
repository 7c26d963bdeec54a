// A todo list that is the same on every screen. Requests go over HTTP (api.js), news come over WebSocket (live.js).
// Text from people enters the page through textContent only.

import * as api from "./api.js";
import { Live } from "./live.js";

const $ = (id) => document.getElementById(id);
const todos = new Map(); // id -> record
const gone = new Set(); // ids of what was deleted while this page was open
let live = null;
let waitingEvents = null; // events that arrive while the list is being read, or null

// ---------------------------------------------------------------- signing in

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { email, password } = Object.fromEntries(new FormData(form));
  const sign = event.submitter?.value === "sign-up" ? api.signUp : api.signIn;
  const line = form.querySelector(".error");
  line.hidden = true;
  try {
    await sign(email, password);
    form.reset();
    enter();
  } catch (error) {
    line.textContent = error.message;
    line.hidden = false;
  }
});

$("sign-out").addEventListener("click", leave);

function enter() {
  $("sign-in").hidden = true;
  $("list").hidden = false;
  showState("offline");
  readList();
  live = new Live({
    topic: "todos/*",
    token: api.session.token,
    listener: { event: onEvent, reset: readList, state: showState },
  });
}

function leave() {
  live?.close();
  live = null;
  api.signOut();
  todos.clear();
  gone.clear();
  draw();
  $("list").hidden = true;
  $("sign-in").hidden = false;
}

// ---------------------------------------------------------------- keeping the list true

/** Reads the whole list. What happens meanwhile is applied afterwards, so that an old answer hides nothing new. */
async function readList() {
  const mine = (waitingEvents = [...(waitingEvents ?? [])]);
  await attempt(async () => {
    const items = await api.listTodos();
    if (waitingEvents !== mine) return; // a later reading took over
    todos.clear();
    for (const todo of items) todos.set(todo.id, todo);
  });
  if (waitingEvents !== mine) return;
  waitingEvents = null;
  mine.forEach(apply);
  draw();
}

function onEvent(event) {
  if (waitingEvents) {
    waitingEvents.push(event);
  } else {
    apply(event);
    draw();
  }
}

/** The answer to a request and the event of the same change may come in either order; the newer record stays. */
function apply({ action, record }) {
  if (action === "delete" || action === "leave") {
    todos.delete(record.id);
    gone.add(record.id);
  } else if (!gone.has(record.id) && !(todos.get(record.id)?.updated > record.updated)) {
    todos.set(record.id, record);
  }
}

function showState(state, reason) {
  if (state === "signedOut") return leave();
  $("status").textContent = { live: "Live", offline: "Connecting…", unsupported: "Not live", refused: reason }[state];
  $("status").classList.toggle("live", state === "live");
  $("not-live").hidden = state !== "unsupported";
}

$("reload").addEventListener("click", readList);
document.addEventListener("visibilitychange", () => {
  const isStale = !$("not-live").hidden && document.visibilityState === "visible";
  if (isStale && api.session) readList();
});

// ---------------------------------------------------------------- the list

$("new-todo").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const title = form.elements.title.value.trim();
  if (!title) return;
  form.reset(); // at once, so that the next todo can be written while this one travels
  attempt(
    async () => onEvent({ action: "create", record: await api.addTodo(title) }),
    () => (form.elements.title.value ||= title),
  );
});

function draw() {
  const sorted = [...todos.values()].sort((a, b) => compare(a.created, b.created) || compare(a.id, b.id));
  const focused = document.activeElement?.closest("#todos li")?.dataset.id;
  $("todos").replaceChildren(...sorted.map(item));
  $("empty").hidden = sorted.length > 0;
  if (focused)
    $("todos")
      .querySelector(`[data-id="${CSS.escape(focused)}"] input`)
      ?.focus();
}

function item(todo) {
  const box = make("input", { type: "checkbox", checked: todo.done });
  box.addEventListener("change", () =>
    attempt(
      async () => onEvent({ action: "update", record: await api.changeTodo(todo.id, { done: box.checked }) }),
      draw,
    ),
  );
  const label = document.createElement("label");
  label.append(box, make("span", { textContent: todo.title }));

  const remove = make("button", { type: "button", className: "link", textContent: "Delete" });
  remove.setAttribute("aria-label", `Delete ${todo.title}`);
  remove.addEventListener("click", () =>
    attempt(async () => {
      await api.deleteTodo(todo.id);
      onEvent({ action: "delete", record: todo });
    }),
  );

  const line = make("li", { className: todo.done ? "done" : "" });
  line.dataset.id = todo.id;
  line.append(label, remove);
  return line;
}

// ---------------------------------------------------------------- small parts

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Does the work and tells the person if it failed; `undo` then brings the screen back to the truth. */
async function attempt(work, undo = () => {}) {
  const line = $("problem");
  line.hidden = true;
  try {
    await work();
  } catch (error) {
    line.textContent = error.message;
    line.hidden = false;
    undo();
    if (error.status === 401) leave();
  }
}

// ---------------------------------------------------------------- start

draw();
try {
  if (api.session) await api.refresh();
} catch (error) {
  if (error.status === 0) console.warn(error.message);
}
if (api.session) enter();
else $("sign-in").hidden = false;
