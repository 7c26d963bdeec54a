// Values as people read them. Pure; locale and zone come from the browser.

// Made once: making one costs a hundred times what using it does.
let numbers: Intl.NumberFormat | undefined;
export const number = (value: number) => (numbers ??= new Intl.NumberFormat()).format(value);

export function bytes(value: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB'];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${at === 0 ? value : value.toFixed(1).replace('.0', '')} ${units[at]}`;
}

/** `2026-11-20 22:57:20.299Z` as the server writes it → Date, or null. */
export function parseDate(value: unknown): Date | null {
  if (typeof value !== 'string' || value === '') return null;
  const date = new Date(value.replace(' ', 'T'));
  return Number.isNaN(date.getTime()) ? null : date;
}

export const toServerDate = (date: Date) => date.toISOString().replace('T', ' ');

const pad = (n: number, size = 2) => String(n).padStart(size, '0');

/** For `<input type="datetime-local">`, in the browser's zone. */
export function toLocalInput(value: unknown): string {
  const d = parseDate(value);
  if (!d) return '';
  const seconds = d.getSeconds() || d.getMilliseconds() ? `:${pad(d.getSeconds())}` : '';
  const milli = d.getMilliseconds() ? `.${pad(d.getMilliseconds(), 3)}` : '';
  return `${pad(d.getFullYear(), 4)}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}${seconds}${milli}`;
}

export function fromLocalInput(value: string): string {
  if (value === '') return '';
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? '' : toServerDate(date);
}

/** Short and sortable, local time: `2026-11-20 23:57:20`. */
export function shortDate(value: unknown): string {
  const d = parseDate(value);
  if (!d) return '';
  return `${pad(d.getFullYear(), 4)}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export function zoneName(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time';
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: ' ' };

/** Rich text as one plain line. Only for display as text, never for markup. */
export function excerpt(html: string, max = 200): string {
  return html
    .slice(0, max * 20)
    .replace(/<(script|style)[^]*?<\/\1>/gi, ' ')
    .replace(/<\/?(?:a|b|i|u|s|em|strong|code|span|small|sub|sup|mark|big)\b[^>]*>/gi, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(#?\w+);/g, (all, name: string) => entities[name.toLowerCase()] ?? all)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, max);
}

export function oneLine(value: unknown, max = 300): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.slice(0, max).replace(/\s+/g, ' ');
}

export const isImage = (name: string) => /\.(png|jpe?g|gif|webp)$/i.test(name);
