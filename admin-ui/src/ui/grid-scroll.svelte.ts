/** Browsers do not draw elements taller than about 16 million pixels reliably: past this the bar stands for more than it is. */
const TALLEST = 12_000_000;
/** A scroll of more screens than this at once is a drag of the bar, not a turn of the wheel. */
const STEP_SCREENS = 3;
const REST_MS = 160;
/** Rows are drawn again this long after the last step of a rush. */
const CALM_MS = 60;

/**
 * Where the view is in a list of any length. Short moves are moves by that many pixels; long ones go to the place in the
 * whole list that the bar shows. In a list that fits, both are the same.
 */
export class GridScroll {
  /** Pixels of the whole list above the view. */
  top = $state(0);
  /** What to take off a row's place in the list to get its place in the scrolled box. */
  shift = $state(0);
  whole = $state(0);
  view = $state(0);
  /** A screen or more goes by at each step: nothing of it can be read, so rows need not be drawn. */
  rushing = $state(false);
  tall = $derived(Math.min(this.whole, TALLEST));
  #box: HTMLElement | undefined;
  #at = 0;
  #far = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #calm: ReturnType<typeof setTimeout> | undefined;

  attach(box: HTMLElement | undefined) {
    this.#box = box;
  }
  get #most() {
    return Math.max(0, this.whole - this.view);
  }
  /** The box has been scrolled. */
  moved() {
    const box = this.#box;
    if (!box) return;
    const y = box.scrollTop;
    const by = y - this.#at;
    this.#at = y;
    this.#rush(Math.abs(by));
    if (this.whole <= this.tall) {
      this.shift = 0;
      this.top = y;
      return;
    }
    if (Math.abs(by) > this.view * STEP_SCREENS) {
      this.top = (y / Math.max(1, this.tall - this.view)) * this.#most;
      this.shift = this.top - y;
    } else {
      this.#clamp(this.top + by);
      // The bar has come to its end before the list: there must be room to go on.
      const stuck = y <= 0 ? this.top > 0 : y >= this.tall - this.view - 1 && this.top < this.#most;
      if (stuck) return this.to(this.top);
    }
    this.#settle();
  }
  #rush(by: number) {
    // One long step alone is a jump: what it leads to is drawn at once.
    const far = by >= this.view && by > 0;
    this.rushing = far && this.#far;
    this.#far = far;
    clearTimeout(this.#calm);
    if (far) this.#calm = setTimeout(() => (this.rushing = this.#far = false), CALM_MS);
  }
  #clamp(top: number) {
    this.top = Math.min(this.#most, Math.max(0, top));
    this.shift = this.top - this.#at;
  }
  /** Once it rests, the bar is put where the view is. */
  #settle() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.to(this.top), REST_MS);
  }
  /** Shows the list from this pixel on. */
  to(top: number) {
    const box = this.#box;
    if (!box) return;
    top = Math.min(this.#most, Math.max(0, top));
    const y =
      this.whole <= this.tall ? top : (top / Math.max(1, this.#most)) * Math.max(1, this.tall - this.view);
    if (Math.abs(box.scrollTop - y) >= 1) box.scrollTop = y;
    this.#at = box.scrollTop;
    // One pixel of the bar is a few of the list: at its ends the list ends too.
    const grain = 2 * (this.whole / Math.max(1, this.tall));
    if (this.#at <= 0 && top < grain) top = 0;
    if (this.#at >= this.tall - this.view - 1 && this.#most - top < grain) top = this.#most;
    this.top = this.whole <= this.tall ? this.#at : top;
    this.shift = this.whole <= this.tall ? 0 : this.top - this.#at;
  }
  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#calm);
  }
}
