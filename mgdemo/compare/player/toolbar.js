/** Choices of how to look: which row, beside or over each other, names and keys, zoom. */

import { element } from "./dom.js";
import { Pair } from "./pair.js";
import { VIEWS } from "./state.js";

const WORDS = { side: "Side by side", wipe: "Wipe", blink: "Blink", difference: "Difference" };
const KEYS = { side: "S", wipe: "W", blink: "B", difference: "D" };
let mounted = 0;

export class Toolbar {
  /**
   * @param {(change: Partial<import("./types.js").State>) => void} onchange
   * @param {() => import("./types.js").State} state
   * @param {(factor: number) => void} onzoom  0: as it was
   */
  constructor(onchange, state, onzoom) {
    const group = `lockstep-view-${++mounted}`;
    const view = (change) => onchange({ view: { ...state().view, ...change } });
    this.row = element("select.rows", { "aria-label": "Row", onchange: () => onchange({ row: Number(this.row.value) }) });
    this.radios = VIEWS.map((kind) =>
      element("input", { type: "radio", name: group, value: kind, "aria-keyshortcuts": KEYS[kind], onchange: () => view({ kind }) }),
    );
    this.views = element(
      "div.views",
      { role: "radiogroup", "aria-label": "How to compare" },
      ...VIEWS.map((kind, i) => element("label", { title: `${WORDS[kind]} (${KEYS[kind]})` }, this.radios[i], WORDS[kind])),
    );
    this.pair = new Pair(view);
    const toggle = (words, key, name) =>
      element("button.toggle", { type: "button", title: `${words} over the pictures (${key})`, "aria-keyshortcuts": key, onclick: () => onchange({ [name]: !state()[name] }) }, words); // prettier-ignore
    this.names = toggle("Names", "N", "names");
    this.keys = toggle("Keys", "K", "keys");
    const zoomButton = (words, label, factor) =>
      element("button", { type: "button", title: label, "aria-label": label, onclick: () => onzoom(factor) }, words);
    this.zoomed = zoomButton("100 %", "Whole picture (0)", 0);
    const zoom = element("div.zoom", { role: "group", "aria-label": "Zoom" }, zoomButton("−", "Smaller (-)", 1 / 1.5), this.zoomed, zoomButton("+", "Larger (+)", 1.5)); // prettier-ignore
    this.root = element("div.toolbar", {}, this.row, this.views, element("div.over-pictures", {}, this.names, this.keys), zoom, this.pair.root); // prettier-ignore
  }

  /** @param {import("./types.js").GridView} data */
  offer({ rows, columns }) {
    const names = rows.map(({ title }, i) => element("option", { value: i }, title));
    this.row.replaceChildren(...names, element("option", { value: -1 }, "All rows"));
    this.row.hidden = rows.length < 2;
    this.pair.offer(columns);
    this.views.hidden = columns.length < 2;
  }

  /** @param {import("./types.js").State} state */
  render({ row, view, names, keys, zoom }) {
    this.row.value = String(row);
    for (const radio of this.radios) radio.checked = radio.value === view.kind;
    this.pair.render(view);
    this.names.ariaPressed = String(names);
    this.keys.ariaPressed = String(keys);
    this.zoomed.textContent = `${Math.round(100 * zoom.scale)} %`;
    this.zoomed.disabled = zoom.scale === 1;
  }
}
