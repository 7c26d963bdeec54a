import { Schema, type DOMOutputSpec, type MarkSpec, type NodeSpec } from 'prosemirror-model';
import { listItem, bulletList, orderedList } from 'prosemirror-schema-list';

const attributes = (el: HTMLElement, names: string[]) =>
  Object.fromEntries(names.map((name) => [name, el.getAttribute(name)]));
const present = (attrs: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(attrs).filter(([, value]) => value !== null && value !== undefined));
const optional = (names: string[]) => Object.fromEntries(names.map((name) => [name, { default: null }]));

const IMAGE = ['src', 'alt', 'title', 'width', 'height'];
const LINK = ['href', 'title', 'target', 'rel'];

const nodes: Record<string, NodeSpec> = {
  doc: { content: 'block+' },
  paragraph: {
    content: 'inline*',
    group: 'block',
    parseDOM: [{ tag: 'p' }],
    toDOM: () => ['p', 0],
  },
  blockquote: {
    content: 'block+',
    group: 'block',
    defining: true,
    parseDOM: [{ tag: 'blockquote' }],
    toDOM: () => ['blockquote', 0],
  },
  horizontal_rule: { group: 'block', parseDOM: [{ tag: 'hr' }], toDOM: () => ['hr'] },
  heading: {
    attrs: { level: { default: 1 } },
    content: 'inline*',
    group: 'block',
    defining: true,
    parseDOM: [1, 2, 3, 4, 5, 6].map((level) => ({ tag: `h${level}`, attrs: { level } })),
    toDOM: (node) => [`h${node.attrs.level as number}`, 0],
  },
  code_block: {
    content: 'text*',
    marks: '',
    group: 'block',
    code: true,
    defining: true,
    parseDOM: [{ tag: 'pre', preserveWhitespace: 'full' }],
    toDOM: () => ['pre', ['code', 0]] as unknown as DOMOutputSpec,
  },
  bullet_list: { ...bulletList, content: 'list_item+', group: 'block' },
  ordered_list: { ...orderedList, content: 'list_item+', group: 'block' },
  list_item: { ...listItem, content: 'paragraph block*' },
  text: { group: 'inline' },
  image: {
    inline: true,
    attrs: optional(IMAGE),
    group: 'inline',
    draggable: true,
    parseDOM: [{ tag: 'img[src]', getAttrs: (el) => attributes(el, IMAGE) }],
    toDOM: (node) => ['img', present(node.attrs)] as unknown as DOMOutputSpec,
  },
  hard_break: {
    inline: true,
    group: 'inline',
    selectable: false,
    parseDOM: [{ tag: 'br' }],
    toDOM: () => ['br'],
  },
};

const mark = (tag: string, also: string[] = [], style?: string): MarkSpec => ({
  parseDOM: [...[tag, ...also].map((name) => ({ tag: name })), ...(style === undefined ? [] : [{ style }])],
  toDOM: () => [tag, 0],
});

const marks: Record<string, MarkSpec> = {
  link: {
    attrs: optional(LINK),
    inclusive: false,
    parseDOM: [{ tag: 'a[href]', getAttrs: (el) => attributes(el, LINK) }],
    toDOM: (m) => ['a', present(m.attrs), 0] as unknown as DOMOutputSpec,
  },
  strong: mark('strong', ['b'], 'font-weight=bold'),
  em: mark('em', ['i'], 'font-style=italic'),
  underline: mark('u'),
  strike: mark('s', ['strike', 'del']),
  code: mark('code'),
  sub: mark('sub'),
  sup: mark('sup'),
};

export const schema = new Schema({ nodes, marks });

const known: Record<string, string[]> = {
  ...Object.fromEntries(
    'p h1 h2 h3 h4 h5 h6 blockquote hr pre code ul li br strong b em i u s strike del sub sup'
      .split(' ')
      .map((tag) => [tag, []]),
  ),
  ol: ['start'],
  a: LINK,
  img: IMAGE,
};

/** Whether the editor would lose nothing of this HTML. */
export function isKnown(html: string): boolean {
  const { body } = new DOMParser().parseFromString(html, 'text/html');
  for (const el of body.querySelectorAll('*')) {
    const allowed = known[el.localName];
    if (!allowed || [...el.attributes].some((a) => !allowed.includes(a.name))) return false;
  }
  const comments = document.createTreeWalker(body, NodeFilter.SHOW_COMMENT);
  return comments.nextNode() === null;
}
