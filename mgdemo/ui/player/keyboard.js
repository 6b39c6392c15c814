/** The visitor's keyboard: names of keys and which control each holds, one for the whole page, kept by the browser. */

import { Bindings } from "./bindings.js";
import { KeyNames } from "./key_names.js";
import { remember, remembered } from "./storage.js";

const NAMES = "mgdemo.key_names";
const KEYS = "mgdemo.keys";

class Keyboard {
  constructor() {
    this.names = new KeyNames(remembered(NAMES));
    this.bindings = new Bindings(remembered(KEYS));
    /** @type {(() => void)[]} */
    this.listeners = [];
    // Not every browser reports it, and none in a frame of another site.
    /** @type {any} */ (globalThis.navigator)?.keyboard?.getLayoutMap?.().then((layout) => {
      for (const [code, letter] of layout) this.names.told.set(code, letter);
      this.changed();
    }, () => {});
  }

  /** Calls `listener` now, and whenever a name or a binding has changed. @param {() => void} listener */
  follow(listener) {
    this.listeners.push(listener);
    listener();
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  /** @param {KeyboardEvent} event a key was pressed, wherever on the page */
  learn(event) {
    const { code, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState?.("AltGraph")) return;
    if (event.isComposing || (event.shiftKey && !/^[a-z]$/i.test(key))) return;
    if (!this.names.learn(code, key)) return;
    remember(NAMES, Object.fromEntries(this.names.learned));
    this.changed();
  }

  /** @see Bindings.assign */
  assign(mode, control, code) {
    const told = this.bindings.assign(mode, control, code);
    this.save();
    return told;
  }

  reset(mode) {
    this.bindings.reset(mode);
    this.save();
  }

  save() {
    remember(KEYS, this.bindings.own);
    this.changed();
  }
}

export const keyboard = new Keyboard();
