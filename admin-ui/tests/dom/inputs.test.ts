import { fireEvent, render, screen } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { blankField } from '../../src/api/schema';
import type { Field, Kind } from '../../src/api/types';
import Input from '../../src/fields/Input.svelte';

function draw(kind: Kind, value: unknown, options: Partial<Field> = {}) {
  const onchange = vi.fn();
  const onfault = vi.fn();
  const field = { ...blankField(kind, []), name: 'f', ...options };
  const wiring = { id: 'x', 'aria-describedby': undefined, 'aria-invalid': undefined };
  const view = render(Input, { field, value, wiring, onchange, onfault, record: null });
  return { onchange, onfault, ...view };
}
const input = (container: HTMLElement) => container.querySelector<HTMLInputElement>('#x')!;

describe('inputs', () => {
  test('text', async () => {
    const { container, onchange } = draw('text', 'old');
    await fireEvent.input(input(container), { target: { value: 'new' } });
    expect(onchange).toHaveBeenCalledWith('new');
  });
  test('an empty number is zero, as the server has it', async () => {
    const { container, onchange } = draw('number', 5);
    await fireEvent.input(input(container), { target: { value: '' } });
    expect(onchange).toHaveBeenLastCalledWith(0);
    await fireEvent.input(input(container), { target: { value: '2.5' } });
    expect(onchange).toHaveBeenLastCalledWith(2.5);
  });
  test('bool', async () => {
    const { onchange } = draw('bool', false);
    await fireEvent.click(screen.getByRole('switch'));
    expect(onchange).toHaveBeenCalledWith(true);
  });
  test('one choice and several', async () => {
    const one = draw('select', '', { values: ['a', 'b'], maxSelect: 1 });
    await fireEvent.change(input(one.container), { target: { value: 'b' } });
    expect(one.onchange).toHaveBeenCalledWith('b');
    one.unmount();
    const many = draw('select', ['a'], { values: ['a', 'b'], maxSelect: 2 });
    await fireEvent.click(screen.getByRole('button', { name: 'b' }));
    expect(many.onchange).toHaveBeenCalledWith(['a', 'b']);
    await fireEvent.click(screen.getByRole('button', { name: 'a' }));
    expect(many.onchange).toHaveBeenLastCalledWith([]);
  });
  test('a choice that was taken out of the schema stays visible', () => {
    draw('select', ['gone'], { values: ['a', 'b'], maxSelect: 2 });
    expect(screen.getByRole('button', { name: 'gone' }).getAttribute('aria-pressed')).toBe('true');
  });
  test('JSON says what is wrong and sends only what is right', async () => {
    const { container, onchange, onfault } = draw('json', null);
    await fireEvent.input(input(container), { target: { value: '{"a":' } });
    expect(onchange).not.toHaveBeenCalled();
    expect(onfault).toHaveBeenLastCalledWith(expect.stringContaining('Not valid JSON yet'));
    await fireEvent.input(input(container), { target: { value: '{"a":1}' } });
    expect(onchange).toHaveBeenLastCalledWith({ a: 1 });
    expect(onfault).toHaveBeenLastCalledWith('');
    await fireEvent.input(input(container), { target: { value: '' } });
    expect(onchange).toHaveBeenLastCalledWith(null);
  });
  test('dates go to the server in UTC', async () => {
    const { container, onchange } = draw('date', '');
    await fireEvent.input(input(container), { target: { value: '2026-01-02T03:04:05' } });
    expect(onchange.mock.lastCall?.[0]).toBe(new Date('2026-01-02T03:04:05').toISOString().replace('T', ' '));
  });
  test('a point keeps its other half', async () => {
    const { container, onchange } = draw('geoPoint', { lon: 1, lat: 2 });
    await fireEvent.input(input(container), { target: { value: '9', valueAsNumber: 9 } });
    expect(onchange).toHaveBeenLastCalledWith({ lon: 9, lat: 2 });
  });
  test('what the server sets cannot be typed', () => {
    const { container } = draw('autodate', '');
    expect(input(container).readOnly).toBe(true);
  });
});
