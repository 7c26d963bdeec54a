import { describe, expect, test } from 'vitest';
import { complete, type Schema } from '../../src/kit/complete';

const users: Schema = {
  id: 'u',
  name: 'users',
  type: 'auth',
  fields: [
    { name: 'id', type: 'text' },
    { name: 'email', type: 'email' },
    { name: 'team', type: 'relation', collectionId: 't' },
  ],
};
const teams: Schema = {
  id: 't',
  name: 'teams',
  type: 'base',
  fields: [
    { name: 'id', type: 'text' },
    { name: 'label', type: 'text' },
  ],
};
const posts: Schema = {
  id: 'p',
  name: 'posts',
  type: 'base',
  fields: [
    { name: 'id', type: 'text' },
    { name: 'title', type: 'text' },
    { name: 'tags', type: 'select', maxSelect: 3 },
    { name: 'author', type: 'relation', collectionId: 'u' },
  ],
};
const at = (text: string, rule = true) =>
  complete(text, text.length, { collections: [users, teams, posts], collection: posts, rule }).map(
    (s) => s.label,
  );

describe('complete', () => {
  test('fields where a value is expected', () => {
    expect(at('ti')).toContain('title');
    expect(at('a = 1 && ')).toContain('author');
    expect(at('')).toEqual(expect.arrayContaining(['id', 'title', 'tags', 'author']));
  });
  test('through relations', () => {
    expect(at('author.')).toContain('author.email');
    expect(at('author.team.la')).toEqual(['author.team.label']);
  });
  test('back-relations', () => {
    const labels = complete('', 0, {
      collections: [users, teams, posts],
      collection: users,
      rule: false,
    }).map((s) => s.label);
    expect(labels).toContain('posts_via_author.');
    expect(
      complete('posts_via_author.ti', 19, {
        collections: [users, teams, posts],
        collection: users,
        rule: false,
      }).map((s) => s.label),
    ).toEqual(['posts_via_author.title']);
  });
  test('@request and @collection', () => {
    expect(at('@re')).toContain('@request.auth.');
    expect(at('@request.auth.te')).toContain('@request.auth.team');
    expect(at('@request.auth.team.')).toContain('@request.auth.team.label');
    expect(at('@request.body.')).toContain('@request.body.title');
    expect(at('@collection.')).toContain('@collection.users.');
    expect(at('@collection.users.em')).toEqual(['@collection.users.email']);
  });
  test('modifiers, operators, joins', () => {
    expect(at('tags:')).toEqual(['tags:length', 'tags:each']);
    expect(at('title ')).toContain('!=');
    expect(at('title ?')).toEqual(['?=', '?!=', '?~']);
    expect(at('title = 1 ')).toEqual(['&&', '||']);
  });
  test('nothing inside texts and comments', () => {
    expect(at("title = 'ti")).toEqual([]);
    expect(at('// ti')).toEqual([]);
  });
  test('says what to replace', () => {
    expect(complete('x = ti', 6, { collections: [posts], collection: posts, rule: true })[0]).toMatchObject({
      label: 'title',
      from: 4,
      to: 6,
    });
  });
});
