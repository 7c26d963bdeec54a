const inputs = 'input:not([tabindex="-1"]), textarea, select, [contenteditable=true], button';

/** Puts the focus into the input of a field, or into the first one; whether it is there. */
export function focusField(inside: ParentNode, name: string | true): boolean {
  const rows = [...inside.querySelectorAll<HTMLElement>('[data-field]')];
  const row = name === true ? undefined : rows.find((el) => el.dataset.field === name);
  const input =
    row?.querySelector<HTMLElement>(inputs) ??
    inside.querySelector<HTMLElement>('[data-first] .input, [data-first] textarea');
  row?.scrollIntoView({ block: 'center' });
  input?.focus();
  return input !== null && input !== undefined;
}
