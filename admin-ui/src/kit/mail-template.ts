// Mail templates: what may stand in them, and how one looks with sample values. Pure.

export interface Template {
  subject: string;
  body: string;
}

/** Placeholders of one template. `fields` are those of the account that everyone may see. */
export const placeholders = (own: string[], fields: string[]): string[] => [
  '{APP_NAME}',
  '{APP_URL}',
  ...own.map((name) => `{${name}}`),
  ...fields.map((name) => `{RECORD:${name}}`),
];

const samples: Record<string, string> = {
  '{TOKEN}': 'TOKEN',
  '{OTP}': '12345678',
  '{OTP_ID}': 'abcdefghijklmno',
  '{ALERT_INFO}': 'Firefox on Linux, 192.0.2.1',
};

/** With sample values in place; what the server does not know stays as it is, as in the mail. */
export function fillIn(source: string, known: string[], app: { name: string; url: string }): string {
  return source.replace(/\{[A-Z_]+(?::\w+)?\}/g, (mark) => {
    if (!known.includes(mark)) return mark;
    if (mark === '{APP_NAME}') return app.name;
    if (mark === '{APP_URL}') return app.url;
    return samples[mark] ?? mark.slice('{RECORD:'.length, -1);
  });
}

/** Placeholders in a text that the server would leave standing. */
export function unknownMarks(source: string, known: string[]): string[] {
  const found = source.match(/\{[A-Z_]+(?::\w+)?\}/g) ?? [];
  return [...new Set(found)].filter((mark) => !known.includes(mark));
}
