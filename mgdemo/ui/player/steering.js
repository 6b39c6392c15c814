/** What the visitor holds on the way to the server: keys, pads, gamepad and camera, and the pads that show it. */

import { Input } from "./input.js";
import { KeyPanel } from "./key_panel.js";
import { Pads } from "./pads.js";

/** @typedef {import("./bindings.js").Mode} Mode */

export class Steering {
  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {object} hooks
   * @param {() => boolean} hooks.active whether what is held counts
   * @param {() => boolean} hooks.shown
   * @param {(input: {held: string[], camera: [number, number], input_seq: number}) => void} hooks.onchange
   * @param {() => void} hooks.onpress a control was pressed, or the camera turned on purpose
   * @param {() => boolean} hooks.onwake
   * @param {() => void} hooks.onmenu
   */
  constructor(parts, hooks) {
    this.hooks = hooks;
    this.input = new Input(parts.stage, { ...hooks, onchange: (held, camera) => this.onheld(held, camera) });
    this.pads = new Pads(parts.pads, (pad, code) => this.input.bindPad(pad, code));
    this.keyPanel = new KeyPanel(parts.rebind);
    this.input_seq = 0;
    this.last = { held: [], camera: [0, 0] };
    /** @type {Mode | null} */
    this.mode = null;
    this.live = false;
    this.usedAt = 0; // when something was held or turned
  }

  /** @param {Mode} mode @param {boolean} live whether the visitor steers */
  setMode(mode, live) {
    if (this.mode === mode && this.live === live) return;
    this.mode = mode;
    this.live = live;
    this.input.setMode(mode);
    this.pads.build(mode, live);
    this.keyPanel.setMode(mode);
  }

  /** @param {string[]} held codes @param {[number, number]} camera pitch and yaw */
  onheld(held, camera) {
    this.pads.hold(held);
    this.used();
    this.hooks.onchange({ held, camera, input_seq: ++this.input_seq });
    const { last } = this;
    this.last = { held, camera };
    const pressed = held.some((code) => !last.held.includes(code));
    const turned = camera.some((value, axis) => Math.abs(value) > Math.abs(last.camera[axis])); // not dying away
    if (pressed || turned) this.hooks.onpress();
  }

  /** Says again what is held, to a server that has not heard it. */
  repeat() {
    const held = this.input.codes;
    const camera = this.input.camera.value;
    if (held.length || camera.some(Boolean)) this.hooks.onchange({ held, camera, input_seq: ++this.input_seq });
  }

  used() {
    this.usedAt = performance.now();
  }

  /** Milliseconds for which nothing has been held. @param {number} now */
  idleFor(now) {
    if (this.input.codes.length || this.input.camera.value.some(Boolean)) this.usedAt = now;
    return now - this.usedAt;
  }

  /** The session is over. */
  close() {
    this.input.releaseAll();
    this.pads.use([]);
  }
}
