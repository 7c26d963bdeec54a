/** Puts something that floats next to what opened it, inside the window. */
export function place(box: HTMLElement, anchor: Element, side: 'below' | 'right' = 'below') {
  const a = anchor.getBoundingClientRect();
  const b = box.getBoundingClientRect();
  const gap = 4;
  let left = side === 'right' ? a.right + gap : a.left;
  let top = side === 'right' ? a.bottom - b.height : a.bottom + gap;
  if (side === 'below' && top + b.height > innerHeight - 8 && a.top - gap - b.height > 8)
    top = a.top - gap - b.height;
  left = Math.max(8, Math.min(left, innerWidth - b.width - 8));
  top = Math.max(8, Math.min(top, innerHeight - b.height - 8));
  box.style.setProperty('left', `${left}px`);
  box.style.setProperty('top', `${top}px`);
}
