// Checks the weight of dist: the first load is what index.html names plus everything those files import statically.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const limits = { first: 120 * 1024, whole: 600 * 1024 };
const gz = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

const walk = (dir) =>
  readdirSync(join(dist, dir)).flatMap((name) => {
    const path = join(dir, name);
    return statSync(join(dist, path)).isDirectory() ? walk(path) : [path];
  });

const html = readFileSync(join(dist, 'index.html'), 'utf8');
if (/<script(?![^>]*\ssrc=)[^>]*>/.test(html)) throw new Error('index.html has an inline script');

const first = new Set(['index.html']);
const queue = [...html.matchAll(/(?:src|href)="\/_\/(assets\/[^"]+)"/g)].map((m) => m[1]);
while (queue.length) {
  const file = queue.pop();
  if (first.has(file)) continue;
  first.add(file);
  if (!file.endsWith('.js')) continue;
  const text = readFileSync(join(dist, file), 'utf8');
  for (const m of text.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) queue.push(`assets/${m[1]}`);
}

const sum = (files) => files.reduce((total, file) => total + gz(file), 0);
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
const firstSize = sum([...first]);
const wholeSize = sum(walk(''));
console.log(`first load  ${kb(firstSize)} of ${kb(limits.first)} gzip (${first.size} files)`);
console.log(`whole dist  ${kb(wholeSize)} of ${kb(limits.whole)} gzip`);
if (firstSize > limits.first || wholeSize > limits.whole) {
  console.error('over budget');
  process.exit(1);
}
