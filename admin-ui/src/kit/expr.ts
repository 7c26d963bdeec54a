// The filter and rule language: a lexer for colouring and completion, a checker for the error mark.
// The server has the last word; this only says early and precisely where a text cannot be right.

export type TokenKind =
  | 'ws'
  | 'comment'
  | 'ident'
  | 'macro'
  | 'number'
  | 'text'
  | 'op'
  | 'join'
  | 'open'
  | 'close'
  | 'comma'
  | 'bad';

export interface Token {
  kind: TokenKind;
  from: number;
  to: number;
}

export interface Fault {
  from: number;
  to: number;
  message: string;
}

const rules: [TokenKind, RegExp][] = [
  ['ws', /[ \t\n]+/y],
  ['comment', /\/\/[^\n]*/y],
  ['text', /'(?:\\[^]|[^'\\])*'|"(?:\\[^]|[^"\\])*"/y],
  ['number', /-?\d+(?:\.\d+)?(?![\w.])/y],
  ['macro', /@[A-Za-z][\w.:]*/y],
  ['ident', /[A-Za-z_#][\w.:]*/y],
  ['op', /\?(?:!=|!~|<=|>=|=|~|<|>)|!=|!~|<=|>=|=|~|<|>/y],
  ['join', /&&|\|\|/y],
  ['open', /\(/y],
  ['close', /\)/y],
  ['comma', /,/y],
];

export function lex(text: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  next: while (at < text.length) {
    for (const [kind, pattern] of rules) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match) {
        out.push({ kind, from: at, to: at + match[0].length });
        at += match[0].length;
        continue next;
      }
    }
    const open = text[at] === "'" || text[at] === '"';
    const to = open ? text.length : at + 1;
    out.push({ kind: 'bad', from: at, to });
    at = to;
  }
  return out;
}

const operand = (token: Token | undefined) =>
  token !== undefined && ['ident', 'macro', 'number', 'text'].includes(token.kind);

/** The first thing that cannot be right, or null. An empty text is no filter at all and is fine. */
export function check(text: string): Fault | null {
  const tokens = lex(text).filter((t) => t.kind !== 'ws' && t.kind !== 'comment');
  if (tokens.length === 0) return text === '' ? null : fault(text, { from: 0, to: text.length }, 'empty');
  let at = 0;
  const peek = () => tokens[at];

  const end = (): Token => ({ kind: 'bad', from: text.length, to: text.length });
  const parseOperand = (): Fault | null => {
    const token = peek();
    if (!operand(token)) return fault(text, token ?? end(), 'operand');
    const last = text[token!.to - 1];
    if (token!.kind === 'ident' && (last === '.' || last === ':')) return fault(text, token!, 'path');
    if (token!.kind === 'macro' && (last === '.' || last === ':')) return fault(text, token!, 'path');
    at++;
    const open = peek();
    if (token!.kind === 'ident' && open?.kind === 'open' && open.from === token!.to) {
      at++;
      while (peek() && peek()!.kind !== 'close') {
        const bad = parseOperand();
        if (bad) return bad;
        if (peek()?.kind === 'comma') at++;
        else if (peek()?.kind !== 'close') return fault(text, peek() ?? end(), 'comma');
      }
      if (!peek()) return fault(text, open, 'unclosed');
      at++;
    }
    return null;
  };
  const parseTerm = (): Fault | null => {
    const token = peek();
    if (token?.kind === 'open') {
      at++;
      if (peek()?.kind === 'close') return fault(text, peek()!, 'group');
      const bad = parseList(true);
      if (bad) return bad;
      if (peek()?.kind !== 'close') return fault(text, token, 'unclosed');
      at++;
      return null;
    }
    const left = parseOperand();
    if (left) return left;
    if (peek()?.kind !== 'op') return fault(text, peek() ?? end(), 'operator');
    at++;
    return parseOperand();
  };
  const parseList = (inGroup: boolean): Fault | null => {
    for (;;) {
      const bad = parseTerm();
      if (bad) return bad;
      const token = peek();
      if (!token || (inGroup && token.kind === 'close')) return null;
      if (token.kind === 'join') at++;
      else if (token.kind !== 'open' && tokens[at - 1]?.kind !== 'close') return fault(text, token, 'join');
      else if (token.kind === 'close') return fault(text, token, 'close');
    }
  };
  return parseList(false);
}

const messages = {
  empty: () => 'A rule of blanks only is not allowed.',
  operand: (what: string) =>
    what === ''
      ? 'A field, a value or a macro is missing here.'
      : `Expected a field, a value or a macro, not ${what}.`,
  path: (what: string) => `${what} is not complete.`,
  comma: (what: string) => `Expected a comma or a closing bracket, not ${what}.`,
  unclosed: () => 'This bracket is never closed.',
  group: () => 'There is nothing between these brackets.',
  operator: (what: string) =>
    what === ''
      ? 'A comparison such as = or ~ is missing here.'
      : `Expected a comparison such as = or ~, not ${what}.`,
  join: (what: string) => `Expected && or || before ${what}.`,
  close: () => 'This bracket was never opened.',
};

function fault(text: string, at: { from: number; to: number }, why: keyof typeof messages): Fault {
  const what = text.slice(at.from, at.to);
  if (/^['"]/.test(what) && (what.length < 2 || what.at(-1) !== what[0]))
    return { from: at.from, to: at.to, message: 'This text is never closed.' };
  return {
    from: at.from,
    to: at.to,
    message: messages[why](what.length > 24 ? `${what.slice(0, 24)}…` : what),
  };
}

/** A value as a quoted text of the filter language. */
export const quote = (value: string) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
