/**
 * All films on one frame: none is drawn before every one can be.
 *
 * @typedef {import("./film.js").Film} Film
 * @typedef {{film: Film, context: CanvasRenderingContext2D}} Screen
 */

import { Clock } from "./clock.js";

export class Lockstep {
  /**
   * @param {number} fps
   * @param {{onshown?: (frame: number) => void, onrest?: (frame: number) => void, onwaits?: (waits: boolean) => void,
   *   schedule?: (tick: (now: number) => void) => void}} [options]
   *   onshown: all films show this frame; onrest: and it stays; onwaits: films are not ready, or are again;
   *   schedule: requestAnimationFrame
   */
  constructor(fps, { onshown, onrest, onwaits, schedule } = {}) {
    this.clock = new Clock(fps);
    this.onshown = onshown ?? (() => {});
    this.onrest = onrest ?? (() => {});
    this.onwaits = onwaits ?? (() => {});
    this.schedule = schedule ?? requestAnimationFrame.bind(globalThis);
    /** @type {Screen[]} */
    this.screens = [];
    this.shown = -1;
    /** @type {number | null} a frame to which someone went; the latest of them, once it can be shown */
    this.wish = null;
    /** @type {number | null} the one that is being waited for */
    this.pending = null;
    this.direction = 1;
    this.scheduled = false;
    this.waits = false;
  }

  /** @param {Screen[]} screens those that can be seen and have a film @param {number} length frames */
  setScreens(screens, length) {
    for (const { film } of this.screens) film.onready = () => {};
    this.screens = screens;
    for (const { film } of screens) film.onready = () => this.wake();
    this.clock.setLength(length);
    this.redraw();
  }

  /** Draws again what is shown. */
  redraw() {
    this.shown = -1;
    this.wake();
  }

  /** @param {number} frame */
  goTo(frame) {
    const { clock } = this;
    this.wish = Math.min(clock.length - 1, Math.max(0, Math.round(frame)));
    this.wake();
  }

  /** The frame where all are, or are going. */
  get frame() {
    return this.wish ?? this.pending ?? this.clock.frame;
  }

  /** @param {boolean} on */
  play(on, now = performance.now()) {
    if (on && this.frame !== this.clock.frame) this.clock.goTo(this.frame);
    if (on) this.wish = this.pending = null;
    this.clock.play(now, on);
    this.direction = 1;
    this.wake();
    if (!on) this.onrest(this.frame);
  }

  /** @param {number} speed */
  setSpeed(speed, now = performance.now()) {
    this.clock.setSpeed(now, speed);
    this.wake();
  }

  wake() {
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule((now) => {
      this.scheduled = false;
      this.tick(now);
    });
  }

  /** Shows the frame that is due, if every film has it. @param {number} now ms */
  tick(now) {
    const { clock } = this;
    // A frame that is being waited for is shown before the next wish: a hand that moves on sees pictures on its way.
    if (this.pending === null) [this.pending, this.wish] = [this.wish, null];
    const place = this.pending ?? clock.due(now);
    const frame = Math.floor(place);
    if (this.pending !== null && frame !== clock.frame) this.direction = frame < clock.frame ? -1 : 1;
    let ready = true;
    for (const { film } of this.screens) {
      const own = Math.min(frame, film.frames - 1);
      film.want(own, this.direction, clock.playing ? clock.speed : 0);
      ready &&= film.has(own);
    }
    this.setWaits(!ready);
    if (ready) this.show(now, place);
    else clock.wait(now);
    if (clock.playing || this.pending !== null || this.wish !== null) this.wake();
  }

  /** @param {number} now ms @param {number} place */
  show(now, place) {
    const frame = Math.floor(place);
    const { playing } = this.clock;
    if (frame !== this.shown)
      for (const { film, context } of this.screens) film.draw(context, Math.min(frame, film.frames - 1));
    const changed = frame !== this.shown;
    this.shown = frame;
    this.pending = null;
    this.clock.showed(now, place);
    if (changed) this.onshown(frame);
    if ((changed && !playing) || playing !== this.clock.playing) this.onrest(frame);
  }

  setWaits(waits) {
    if (waits !== this.waits) this.onwaits((this.waits = waits));
  }
}
