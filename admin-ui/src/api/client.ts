// The one place that talks to the server.
import { ApiError } from './errors';

export interface Hooks {
  token(): string;
  /** Called before a request with a token that has run out, and after a 401. Resolves once somebody signed in again. */
  renew(): Promise<void>;
  /** True if the token is known to have run out. */
  stale(): boolean;
  /** Asks the server whether it still accepts this token. */
  accepted(token: string): Promise<boolean>;
}

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
  /** Another token than the session's; '' for none. Never renews. */
  token?: string;
  keepalive?: boolean;
  /** The answer is text, not JSON. */
  text?: boolean;
  headers?: Record<string, string>;
  /** Told the entity tag of the answer, where it has one. */
  ontag?: (tag: string) => void;
  /** 0–1 while a body is being sent. */
  progress?: (part: number) => void;
}

// The dashboard lives in `/_/`, the API beside it, also when both are served below a prefix.
const root = () =>
  typeof document === 'undefined'
    ? ''
    : new URL('../', document.baseURI.split('#')[0]).pathname.replace(/\/$/, '');
let hooks: Hooks = {
  token: () => '',
  renew: () => Promise.reject(new Error('no session')),
  stale: () => false,
  accepted: () => Promise.resolve(true),
};
// What a guest may be told: a token that is no longer good makes its bearer a guest, without saying so.
const guestAnswers = [401, 403, 404];
export const setHooks = (next: Hooks) => (hooks = next);
export const apiUrl = (path: string) => root() + path;
/** For what cannot send headers: the token goes into the first message there. */
export const token = () => hooks.token();

export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const own = options.token === undefined;
  if (own && hooks.token() !== '' && hooks.stale()) await hooks.renew();
  const used = options.token ?? hooks.token();
  try {
    return await send<T>(path, options, used);
  } catch (error) {
    if (!(error instanceof ApiError) || !own || used === '' || !guestAnswers.includes(error.status))
      throw error;
    if (hooks.token() === used) {
      if (error.status !== 401 && (await hooks.accepted(used))) throw error;
      await hooks.renew();
    }
    return send<T>(path, options, hooks.token());
  }
}

async function send<T>(path: string, options: RequestOptions, token: string): Promise<T> {
  const { method = 'GET', body, signal, keepalive } = options;
  const headers: Record<string, string> = { ...options.headers };
  if (token !== '') headers.Authorization = token;
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers['Content-Type'] = 'application/json';
  const payload = form ? body : body === undefined ? undefined : JSON.stringify(body);
  if (options.progress) return sendWithProgress<T>(apiUrl(path), method, headers, payload, options);
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      body: payload,
      signal,
      keepalive,
      cache: 'no-store',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
  const tag = response.headers.get('ETag');
  if (tag !== null) options.ontag?.(tag);
  const told = await response.text();
  return options.text && response.ok ? (told as T) : answer<T>(response.status, told);
}

/** A request whose answer comes a line of JSON at a time. Resolves with the last line. */
export async function requestLines<T>(
  path: string,
  options: RequestOptions,
  online: (line: T) => void,
): Promise<T> {
  if (hooks.token() !== '' && hooks.stale()) await hooks.renew();
  const { method = 'POST', body, signal, keepalive } = options;
  const raw = body instanceof Blob || body instanceof FormData;
  const headers: Record<string, string> = { Authorization: hooks.token(), ...options.headers };
  if (body !== undefined && !raw) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      body: raw ? body : body === undefined ? undefined : JSON.stringify(body),
      signal,
      keepalive,
      cache: 'no-store',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
  if (!response.ok || !response.body) return answer<T>(response.status, await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let last: T | undefined;
  const take = (line: string) => {
    if (line.trim() === '') return;
    last = JSON.parse(line) as T;
    online(last);
  };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? '')).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(take);
      if (done) break;
    }
    take(rest);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
  if (last === undefined) throw unreachable();
  return last;
}

function sendWithProgress<T>(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: FormData | string | undefined,
  options: RequestOptions,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (e) => e.lengthComputable && options.progress?.(e.loaded / e.total);
    xhr.onerror = () => reject(unreachable());
    xhr.onload = () => {
      const tag = xhr.getResponseHeader('ETag');
      if (tag !== null) options.ontag?.(tag);
      try {
        resolve(answer<T>(xhr.status, xhr.responseText));
      } catch (error) {
        reject(error);
      }
    };
    xhr.send(body);
  });
}

function answer<T>(status: number, text: string): T {
  let body: unknown = null;
  try {
    body = text === '' ? null : JSON.parse(text);
  } catch {
    body = null;
  }
  if (status >= 200 && status < 300) return body as T;
  const shape = (body ?? {}) as { message?: string; data?: unknown };
  throw new ApiError(
    status,
    shape.message ?? `The server answered with status ${status}.`,
    shape.data ?? body ?? {},
    body,
  );
}

const unreachable = () =>
  new ApiError(0, 'The server cannot be reached. Check that it is running, then try again.');
