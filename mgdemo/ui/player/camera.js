/**
 * The analog camera: a pointer dragged over the picture and a gamepad's stick turn it together. Values are
 * [pitch, yaw] a video frame in the model's unit, where a held key is worth CAMERA_STEP; up and right are positive.
 */

import { CAMERA_STEP } from "./protocol.js";

export const LIMIT = 0.3; // models have not seen the camera turn much faster
const EVERY_MS = 33; // a change is sent at most this often
const DRAG_MS = 250; // over which a movement of the pointer is spread, so that a short one reaches a block too
const STILL = 0.0005; // less than this is not moving
const STEPS = 200; // in 1, so that a session's scenario stays readable

/** @typedef {{now: () => number, setTimeout: Function}} Clock */

export class Camera {
  /** @param {() => void} onchange @param {Clock} [clock] */
  constructor(onchange, clock = { now: () => performance.now(), setTimeout: (f, ms) => setTimeout(f, ms) }) {
    this.onchange = onchange;
    this.clock = clock;
    /** What was told last. @type {[number, number]} */
    this.value = [0, 0];
    this.axes = [false, false];
    this.dragged = [0, 0];
    this.stick = [0, 0];
    this.timer = null;
  }

  /** Whether there is anything to turn. */
  get turns() {
    return this.axes.some(Boolean);
  }

  /** @param {string[]} axes those of the mode: "pitch", "yaw" */
  setAxes(axes) {
    this.still();
    this.axes = ["pitch", "yaw"].map((axis) => axes.includes(axis));
  }

  /**
   * The pointer moved right and up, by shares of the picture's width. What it moves in a second is the camera's
   * value: a tenth of the width is a held key. It fades when the pointer rests, and turns as far as was dragged.
   */
  drag(right, up) {
    this.fade();
    this.dragged = this.dragged.map((v, i) => v + ([up, right][i] * 1000) / DRAG_MS);
    this.tell();
  }

  /** The stick stands at [-1, 1] to the right and up; all the way is a held key. */
  tilt(right, up) {
    if (this.stick[0] === up && this.stick[1] === right) return;
    this.stick = [up, right];
    this.tell();
  }

  /** Lets everything go. */
  still() {
    this.dragged = [0, 0];
    this.stick = [0, 0];
    this.tell();
  }

  fade() {
    const now = this.clock.now();
    const rest = Math.exp(-(now - (this.at ?? now)) / DRAG_MS);
    this.at = now;
    this.dragged = this.dragged.map((v) => (Math.abs(v * rest) < STILL ? 0 : v * rest));
  }

  /** Sends a change, but a little later if another one was sent a moment ago. */
  tell() {
    if (this.timer !== null) return;
    this.fade();
    const value = this.axes.map((has, i) => {
      const speed = has ? this.dragged[i] + this.stick[i] * CAMERA_STEP : 0;
      return Math.round(Math.max(-LIMIT, Math.min(LIMIT, speed)) * STEPS) / STEPS || 0; // not -0
    });
    const changed = value.some((v, i) => v !== this.value[i]);
    this.value = /** @type {[number, number]} */ (value);
    if (changed || this.dragged.some(Boolean))
      this.timer = this.clock.setTimeout(() => {
        this.timer = null;
        this.tell();
      }, EVERY_MS);
    if (changed) this.onchange();
  }
}

/**
 * Turns the camera by dragging on `stage` while `active()` says so; one finger or button at a time.
 * @param {HTMLElement} stage @param {Camera} camera @param {() => boolean} active
 */
export function bindDrag(stage, camera, active) {
  let pointer = null;
  let at = [0, 0];
  stage.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button > 0 || !camera.turns || !active()) return;
    if (/** @type {Element} */ (event.target).closest("button, input, label, a")) return;
    pointer = event.pointerId;
    at = [event.clientX, event.clientY];
    stage.setPointerCapture(pointer);
    stage.classList.add("dragged");
  });
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const [x, y] = at;
    at = [event.clientX, event.clientY];
    if (active()) camera.drag((at[0] - x) / stage.clientWidth, (y - at[1]) / stage.clientWidth);
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
    stage.addEventListener(type, (/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      stage.classList.remove("dragged");
    });
}
