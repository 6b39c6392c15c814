/** The thin line below a picture: where the run goes wrong, where a control is lost, and moments to look at. */

import { element } from "./dom.js";

export class Strip {
  /** @param {number} fps @param {(frame: number) => void} ongo */
  constructor(fps, ongo) {
    this.fps = fps;
    this.ongo = ongo;
    this.line = element("div.line", { "aria-hidden": "true" });
    this.moments = element("ul.moments");
    this.root = element("div.strip", {}, this.line, this.moments);
  }

  /** @param {import("./types.js").CellData} data */
  draw({ frames, wrong, lanes, moments }) {
    const drawn = JSON.stringify([frames, wrong, lanes, moments]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.frames = frames;
    const bar = (kind) => ([from, to]) =>
      element(`i.${kind}`, { style: `left: ${(100 * from) / frames}%; width: ${(100 * (to - from)) / frames}%` });
    const lost = lanes.filter((lane) => lane.lost).flatMap(({ spans }) => spans);
    const flags = moments.map(({ frame }) => element("i.flag", { style: `left: ${(100 * frame) / frames}%` }));
    this.line.replaceChildren(...lost.map(bar("lost")), ...wrong.map(bar("wrong")), ...flags, element("i.now"));
    this.moments.replaceChildren(
      ...moments.map(({ frame, words }) =>
        element("li", {}, element("button", { type: "button", onclick: () => this.ongo(frame) }, `${(frame / this.fps).toFixed(1)} s`), ` ${words}`), // prettier-ignore
      ),
    );
  }

  /** @param {number} frame */
  show(frame) {
    this.root.style.setProperty("--at", String((Math.min(frame, this.frames - 1) + 0.5) / this.frames));
  }
}
