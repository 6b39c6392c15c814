/**
 * The pads below the picture, one for each control: lit while held, with a dot while the shown block obeys it.
 *
 * @typedef {import("./bindings.js").Control} Control
 * @typedef {import("./bindings.js").Mode} Mode
 */

import { keyboard } from "./keyboard.js";

export class Pads {
  /**
   * @param {HTMLElement} root
   * @param {(pad: HTMLButtonElement, code: string) => void} bind makes a pad hold its control
   */
  constructor(root, bind) {
    this.root = root;
    this.bind = bind;
    /** @type {Map<string, {pad: HTMLButtonElement, control: Control}>} */
    this.pads = new Map();
    keyboard.follow(() => this.nameKeys());
  }

  /** Shows a mode's controls. @param {Mode} mode @param {boolean} live whether the visitor steers */
  build(mode, live) {
    const groups = new Map(mode.controls.map(({ group }) => [group, []]));
    for (const control of mode.controls) groups.get(control.group).push(control);
    this.mode = mode;
    this.pads.clear();
    this.root.replaceChildren(
      ...[...groups].map(([name, members]) => {
        const group = document.createElement("div");
        group.className = "pad-group";
        group.setAttribute("role", "group");
        group.setAttribute("aria-label", name);
        group.append(...members.map((control) => this.buildPad(control, live)));
        return group;
      }),
    );
    this.nameKeys();
  }

  buildPad(control, live) {
    const pad = document.createElement("button");
    pad.type = "button";
    pad.className = "pad";
    pad.dataset.control = control.name;
    pad.style.gridArea = `${control.row + 1} / ${control.column + 1}`;
    const key = document.createElement("kbd");
    const hint = document.createElement("small");
    hint.textContent = control.hint;
    pad.append(key, hint);
    if (live) {
      pad.setAttribute("aria-pressed", "false");
      this.bind(pad, control.code);
    } else {
      pad.disabled = true;
    }
    this.pads.set(control.name, { pad, control });
    return pad;
  }

  /** Writes on each pad what its key is called on this keyboard. */
  nameKeys() {
    const { names, bindings } = keyboard;
    for (const { pad, control } of this.pads.values()) {
      const keys = bindings.keys(this.mode, control);
      pad.querySelector("kbd").textContent = names.name(keys[0]);
      pad.setAttribute("aria-label", `${control.hint} (${keys.map((code) => names.spoken(code)).join(" or ")})`);
    }
  }

  /** What the visitor holds. @param {string[]} codes */
  hold(codes) {
    for (const { pad, control } of this.pads.values()) {
      const held = codes.includes(control.code);
      pad.classList.toggle("held", held);
      pad.setAttribute("aria-pressed", String(held));
    }
  }

  /** What the shown block obeys. @param {string[]} names */
  use(names) {
    for (const [name, { pad }] of this.pads) pad.classList.toggle("used", names.includes(name));
  }
}
