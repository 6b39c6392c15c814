/** Two pictures in turn, in one place: what differs jumps. */

const TURN_MS = 500; // slow enough not to flash

export class Blink {
  /** @param {(above: boolean) => void} onturn whether the upper one is seen */
  constructor(onturn) {
    this.onturn = onturn;
    this.above = true;
    this.timer = 0;
  }

  /** By itself, unless the visitor wants no motion: then only by `turn`. @param {boolean} on */
  run(on) {
    clearInterval(this.timer);
    this.timer = 0;
    this.above = true;
    this.onturn(true);
    if (on && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.timer = setInterval(() => this.turn(), TURN_MS);
  }

  turn() {
    this.above = !this.above;
    this.onturn(this.above);
  }
}
