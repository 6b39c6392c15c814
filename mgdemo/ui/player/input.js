/**
 * What the player holds: keys of the keyboard by their place (`KeyboardEvent.code`), on-screen pads by
 * pointer or by key. Both may hold the same control; it is let go when the last one lets go.
 */

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

/** @param {EventTarget | null} target @returns whether keys pressed there are meant as text or choice */
export function takesText(target) {
  const tag = target?.tagName;
  if (target?.isContentEditable || tag === "TEXTAREA" || tag === "SELECT") return true;
  return tag === "INPUT" && !["button", "checkbox", "radio", "range", "submit"].includes(target.type);
}

/** Maps every key code of a mode, aliases included, to its control's own code. */
export function keyMap(controls) {
  return new Map(controls.flatMap((c) => [c.code, ...c.aliases].map((code) => [code, c.code])));
}

/** Feeds `Held` from the keyboard and from the pads while `active()` says so. */
export class Input {
  /** @param {Held} held @param {() => boolean} active */
  constructor(held, active) {
    this.held = held;
    this.active = active;
    this.keys = new Map();
    window.addEventListener("keydown", (event) => this.keydown(event), { capture: true });
    window.addEventListener("keyup", (event) => this.keyup(event), { capture: true });
    // A key let go elsewhere is never reported here: let everything go instead of running on.
    window.addEventListener("blur", () => held.releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && held.releaseAll());
    document.addEventListener("focusin", (event) => takesText(event.target) && held.releaseAll());
  }

  /** @param {{code: string, aliases: string[]}[]} controls */
  setControls(controls) {
    this.held.releaseAll();
    this.keys = keyMap(controls);
  }

  keydown(event) {
    const code = this.keys.get(event.code);
    if (!code || !this.active() || takesText(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
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
