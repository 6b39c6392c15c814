/** A measure of all columns over time, one line each; the reader chooses which measure. */

import { element, svg, write } from "./dom.js";

const NONE = "–";

/** The curves that a row has, in the order of the first that has them. @param {import("./types.js").CellData[]} cells */
export function offered(cells) {
  const found = new Map();
  for (const { curves } of cells) for (const curve of curves) if (!found.has(curve.name)) found.set(curve.name, curve.words);
  return [...found].map(([name, words]) => ({ name, words }));
}

/**
 * Points of a line in a box of 100 in height; it is interrupted where there is no value.
 * @param {import("./types.js").Curve} curve
 */
export function path({ values, low, high }) {
  let on = false;
  let out = "";
  values.forEach((value, frame) => {
    if (value !== null) {
      const y = height(value, low, high);
      out += `${on ? "L" : "M"}${frame + 0.5} ${y}`;
      if (!on && (values[frame + 1] ?? null) === null) out += `h.01`; // a single one is a dot
    }
    on = value !== null;
  });
  return out;
}

const height = (value, low, high) => +(97 - (94 * (Math.min(high, Math.max(low, value)) - low)) / (high - low)).toFixed(1);

export class CurveChart {
  /** @param {(name: string) => void} onchoice */
  constructor(onchoice) {
    this.choice = element("select", { "aria-label": "Measure to draw", onchange: () => onchoice(this.choice.value) });
    this.values = element("span.values");
    this.drawing = svg("svg", { preserveAspectRatio: "none", role: "img" });
    this.root = element(
      "div.row.curve",
      {},
      element("span.label", {}, this.choice, this.values),
      element("div.track", {}, this.drawing),
    );
    /** @type {{column: number, curve: import("./types.js").Curve, value: HTMLElement}[]} */
    this.lines = [];
  }

  /** @param {import("./types.js").CellData[]} cells @param {number} frames @param {string} name of the measure */
  draw(cells, frames, name) {
    const all = offered(cells);
    const chosen = all.find((one) => one.name === name) ?? all[0];
    this.root.hidden = !chosen;
    this.lines = [];
    if (!chosen) return;
    this.choice.replaceChildren(...all.map((one) => element("option", { value: one.name }, one.name)));
    this.choice.value = chosen.name;
    this.choice.title = chosen.words;
    this.drawing.setAttribute("viewBox", `0 0 ${frames} 100`);
    this.drawing.ariaLabel = `${chosen.words}, one line for each column`;
    const shapes = [];
    cells.forEach((cell, column) => {
      const curve = cell.curves.find((one) => one.name === chosen.name);
      if (!curve) return;
      if (!this.lines.length)
        for (const limit of [curve.least, curve.most])
          if (limit !== null) shapes.push(svg("path", { class: "limit", d: `M0 ${height(limit, curve.low, curve.high)}H${frames}` })); // prettier-ignore
      shapes.push(svg("path", { class: `line c${column}`, d: path(curve) }));
      this.lines.push({ column, curve, value: element("span", { title: cell.title }, element(`i.dot.c${column}`), element("b")) });
    });
    this.drawing.replaceChildren(...shapes);
    this.values.replaceChildren(...this.lines.map(({ value }) => value));
  }

  /** @param {number} frame */
  show(frame) {
    for (const { curve, value } of this.lines) {
      const now = curve.values[frame] ?? null;
      write(value.lastElementChild, now === null ? NONE : now.toFixed(curve.high > 5 ? 1 : 2));
    }
  }
}
