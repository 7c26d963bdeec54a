import { expect, test } from 'vitest';
import { english, german, speakGerman } from '../../src/kit/lang/german';
import { keysOf } from '../../src/kit/lang/lay';

// Names that are the same in both languages, and what is no sentence.
const same =
  /^(Link|SQL|Format|CSV|JSON|NDJSON|API|Live|Schema|Name|Id|Index|Index\w*|System|OAuth2|Filter|Normal|Status|Mail|Mails|Host|Port|TLS|Bucket|Region|Passkeys|WebSocket|JavaScript|Dart|Python|curl|English|Deutsch|Burrow|NULL|Median|95 %|E-Mail|Code|Text|Parameter|In|Option\w*|burrow superuser .*|)$/;

test('no file of sentences is left out of the catalogues', () => {
  const files = import.meta.glob<Record<string, unknown>>('../../src/kit/strings*.ts', { eager: true });
  const said = Object.values(files).flatMap((file) =>
    Object.entries(file).filter(([, value]) => typeof value === 'object'),
  );
  expect(said.length).toBeGreaterThan(8);
  expect(said.filter(([name, value]) => (english as Record<string, unknown>)[name] !== value)).toEqual([]);
});

test('both catalogues have the same keys', () => {
  const [en, de] = [keysOf(english), keysOf(german)];
  expect([...en.keys()].filter((key) => !de.has(key))).toEqual([]);
  expect([...de.keys()].filter((key) => !en.has(key))).toEqual([]);
});

test('what takes values takes as many in both, and says them', () => {
  const de = keysOf(german);
  for (const [key, value] of keysOf(english)) {
    const other = de.get(key);
    expect(typeof other, key).toBe(typeof value);
    if (typeof value !== 'function' || typeof other !== 'function') continue;
    expect(other.length, key).toBe(value.length);
    const args = Array.from({ length: value.length }, (_, i) => 7 + i);
    const said = (speak: (...given: unknown[]) => string) => {
      try {
        return speak(...args);
      } catch {
        return speak(['seven', 'eight']);
      }
    };
    expect(said(other as never).length, key).toBeGreaterThan(0);
  }
});

test('no sentence was left in English', () => {
  const de = keysOf(german);
  const left = [...keysOf(english)].filter(
    ([key, value]) => typeof value === 'string' && value === de.get(key) && !same.test(value),
  );
  expect(left).toEqual([]);
});

test('German takes the place of English, sentences with values too', () => {
  speakGerman();
  expect(english.text.common.save).toBe('Speichern');
  expect(english.text.records.count(2)).toBe('2 Datensätze');
  expect(english.schemaRoom.explain.passes).toBe('Die Anfrage geht durch');
});
