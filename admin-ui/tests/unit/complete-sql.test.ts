import { expect, test } from 'vitest';
import { completeSql } from '../../src/kit/complete-sql';

const field = (name: string, type = 'text') => ({ name, type });
const schemas = [
  { id: 'p', name: 'posts', type: 'base', fields: [field('id'), field('title'), field('order no')] },
  { id: 'u', name: 'users', type: 'auth', fields: [field('id'), field('email', 'email')] },
];
const at = (text: string) => {
  const caret = text.indexOf('|');
  return completeSql(text.replace('|', ''), caret, schemas).map((s) => s.label);
};

test('tables stand after FROM and JOIN, also before anything is typed', () => {
  expect(at('SELECT * FROM |')).toEqual(['posts', 'users']);
  expect(at('SELECT * FROM posts JOIN u|')).toEqual(['users']);
});
test('columns are those of the tables that are named, also behind the caret', () => {
  expect(at('SELECT ti| FROM posts')).toEqual(['title']);
  expect(at('SELECT em| FROM posts')).toEqual([]);
  expect(at('SELECT * FROM posts WHERE ti|')).toEqual(['title']);
});
test('a name or an alias before the dot decides the table', () => {
  expect(at('SELECT p.| FROM posts p, users AS u')).toEqual(['id', 'title', '"order no"']);
  expect(at('SELECT u.e| FROM posts p, users AS u')).toEqual(['email']);
});
test('words of the language are completed, and names that need it are quoted', () => {
  expect(at('SEL|')).toEqual(['SELECT']);
  expect(at('SELECT ord| FROM posts')).toEqual(['"order no"', 'ORDER']);
});
test('nothing is suggested in a text or a comment, nor before a letter', () => {
  expect(at("SELECT 'ti| FROM posts")).toEqual([]);
  expect(at('SELECT 1 -- ti|')).toEqual([]);
  expect(at('SELECT |')).toEqual([]);
});
test('what is taken replaces what was typed', () => {
  expect(completeSql('SELECT ti FROM posts', 9, schemas)[0]).toMatchObject({
    label: 'title',
    from: 7,
    to: 9,
  });
});
