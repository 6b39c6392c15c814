/**
 * Which key holds which control. Every mode has its own; the visitor may change them. Pure.
 *
 * @typedef {{code: string, aliases: string[], name: string, label: string, hint: string, group: string,
 *   row: number, column: number}} Control
 * @typedef {{name: string, title: string, axes: string[], stands: boolean, controls: Control[]}} Mode
 */

/** Keys that do something else, and what. */
const TAKEN = {
  KeyP: "pauses",
  Period: "steps one block",
  Backspace: "rewinds",
  KeyH: "shows the statistics",
  KeyF: "toggles full screen",
  Enter: "presses buttons",
  Tab: "moves through the page",
};
const BROWSERS = /^(|Unidentified|Escape|CapsLock|ContextMenu|PrintScreen|Fn.*|F\d+|(Meta|OS|Control|Alt)(Left|Right)?)$/;

export class Bindings {
  /** @param {Record<string, Record<string, string>>} [own] mode → control's name → key's code */
  constructor(own = {}) {
    this.own = own;
  }

  /** The control's first key. @param {Mode} mode @param {Control} control */
  first(mode, control) {
    const code = this.own[mode.name]?.[control.name];
    return typeof code === "string" ? code : control.code;
  }

  /** All keys of a control, the first one first. @param {Mode} mode @param {Control} control */
  keys(mode, control) {
    const firsts = mode.controls.map((each) => this.first(mode, each));
    return [this.first(mode, control), ...control.aliases.filter((code) => !firsts.includes(code))];
  }

  /** Key's code → the control's own code, by which the server knows it. @param {Mode} mode */
  map(mode) {
    return new Map(mode.controls.flatMap((c) => this.keys(mode, c).map((code) => [code, c.code])));
  }

  /**
   * Gives a control another first key. A control that had this one gets the key that becomes free.
   * @param {Mode} mode @param {Control} control @param {string} code
   * @returns {{problem?: string, swapped?: Control, lost?: Control}} problem: why nothing was changed (what the
   *   key does); swapped: the control that got the other key; lost: the one that had this as a further key
   */
  assign(mode, control, code) {
    if (TAKEN[code]) return { problem: TAKEN[code] };
    if (BROWSERS.test(code)) return { problem: "belongs to the browser" };
    const before = this.first(mode, control);
    if (code === before) return {};
    const holder = mode.controls.find((other) => other !== control && this.keys(mode, other).includes(code));
    const swaps = holder && this.first(mode, holder) === code;
    this.own[mode.name] = { ...this.own[mode.name], [control.name]: code };
    if (swaps) this.own[mode.name][holder.name] = before;
    return swaps ? { swapped: holder } : { lost: holder };
  }

  /** @param {Mode} mode */
  changed(mode) {
    return mode.controls.some((control) => this.first(mode, control) !== control.code);
  }

  /** All keys of the mode are again as they came. @param {Mode} mode */
  reset(mode) {
    delete this.own[mode.name];
  }
}
