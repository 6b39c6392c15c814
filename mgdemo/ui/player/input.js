/**
 * What the visitor holds: keys by their place (`KeyboardEvent.code`), on-screen pads by pointer or by
 * key, a gamepad. Several may hold the same control; it is let go when the last one lets go.
 */

import { Camera, bindDrag } from "./camera.js";
import { Gamepads } from "./gamepad.js";
import { Held } from "./held.js";
import { keyboard } from "./keyboard.js";

const FIELD_KEYS = /^[\d.,+\-e]$/i; // what one types into a number field; longer names are arrows, Enter and so on
const LIST_KEYS = /^(Arrow|Home|End|Page|Enter|Escape|Tab|Space)/;
const PRESSED_BY_KEY = "button, summary, a[href], [role=tab], [role=option], input";

/**
 * Whether a key is text, or is meant for the form or the button that has the focus. While a session runs, a number
 * field only keeps what belongs to a number, and a closed list or a field that cannot be changed keeps nothing.
 * @param {{target: any, code: string, key?: string}} event @param {boolean} playing whether a session runs
 * @returns {boolean}
 */
export function isTyping({ target, code, key }, playing) {
  const tag = target?.tagName;
  if (target?.isContentEditable || tag === "TEXTAREA" || tag === "SELECT") return true;
  if (target?.closest?.("[data-takes-keys]")) return true;
  const presses = code === "Space" || code === "Enter";
  // Reached by Tab, a button is pressed by these keys; after a click it has had its turn.
  if (presses && target?.matches?.(":focus-visible") && target.matches(PRESSED_BY_KEY)) return true;
  if (tag !== "INPUT" || ["button", "checkbox", "radio", "submit"].includes(target.type)) return false;
  if (target.type === "range") return /^(Arrow|Home|End|Page)/.test(code);
  if (!playing) return true;
  if (target.readOnly) return target.ariaExpanded === "true" && LIST_KEYS.test(code);
  return target.type !== "number" || FIELD_KEYS.test(key) || (key?.length ?? 0) > 1;
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
    this.stage = stage;
    this.mode = null;
    /** @type {Map<string, string>} key's code → control's code */
    this.keys = new Map();
    /** @type {WeakMap<Element, string>} pad → control's code */
    this.padCodes = new WeakMap();
    bindDrag(stage, this.camera, hooks.active);
    keyboard.follow(() => this.mapKeys());
    window.addEventListener("keydown", (event) => this.keydown(event), { capture: true });
    window.addEventListener("keyup", (event) => this.keyup(event), { capture: true });
    this.bindReleases();
  }

  /** A key let go while something else has the keyboard is never reported here: let everything go, don't run on. */
  bindReleases() {
    const release = () => this.releaseAll();
    for (const type of ["blur", "pagehide", "beforeprint", "beforeunload"]) window.addEventListener(type, release);
    // A long press on a pad asks for a menu, too, and is refused it.
    window.addEventListener("contextmenu", (event) => event.defaultPrevented || release());
    document.addEventListener("visibilitychange", () => document.hidden && release());
    document.addEventListener("freeze", release);
    const choosesFile = ({ target }) => target.type === "file" && release();
    document.addEventListener("click", choosesFile, { capture: true });
    document.addEventListener("focusin", ({ target }) => isTyping({ target, code: "KeyW", key: "w" }, true) && release());
  }

  /** The controls held now, in the order in which they were pressed. */
  get codes() {
    return this.held.codes;
  }

  releaseAll() {
    this.held.releaseAll();
    this.camera.still();
  }

  /** @param {import("./bindings.js").Mode} mode */
  setMode(mode) {
    this.held.releaseAll();
    this.camera.setAxes(mode.axes);
    this.gamepads.controls = mode.controls;
    this.mode = mode;
    this.mapKeys();
  }

  mapKeys() {
    if (!this.mode) return;
    const keys = keyboard.bindings.map(this.mode);
    if (JSON.stringify([...keys]) !== JSON.stringify([...this.keys])) this.held.releaseAll();
    this.keys = keys;
    this.firsts = new Set(this.mode.controls.map((control) => keyboard.bindings.first(this.mode, control)));
  }

  keydown(event) {
    keyboard.learn(event);
    const playing = this.active();
    if (playing && event.code === "Escape" && event.target?.getAttribute?.("role") === "combobox")
      setTimeout(() => this.focusStage()); // when the list has closed
    const code = this.keys.get(event.code);
    if (!code || event.ctrlKey || event.metaKey || event.altKey || isTyping(event, playing)) return;
    // Arrows scroll an idle page, so only a control's first key begins.
    if (!playing && (event.repeat || !this.firsts.has(event.code) || !this.onwake())) return;
    event.preventDefault(); // arrow keys would scroll, and a focused radio button would change
    event.stopPropagation();
    if (event.target?.tagName === "INPUT") this.focusStage(); // the next digit or arrow is for the player, too
    this.held.press(code, event.code); // a key that repeats is down, whatever made us let it go
  }

  keyup(event) {
    // macOS does not report keys that were released while Cmd was down.
    if (event.key === "Meta") return this.releaseAll();
    const code = this.keys.get(event.code);
    if (code) this.held.release(code, event.code);
  }

  focusStage() {
    if (this.active()) this.stage.focus({ preventScroll: true });
  }

  /**
   * Makes a button hold its control: by any number of fingers, the mouse, Space or Enter. A finger that slides on
   * to another pad holds that one; between two pads it stays with the last.
   */
  bindPad(button, code) {
    this.padCodes.set(button, code);
    const holds = (by) => this.active() && this.held.press(code, by);
    /** @type {Map<string, string>} finger → the code that it holds */
    const fingers = new Map();
    const lift = (by) => {
      this.held.release(fingers.get(by), by);
      fingers.delete(by);
    };
    button.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      event.preventDefault();
      button.setPointerCapture(event.pointerId);
      const by = `pointer ${event.pointerId}`;
      fingers.set(by, code);
      holds(by);
    });
    button.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
      const by = `pointer ${pointerId}`;
      if (!fingers.has(by)) return;
      const pad = document.elementFromPoint(clientX, clientY)?.closest("button");
      const next = pad?.parentElement?.parentElement === button.parentElement.parentElement && this.padCodes.get(pad);
      if (!next || next === fingers.get(by)) return;
      if (this.active()) this.held.move(fingers.get(by), next, by);
      fingers.set(by, next);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
      button.addEventListener(type, ({ pointerId }) => lift(`pointer ${pointerId}`));
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
