import { expect, test } from 'vitest';
import { fillIn, placeholders, unknownMarks } from '../../src/kit/mail-template';

const known = placeholders(['TOKEN'], ['email']);
const app = { name: 'Acme', url: 'https://example.com' };

test('samples stand where the server puts values, and unknown marks stay', () => {
  expect(fillIn('{APP_NAME}: {APP_URL}/{TOKEN} for {RECORD:email}, {OTP}', known, app)).toBe(
    'Acme: https://example.com/TOKEN for email, {OTP}',
  );
});

test('marks that nothing is put in for are named once', () => {
  expect(unknownMarks('{OTP} {OTP} {RECORD:secret} {TOKEN} {not_one}', known)).toEqual([
    '{OTP}',
    '{RECORD:secret}',
  ]);
});
