// Small tokenizers that colour code inputs.
import { lex } from './expr';

export type Tone = 'plain' | 'name' | 'key' | 'text' | 'number' | 'word' | 'op' | 'comment' | 'bad';
export interface Piece {
  text: string;
  tone: Tone;
}
export type Language = 'rule' | 'json' | 'sql' | 'html' | 'plain';

const grammars: Record<'json' | 'sql' | 'html', [Tone, RegExp][]> = {
  json: [
    ['key', /"(?:\\.|[^"\\])*"(?=\s*:)/y],
    ['text', /"(?:\\.|[^"\\])*"/y],
    ['number', /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y],
    ['word', /\b(?:true|false|null)\b/y],
    ['op', /[{}[\],:]/y],
    ['plain', /\s+|\w+|[^]/y],
  ],
  sql: [
    ['comment', /--[^\n]*|\/\*[^]*?\*\//y],
    ['text', /'(?:''|[^'])*'/y],
    ['name', /"[^"]*"|`[^`]*`|\[[^\]]*\]/y],
    ['number', /\b\d+(?:\.\d+)?\b/y],
    [
      'word',
      /\b(?:select|from|where|join|left|right|inner|outer|cross|on|as|and|or|not|in|is|null|like|group|by|order|having|limit|offset|union|all|distinct|case|when|then|else|end|with|cast|over|partition|count|sum|avg|min|max|total|coalesce|iif|exists|between|asc|desc|using)\b/iy,
    ],
    ['op', /[-+*/%=<>!|(),.;]+/y],
    ['plain', /\s+|\w+|[^]/y],
  ],
  html: [
    ['comment', /<!--[^]*?-->/y],
    ['word', /<\/?[\w-]+|\/?>/y],
    ['text', /"[^"<>]*"(?=[^<]*>)/y],
    ['number', /&#?\w+;/y],
    ['plain', /[^<>"&]+|[^]/y],
  ],
};

const ruleTone: Record<string, Tone> = {
  ident: 'name',
  macro: 'key',
  number: 'number',
  text: 'text',
  op: 'op',
  join: 'word',
  open: 'op',
  close: 'op',
  comma: 'op',
  comment: 'comment',
  bad: 'bad',
  ws: 'plain',
};

export function tint(text: string, language: Language): Piece[] {
  if (language === 'plain' || text.length > 50_000) return [{ text, tone: 'plain' }];
  if (language === 'rule')
    return lex(text).map((t) => ({ text: text.slice(t.from, t.to), tone: ruleTone[t.kind] ?? 'plain' }));
  const out: Piece[] = [];
  let at = 0;
  while (at < text.length) {
    for (const [tone, pattern] of grammars[language]) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (!match || match[0] === '') continue;
      const last = out.at(-1);
      if (last && last.tone === tone) last.text += match[0];
      else out.push({ text: match[0], tone });
      at += match[0].length;
      break;
    }
  }
  return out;
}
