/**
 * The pads below the picture: one a control, lit while held, with a dot while the shown block obeys it.
 *
 * @typedef {import("./player.js").Control} Control
 */

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
  }

  /** Shows a mode's controls. @param {Control[]} controls @param {boolean} live whether the visitor steers */
  build(controls, live) {
    const groups = new Map(controls.map(({ group }) => [group, []]));
    for (const control of controls) groups.get(control.group).push(control);
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
    this.nameKeys(controls);
  }

  buildPad(control, live) {
    const pad = document.createElement("button");
    pad.type = "button";
    pad.className = "pad";
    pad.dataset.control = control.name;
    pad.style.gridArea = `${control.row + 1} / ${control.column + 1}`;
    pad.setAttribute("aria-label", `${control.hint} (${control.label})`);
    const key = document.createElement("kbd");
    key.textContent = control.label;
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

  /** On another keyboard layout the same place has another letter: write that one. */
  async nameKeys(controls) {
    const layout = await navigator.keyboard?.getLayoutMap?.().catch(() => null); // not allowed in an iframe
    for (const { name, code } of layout ? controls : []) {
      const letter = layout.get(code)?.toUpperCase();
      if (letter && this.pads.has(name)) this.pads.get(name).pad.querySelector("kbd").textContent = letter;
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
