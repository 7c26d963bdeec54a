// Starts the real server on an empty directory and a real browser in front of it.
import axe from 'axe-core';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import { expect } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const binary = process.env.BURROW_BIN ?? resolve(root, '../target/debug/burrow');
// Burrow carries the dashboard inside. Any other server that speaks the API gets it from dist, beside it.
const fromDist = process.env.BURROW_SERVE_DIST === '1' || !basename(binary).startsWith('burrow');

export const EMAIL = 'root@example.com';
export const PASSWORD = 'a-long-password';

export interface Burrow {
  /** Where the dashboard is. */
  ui: string;
  api: string;
  /** The link of the installer, without its origin: `#/pbinstall/…`. */
  installer: () => Promise<string>;
  token: () => Promise<string>;
  call: <T>(method: string, path: string, body?: unknown) => Promise<T>;
  /** A command of the server, on the same directory; gives what it printed. */
  cli: (...args: string[]) => string;
  down: () => Promise<void>;
  up: () => Promise<void>;
  stop: () => Promise<void>;
}

async function freePort(): Promise<number> {
  const socket = createSocket();
  await new Promise<void>((done) => socket.listen(0, '127.0.0.1', done));
  const { port } = socket.address() as AddressInfo;
  await new Promise((done) => socket.close(done));
  return port;
}

export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
  limit = 20_000,
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const value = await probe().catch(() => null);
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export async function start(options: { superuser: boolean; env?: Record<string, string> }): Promise<Burrow> {
  const dir = mkdtempSync(join(tmpdir(), 'burrow-e2e-'));
  const data = join(dir, 'data');
  if (options.superuser) {
    const made = spawnSync(binary, ['superuser', 'upsert', EMAIL, PASSWORD, '--dir', data], {
      encoding: 'utf8',
      cwd: dir,
    });
    if (made.status !== 0) throw new Error(`no superuser: ${made.stdout}${made.stderr}${made.error ?? ''}`);
  }
  const port = await freePort();
  const api = `http://127.0.0.1:${port}`;
  let output = '';
  // Nothing called xdg-open may be found, so that no browser is launched on the installer link.
  const serve = async () => {
    const child = spawn(binary, ['serve', '--http', `127.0.0.1:${port}`, '--dir', data], {
      cwd: dir,
      env: { ...process.env, ...options.env, BROWSER: 'true', PATH: dir },
    });
    child.on('error', (error) => (output += error));
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    await until(`the server (${binary})`, async () => (await fetch(`${api}/api/health`)).ok);
    return child;
  };
  let child = await serve();
  const front = fromDist ? await serveDist(port) : null;
  const ui = front ? `http://127.0.0.1:${(front.address() as AddressInfo).port}/_/` : `${api}/_/`;

  let known = '';
  const token = async () => {
    if (known) return known;
    const answer = await fetch(`${api}/api/collections/_superusers/auth-with-password`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ identity: EMAIL, password: PASSWORD }),
    });
    return (known = ((await answer.json()) as { token: string }).token);
  };
  return {
    ui,
    api,
    token,
    installer: () => until('the installer link', async () => /#\/pbinstall\/[\w.-]+/.exec(output)?.[0]),
    call: async <T>(method: string, path: string, body?: unknown) => {
      const answer = await fetch(api + path, {
        method,
        headers: { 'Content-Type': 'application/json', Authorization: await token() },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return (text === '' ? null : JSON.parse(text)) as T;
    },
    cli: (...args) => spawnSync(binary, [...args, '--dir', data], { encoding: 'utf8', cwd: dir }).stdout,
    down: () => ended(child),
    up: async () => {
      if (child.exitCode !== null || child.signalCode !== null) child = await serve();
    },
    stop: async () => {
      front?.closeAllConnections();
      front?.close();
      await ended(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await gone;
  clearTimeout(timer);
}

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** dist below `/_/` with the policy the dashboard has to live with, everything else passed on to the server. */
async function serveDist(port: number): Promise<Server> {
  const csp =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  const server = createServer((req, res) => {
    const path = new URL(req.url ?? '/', 'http://x').pathname;
    if (path.startsWith('/_/')) {
      const name = path.slice(3) || 'index.html';
      try {
        const file = readFileSync(join(root, 'dist', name));
        res.writeHead(200, {
          'Content-Type': types[extname(name)] ?? 'application/octet-stream',
          'Content-Security-Policy': csp,
        });
        res.end(file);
      } catch {
        res.writeHead(404).end();
      }
      return;
    }
    const on = httpRequest(
      { port, host: '127.0.0.1', path: req.url, method: req.method, headers: req.headers },
      (answer) => {
        res.writeHead(answer.statusCode ?? 500, answer.headers);
        res.flushHeaders();
        answer.on('error', () => res.destroy());
        answer.pipe(res);
      },
    );
    on.on('error', () => res.destroy());
    res.on('close', () => on.destroy());
    req.pipe(on);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

let browser: Browser | null = null;
export async function openBrowser(): Promise<Browser> {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--no-first-run',
    ],
  });
  return browser;
}
export async function closeBrowser() {
  await browser?.close();
  browser = null;
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What the browser complained about: there must be nothing. */
  complaints: string[];
}

export async function visit(options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await (
    await openBrowser()
  ).newContext({ viewport: { width: 1360, height: 820 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(20_000);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const complaints: string[] = [];
  const page = await context.newPage();
  watch(page, complaints);
  context.on('page', (other) => watch(other, complaints));
  return { context, page, complaints };
}

function watch(page: Page, complaints: string[]) {
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // Answers of 4xx are part of the stories; the browser logs each of them.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
}

export async function signIn(page: Page, burrow: Burrow, path = '') {
  await page.goto(burrow.ui + path);
  await page.getByLabel('Email').fill(EMAIL);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

/** Axe looks at the page alone: in a frame without scripts, which previews are, it could never answer. */
export async function accessible(page: Page) {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const options = { runOnly: { type: 'tag' as const, values }, iframes: false };
    return (await axe.run(document, options)).violations;
  });
  const found = violations.map(
    (v) =>
      `${v.id}: ${v.help}\n${v.nodes.map((n) => `    ${n.target.join(' ')}\n      ${n.failureSummary}`).join('\n')}`,
  );
  expect(found, found.join('\n')).toEqual([]);
}

/** Runs a story, and looks at what it ends with by axe; keeps a picture when it fails. */
export async function story(name: string, v: Visit, run: () => Promise<void>) {
  try {
    await run();
    for (const page of v.context.pages()) if (page.url().startsWith('http')) await accessible(page);
    expect(v.complaints).toEqual([]);
  } catch (error) {
    const folder = join(root, 'test-results');
    mkdirSync(folder, { recursive: true });
    for (const [i, page] of v.context.pages().entries())
      await page
        .screenshot({ path: join(folder, `${name.replace(/\W+/g, '-')}-${i}.png`) })
        .catch(() => undefined);
    throw error;
  } finally {
    await v.context.close();
  }
}
