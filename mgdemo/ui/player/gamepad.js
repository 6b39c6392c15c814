/**
 * Gamepads of the standard layout. The mapping follows from where the controls are on the pads below the
 * picture, so it works in every mode:
 *
 *   left stick, directional pad   up, down, left, right of the first group (move, drive, run)
 *   right stick                   the analog camera, in modes that have one
 *   Y, A, X, B (their places)     up, down, left, right of the second group, or again of the first
 *   left and right shoulder       the upper corners of the first group (turn left and right)
 *   left and right trigger        down and up of the first group (brake and accelerate)
 *   Start                         pause and resume
 *
 * @typedef {Pick<import("./bindings.js").Control, "code" | "group" | "row" | "column">} Control
 */

const DEAD = 0.25; // a stick at rest stands not quite in the middle
const EIGHTH = 0.38; // the sine of 22.5 degrees: between two directions both count
const PRESSED = 0.4; // of a trigger's way
const START = 9;
const BUTTONS = { up: 12, down: 13, left: 14, right: 15 };
const FACE = { up: 3, down: 0, left: 2, right: 1 };
const SIDES = { turnLeft: 4, turnRight: 5, down: 6, up: 7 };
const PLACES = { turnLeft: [0, 0], up: [0, 1], turnRight: [0, 2], left: [1, 0], down: [1, 1], right: [1, 2] };

/** A stick's way: [right, up] from -1 to 1, zero near the middle and even from there on. @returns {[number, number]} */
export function stick(x = 0, y = 0) {
  const length = Math.hypot(x, y);
  if (length <= DEAD) return [0, 0];
  const scale = Math.min(1, (length - DEAD) / (1 - DEAD)) / length;
  return [x * scale, -y * scale || 0];
}

/** For each group of a mode, first to last: place → code. @param {Control[]} controls */
export function places(controls) {
  const names = [...new Set(controls.map(({ group }) => group))];
  return names.map((name) =>
    Object.fromEntries(
      Object.entries(PLACES).map(([place, [row, column]]) => [
        place,
        controls.find((c) => c.group === name && c.row === row && c.column === column)?.code,
      ]),
    ),
  );
}

/**
 * What a gamepad holds.
 * @param {{axes: readonly number[], buttons: readonly {pressed: boolean, value: number}[]}} pad
 * @param {Control[]} controls
 * @returns {{codes: string[], look: [number, number], start: boolean}} look: the right stick, right and up
 */
export function read(pad, controls) {
  const pressed = (i) => Boolean(pad.buttons[i]?.pressed || pad.buttons[i]?.value > PRESSED);
  const [first, second = first] = places(controls);
  const codes = new Set();
  const hold = (group, place, on) => on && group?.[place] && codes.add(group[place]);
  const [right, up] = stick(pad.axes[0], pad.axes[1]);
  const reach = EIGHTH * Math.hypot(right, up);
  hold(first, "up", up > reach);
  hold(first, "down", -up > reach);
  hold(first, "right", right > reach);
  hold(first, "left", -right > reach);
  for (const [place, button] of Object.entries(BUTTONS)) hold(first, place, pressed(button));
  for (const [place, button] of Object.entries(SIDES)) hold(first, place, pressed(button));
  for (const [place, button] of Object.entries(FACE)) hold(second, place, pressed(button));
  return { codes: [...codes], look: stick(pad.axes[2], pad.axes[3]), start: pressed(START) };
}

/** Feeds what is held, and the camera, from the gamepads of the standard layout that are connected. */
export class Gamepads {
  /**
   * @param {import("./held.js").Held} held @param {import("./camera.js").Camera} camera
   * @param {{active: () => boolean, shown: () => boolean, onmenu: () => void}} hooks see `Input`
   */
  constructor(held, camera, hooks) {
    this.held = held;
    this.camera = camera;
    this.hooks = hooks;
    /** @type {Control[]} */
    this.controls = [];
    this.codes = [];
    this.wasStart = false;
    this.polling = false;
    window.addEventListener("gamepadconnected", () => this.poll());
  }

  poll() {
    if (this.polling) return;
    const tick = () => {
      // Of another layout nobody knows which button is which.
      const pads = [...navigator.getGamepads()].filter((pad) => pad?.connected && pad.mapping === "standard");
      this.polling = pads.length > 0;
      if (this.polling) requestAnimationFrame(tick);
      this.apply(this.hooks.shown() ? pads.map((pad) => read(pad, this.controls)) : []);
    };
    tick();
  }

  /** @param {ReturnType<typeof read>[]} states of all gamepads: any of them steers */
  apply(states) {
    const start = states.some((state) => state.start);
    if (start && !this.wasStart) this.hooks.onmenu();
    this.wasStart = start;
    const playing = this.hooks.active() ? states : [];
    const codes = [...new Set(playing.flatMap((state) => state.codes))];
    for (const code of this.codes) if (!codes.includes(code)) this.held.release(code, "gamepad");
    for (const code of codes) this.held.press(code, "gamepad");
    this.codes = codes;
    const [right, up] = playing.map(({ look }) => look).find((look) => look.some(Boolean)) ?? [0, 0];
    if (playing.length || this.tilted) this.camera.tilt(right, up);
    this.tilted = Boolean(right || up);
  }
}
