/**
 * Measures a session from inside its page; runs before the page's own scripts, and after `drawn.js`.
 *
 * The stub world's picture has a patch whose level shows what is held and one that steps with every frame. Both
 * are read in the animation frame after the player has drawn: a change counts from the moment when the browser is
 * about to put it on the screen.
 */

const CHANGED = 20; // gray levels; the codec's error is below 5

class Latency {
  constructor() {
    /** @type {{code: string, at: number, sent?: number, made?: number, shown?: number}[]} ms, page's clock */
    this.presses = [];
    /** @type {[number, number][]} when another frame was seen, and its tick */
    this.shown = [];
    this.buffers = []; // ms, as the player reports them
    this.remade = 0; // blocks
    this.polls = []; // ms that looking took
    this.waiting = null;
    // Before the player's own listener, which sends the input at once.
    window.addEventListener("keydown", (event) => this.keydown(event), { capture: true });
  }

  /** Begins to look. @param {{canvas: string, keys: number[], tick: number[], names: object}} options */
  begin({ canvas, keys, tick, names }) {
    this.canvas = document.querySelector(canvas);
    this.spots = [keys, tick];
    this.names = names; // key code → the control's name
    const probe = new OffscreenCanvas(2, 1);
    this.probe = probe.getContext("2d", { willReadFrequently: true, alpha: false });
    window.afterDrawing(this.canvas, (now) => this.look(now));
    this.look(performance.now());
  }

  keydown(event) {
    if (!event.isTrusted || event.repeat || !(event.code in (this.names ?? {}))) return;
    this.idle = this.level;
    this.press = { code: event.code, at: event.timeStamp };
    this.presses.push(this.press);
  }

  look(now) {
    this.spots.forEach(([x, y], i) => this.probe.drawImage(this.canvas, x, y, 1, 1, i, 0, 1, 1));
    const pixels = this.probe.getImageData(0, 0, 2, 1).data;
    this.level = pixels[1];
    const tick = Math.round((pixels[5] - 32) / 24);
    if (tick !== this.shown.at(-1)?.[1]) this.shown.push([now, tick]);
    const changed = Math.abs(this.level - this.idle) > CHANGED;
    if (this.press && changed) this.press.shown ??= now;
    if (this.waiting && changed === this.waiting.changed) {
      this.waiting.resolve();
      this.waiting = null;
    }
    this.polls.push(performance.now() - now);
  }

  /** Resolves when the picture obeys the last press (true) or has gone back (false). */
  until(changed) {
    return new Promise((resolve) => (this.waiting = { changed, resolve }));
  }

  sent(data) {
    const message = typeof data === "string" ? JSON.parse(data) : {};
    if (message.type === "ack") this.buffers.push(message.buffer_ms);
    if (message.type === "input" && this.press) this.press.sent ??= performance.now();
  }

  received(data) {
    const message = typeof data === "string" ? JSON.parse(data) : {};
    if (message.type !== "block") return;
    if (Number.isInteger(message.splice)) this.remade++;
    if (this.press && message.held.includes(this.names[this.press.code])) this.press.made ??= performance.now();
  }

  /** Forgets what was seen so far. */
  clear() {
    this.presses = [];
    this.shown = [];
    this.buffers = [];
    this.remade = 0;
    this.polls = [];
    this.press = null;
  }

  /** @returns what was seen since `clear` */
  figures() {
    const { presses, shown, buffers, remade, polls } = this;
    return { presses, shown, buffers, remade, polls };
  }
}

window.latency = new Latency();
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener("message", ({ data }) => window.latency.received(data));
  }

  send(data) {
    super.send(data);
    window.latency.sent(data);
  }
};
