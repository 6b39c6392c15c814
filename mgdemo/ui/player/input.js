/**
 * What the visitor holds: keys of the keyboard by their place (`KeyboardEvent.code`), on-screen pads by pointer or
 * by key, a gamepad. Several may hold the same control; it is let go when the last one lets go.
 */

import { Gamepads } from "./gamepad.js";
import { Camera, bindDrag } from "./camera.js";

/** The controls held now, in the order in which they were pressed. Pure; knows no page. */
export class Held {
  /** @param {(codes: string[]) => void} onchange */
  constructor(onchange) {
    this.onchange = onchange;
    /** @type {Map<string, Set<string>>} code → what holds it */
    this.holders = new Map();
  }

  /** @returns {string[]} */
  get codes() {
    return [...this.holders.keys()];
  }

  /** @param {string} code @param {string} by */
  press(code, by) {
    const holders = this.holders.get(code);
    if (holders) holders.add(by);
    else {
      this.holders.set(code, new Set([by]));
      this.onchange(this.codes);
    }
  }

  /** @param {string} code @param {string} by */
  release(code, by) {
    const holders = this.holders.get(code);
    if (!holders?.delete(by) || holders.size) return;
    this.holders.delete(code);
    this.onchange(this.codes);
  }

  releaseAll() {
    if (!this.holders.size) return;
    this.holders.clear();
    this.onchange(this.codes);
  }
}

/**
 * Whether a key pressed there is meant as text or choice: any key (without `code`), or this one.
 * @param {EventTarget | null} target @param {string} [code]
 */
export function takesText(target, code = "") {
  const tag = target?.tagName;
  if (target?.isContentEditable || tag === "TEXTAREA" || tag === "SELECT") return true;
  if (target?.type === "range") return /^(Arrow|Home|End|Page)/.test(code);
  return tag === "INPUT" && !["button", "checkbox", "radio", "submit"].includes(target.type);
}

/** Maps every key code of a mode, aliases included, to its control's own code. */
export function keyMap(controls) {
  return new Map(controls.flatMap((c) => [c.code, ...c.aliases].map((code) => [code, c.code])));
}

/** All that the visitor holds and turns: by keyboard, pads, gamepad, and by dragging on the picture. */
export class Input {
  /**
   * @param {HTMLElement} stage the picture
   * @param {{active: () => boolean, shown: () => boolean,
   *   onchange: (codes: string[], camera: [number, number]) => void,
   *   onwake: () => boolean, onmenu: () => void}} hooks
   *   active: whether what is held counts; shown: whether the player can be seen at all; onchange: something is
   *   held or turned differently; onwake: a control's own key was pressed while nothing counts, and whether it
   *   counts from now on; onmenu: the Start button of a gamepad was pressed
   */
  constructor(stage, hooks) {
    const tell = () => hooks.onchange(this.codes, this.camera.value);
    this.held = new Held(tell);
    this.camera = new Camera(tell);
    this.gamepads = new Gamepads(this.held, this.camera, hooks);
    this.active = hooks.active;
    this.onwake = hooks.onwake;
    this.keys = new Map();
    bindDrag(stage, this.camera, hooks.active);
    window.addEventListener("keydown", (event) => this.keydown(event), { capture: true });
    window.addEventListener("keyup", (event) => this.keyup(event), { capture: true });
    // A key let go elsewhere is never reported here: let everything go instead of running on.
    window.addEventListener("blur", () => this.releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.releaseAll());
    document.addEventListener("focusin", (event) => takesText(event.target) && this.releaseAll());
  }

  /** The controls held now, in the order in which they were pressed. */
  get codes() {
    return this.held.codes;
  }

  releaseAll() {
    this.held.releaseAll();
    this.camera.still();
  }

  /** @param {{controls: {code: string, aliases: string[]}[], axes: string[]}} mode */
  setMode({ controls, axes }) {
    this.held.releaseAll();
    this.camera.setAxes(axes);
    this.gamepads.controls = controls;
    this.keys = keyMap(controls);
  }

  keydown(event) {
    const code = this.keys.get(event.code);
    if (!code || takesText(event.target, event.code) || event.ctrlKey || event.metaKey || event.altKey) return;
    // Arrows scroll an idle page, so only a control's own key begins.
    if (!this.active() && (event.repeat || event.code !== code || !this.onwake())) return;
    event.preventDefault(); // arrow keys would scroll, and a focused radio button would change
    event.stopPropagation();
    if (!event.repeat) this.held.press(code, event.code);
  }

  keyup(event) {
    const code = this.keys.get(event.code);
    if (code) this.held.release(code, event.code);
  }

  /** Makes a button hold its control: by any number of fingers, the mouse, Space or Enter. */
  bindPad(button, code) {
    const holds = (by) => this.active() && this.held.press(code, by);
    button.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      event.preventDefault();
      button.setPointerCapture(event.pointerId);
      holds(`pointer ${event.pointerId}`);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
      button.addEventListener(type, (event) => this.held.release(code, `pointer ${event.pointerId}`));
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    button.addEventListener("keydown", (event) => {
      if (event.code !== "Space" && event.code !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) holds(`pad ${event.code}`);
    });
    button.addEventListener("keyup", (event) => this.held.release(code, `pad ${event.code}`));
    button.addEventListener("blur", () => ["Space", "Enter"].forEach((k) => this.held.release(code, `pad ${k}`)));
  }
}
