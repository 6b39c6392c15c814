/** Time of all films together: which frame is due. It stands while a film is not ready. No browser in here. */

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

/** @typedef {{from: number, to: number}} Loop  frames, the last one included */

export class Clock {
  /** @param {number} fps */
  constructor(fps) {
    this.fps = fps;
    this.length = 1; // frames
    this.playing = false;
    this.speed = 1;
    /** @type {Loop | null} */
    this.loop = null;
    this.place = 0; // in frames, with what is past of the present one
    this.since = 0; // ms
  }

  /** The frame that is due now, as shown last. */
  get frame() {
    return Math.floor(this.place);
  }

  get first() {
    return this.loop ? this.loop.from : 0;
  }

  get last() {
    return Math.min(this.loop ? this.loop.to : Infinity, this.length - 1);
  }

  /** @param {number} length frames of the longest film */
  setLength(length) {
    this.length = Math.max(1, length);
    this.goTo(this.frame);
  }

  /** @param {number} frame beyond the ends is the end */
  goTo(frame) {
    this.place = Math.min(this.length - 1, Math.max(0, Math.round(frame)));
  }

  /** @param {number} now ms @param {boolean} on */
  play(now, on) {
    this.playing = on;
    this.since = now;
    const outside = this.frame < this.first || this.frame > this.last;
    if (on && (outside || (this.frame >= this.last && !this.loop))) this.goTo(this.first);
  }

  /** @param {number} now ms @param {number} speed 0.1 to 2 */
  setSpeed(now, speed) {
    this.place = this.due(now);
    this.since = now;
    this.speed = speed;
  }

  /** Where the time has come to, without going there. @param {number} now ms @returns {number} */
  due(now) {
    if (!this.playing) return this.place;
    const place = this.place + (Math.max(0, now - this.since) * this.fps * this.speed) / 1000;
    const { first, last } = this;
    if (place < last + 1) return place;
    return this.loop ? first + ((place - first) % (last + 1 - first)) : last;
  }

  /** The frame that is due is on the screen. @param {number} now ms @param {number} place what `due` gave */
  showed(now, place) {
    this.place = place;
    this.since = now;
    if (this.playing && !this.loop && this.frame >= this.last) this.playing = false;
  }

  /** A film is not ready: the time does not pass. @param {number} now ms */
  wait(now) {
    this.since = now;
  }
}
