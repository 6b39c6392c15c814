/** Which two runs are compared in one picture, and how: the pair, where it is wiped, how much differences gain. */

import { element } from "./dom.js";
import { MOST_GAIN } from "./state.js";

export class Pair {
  /** @param {(change: Partial<import("./types.js").PairView>) => void} onchange */
  constructor(onchange) {
    this.a = element("select", { "aria-label": "Below", onchange: () => onchange({ a: Number(this.a.value) }) });
    this.b = element("select", { "aria-label": "Above", onchange: () => onchange({ b: Number(this.b.value) }) });
    this.gain = element("input", { type: "range", min: 1, max: MOST_GAIN, step: 1, oninput: () => onchange({ gain: Number(this.gain.value) }) }); // prettier-ignore
    this.gainValue = element("output");
    this.gainLabel = element("label", {}, "Gain", this.gain, this.gainValue);
    this.wipe = element("input", { type: "range", min: 0, max: 1, step: 0.01, oninput: () => onchange({ wipe: Number(this.wipe.value) }) }); // prettier-ignore
    this.wipeLabel = element("label", {}, "At", this.wipe);
    this.root = element("div.pair", {}, this.a, element("span", {}, "and"), this.b, this.wipeLabel, this.gainLabel);
  }

  /** @param {string[]} columns */
  offer(columns) {
    for (const select of [this.a, this.b])
      select.replaceChildren(...columns.map((title, i) => element("option", { value: i }, title)));
  }

  /** @param {import("./types.js").PairView} view */
  render({ kind, a, b, wipe, gain }) {
    this.root.hidden = kind === "side";
    this.a.value = String(a);
    this.b.value = String(b);
    this.wipeLabel.hidden = kind !== "wipe";
    this.wipe.value = String(wipe);
    this.gainLabel.hidden = kind !== "difference";
    this.gain.value = String(gain);
    this.gainValue.textContent = `${gain}x`;
  }
}
