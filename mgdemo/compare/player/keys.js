/** The keys of a run, drawn over its picture and lit while they are held. */

import { element } from "./dom.js";

/** Whether a frame is in one of the spans. @param {import("./types.js").Span[]} spans @param {number} frame */
export const within = (spans, frame) => spans.some(([from, to]) => from <= frame && frame < to);

export class Keys {
  /** @param {import("./types.js").Mode} mode @param {import("./types.js").Lane[]} lanes */
  constructor(mode, lanes) {
    this.lanes = lanes;
    /** @type {Map<import("./types.js").Lane, HTMLElement>} */
    this.caps = new Map();
    const held = new Map(lanes.filter((lane) => !lane.lost).map((lane) => [lane.control, lane]));
    const pads = [...new Set(mode.controls.map(({ group }) => group))].map((group) =>
      element(
        "span.pad",
        {},
        ...mode.controls.filter((control) => control.group === group).map((control) => {
          const cap = element("kbd", { style: `grid-area: ${control.row + 1} / ${control.column + 1}` }, control.label);
          if (held.has(control.name)) this.caps.set(held.get(control.name), cap);
          return cap;
        }),
      ),
    );
    const lost = lanes.filter((lane) => lane.lost).map((lane) => {
      const cap = element("kbd.lost", { title: `${lane.hint} has no counterpart here` }, lane.label);
      this.caps.set(lane, cap);
      return cap;
    });
    // What is held is said once for all cells, at rest; here it is only drawn.
    this.root = element("div.keys", { "aria-hidden": "true" }, ...pads, element("span.losses", {}, ...lost));
  }

  /** @param {number} frame */
  show(frame) {
    for (const [lane, cap] of this.caps) cap.toggleAttribute("data-held", within(lane.spans, frame));
  }
}
