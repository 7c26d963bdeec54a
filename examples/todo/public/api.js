// The HTTP side: who is signed in, and plain requests with fetch.

const STORE = "todo-session";

/** A refusal by the server, in words for people. `status` is 0 when no server answered. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** `{token, record}` of the person, or null. */
export let session = JSON.parse(localStorage.getItem(STORE) ?? "null");

function remember(value) {
  session = value;
  if (value) localStorage.setItem(STORE, JSON.stringify(value));
  else localStorage.removeItem(STORE);
}

export async function call(method, path, body) {
  const headers = {};
  if (session) headers.Authorization = session.token;
  if (body !== undefined) headers["Content-Type"] = "application/json";

  let answer;
  try {
    answer = await fetch(`/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "The server cannot be reached.");
  }
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(answer.status, explain(answer, text));
  return text ? JSON.parse(text) : null;
}

function explain(answer, text) {
  try {
    const { message, data } = JSON.parse(text);
    const fields = Object.entries(data).map(([name, leaf]) => `${name}: ${leaf.message}`);
    return fields.join(" ") || message;
  } catch {
    return `The server answered with status ${answer.status}.`;
  }
}

export async function signIn(identity, password) {
  remember(await call("POST", "collections/users/auth-with-password", { identity, password }));
}

export async function signUp(email, password) {
  await call("POST", "collections/users/records", { email, password, passwordConfirm: password });
  await signIn(email, password);
}

/** Asks the server whether the remembered session still holds. */
export async function refresh() {
  try {
    remember(await call("POST", "collections/users/auth-refresh"));
  } catch (error) {
    if (error.status !== 0) remember(null);
    throw error;
  }
}

export function signOut() {
  remember(null);
}

/** Every todo of the person, oldest first. */
export async function listTodos() {
  const todos = [];
  for (let page = 1; ; page++) {
    const { items, perPage } = await call(
      "GET",
      `collections/todos/records?sort=created&perPage=1000&skipTotal=1&page=${page}`,
    );
    todos.push(...items);
    if (items.length < perPage) return todos;
  }
}

export const addTodo = (title) => call("POST", "collections/todos/records", { title, owner: session.record.id });

export const changeTodo = (id, change) => call("PATCH", `collections/todos/records/${id}`, change);

export const deleteTodo = (id) => call("DELETE", `collections/todos/records/${id}`);
