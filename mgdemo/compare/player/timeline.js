/**
 * One timeline for all cells: a slider, marks, lanes of held controls and a measure's curves.
 *
 * A click goes there; a drag over lanes or curves selects what to loop; a drag on the top row scrubs.
 *
 * @typedef {import("./clock.js").Loop} Loop
 */

import { CurveChart } from "./curve_chart.js";
import { element } from "./dom.js";
import { laneRows } from "./lanes.js";

const LATE = 70; // percent of the time
const LAST = 88;
const DRAG = 5; // pixels; less is a click
const TICKS = [0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600]; // seconds

export class Timeline {
  /**
   * @param {number} fps
   * @param {{ongo: (frame: number) => void, onloop: (loop: Loop | null) => void, oncurve: (name: string) => void}} handlers
   */
  constructor(fps, { ongo, onloop, oncurve }) {
    this.fps = fps;
    this.frames = 1;
    this.ongo = ongo;
    this.onloop = onloop;
    this.slider = element("input.slider", {
      type: "range",
      min: 0,
      step: 1,
      value: 0,
      "aria-label": "Frame",
      oninput: () => ongo(Number(this.slider.value)),
    });
    this.time = element("span.time");
    this.ruler = element("div.track.ruler");
    this.lanes = element("div.lanes");
    this.chart = new CurveChart(oncurve);
    this.selected = element("i.selected", { hidden: true });
    this.over = element("div.over", { "aria-hidden": "true" }, this.selected, element("i.now"));
    this.body = element("div.body", {}, element("div.row.ruled", {}, element("span.label"), this.ruler), this.lanes, this.chart.root, this.over); // prettier-ignore
    this.top = element("div.row.slide", {}, element("span.label", {}, this.time), this.slider);
    this.root = element("div.times", {}, this.body);
    this.listen();
  }

  /** @param {import("./types.js").RowData} row @param {number} frames of the longest run shown @param {string} curve */
  draw(row, frames, curve) {
    this.frames = frames;
    this.slider.max = String(frames - 1);
    this.lanes.replaceChildren(...laneRows(row.cells, frames));
    this.chart.draw(row.cells, frames, curve);
    const seconds = frames / this.fps;
    const step = TICKS.find((tick) => seconds / tick <= 8) ?? TICKS.at(-1);
    const ticks = [];
    for (let at = 0; at <= seconds * 0.97; at += step) {
      const share = (100 * at) / seconds;
      const late = share > LAST; // beyond it a narrow page has no room behind the moment
      const style = late ? `right: ${100 - share}%` : `left: ${share}%`;
      ticks.push(element(`span.second${late ? ".late" : ""}`, { style }, `${+at.toFixed(1)} s`));
    }
    const marks = row.marks.map((mark, i) => this.mark(mark, i, row.marks[i + 1]?.frame ?? frames));
    this.ruler.replaceChildren(...ticks, ...marks);
    this.ruler.classList.toggle("marked", marks.length > 0);
  }

  /** @param {import("./types.js").Mark} mark @param {number} number @param {number} next the frame of the next one */
  mark({ name, frame }, number, next) {
    const share = (frames) => (100 * frames) / this.frames;
    // Its name takes the place up to the next one; the last ones stand before their moment.
    const late = share(frame) > LATE && next === this.frames;
    const place = late ? `right: ${100 - share(frame)}%` : `left: ${share(frame)}%; max-width: ${share(next - frame)}%`;
    const title = `Go to ${name}${number < 9 ? ` (${number + 1})` : ""}`;
    const properties = { type: "button", style: place, title, onclick: () => this.ongo(frame) };
    return element(`button.mark${late ? ".late" : ""}`, properties, name);
  }

  /** @param {number} frame */
  show(frame) {
    this.slider.value = String(frame);
    this.time.textContent = `${(frame / this.fps).toFixed(2)} s · ${frame}`;
    this.root.style.setProperty("--at", String((frame + 0.5) / this.frames));
    this.chart.show(frame);
  }

  /** What a screen reader says of the slider. @param {string} words */
  name(words) {
    this.slider.ariaValueText = words;
  }

  /** @param {Loop | null} loop */
  select(loop) {
    this.selected.hidden = !loop;
    if (!loop) return;
    this.selected.style.left = `${(100 * loop.from) / this.frames}%`;
    this.selected.style.width = `${(100 * (loop.to + 1 - loop.from)) / this.frames}%`;
  }

  /** The frame below the pointer. @param {PointerEvent} event */
  frameAt(event) {
    const { left, width } = this.over.getBoundingClientRect();
    const frame = Math.floor(((event.clientX - left) / width) * this.frames);
    return Math.min(this.frames - 1, Math.max(0, frame));
  }

  listen() {
    let began = null;
    this.body.addEventListener("pointerdown", (event) => {
      const { target } = event;
      if (event.button || !(target instanceof Element) || !target.closest(".track") || target.closest("button")) return;
      began = { x: event.clientX, frame: this.frameAt(event), scrubs: Boolean(target.closest(".ruler")), moved: false };
      this.body.setPointerCapture(event.pointerId);
      if (began.scrubs) this.ongo(began.frame);
    });
    this.body.addEventListener("pointermove", (event) => {
      if (!began) return;
      const frame = this.frameAt(event);
      began.moved ||= Math.abs(event.clientX - began.x) > DRAG;
      if (began.scrubs) this.ongo(frame);
      else if (began.moved) this.select({ from: Math.min(frame, began.frame), to: Math.max(frame, began.frame) });
    });
    this.body.addEventListener("pointerup", (event) => {
      if (!began) return;
      const { frame: first, scrubs, moved } = began;
      const frame = this.frameAt(event);
      began = null;
      if (scrubs) return;
      if (moved && frame !== first) this.onloop({ from: Math.min(frame, first), to: Math.max(frame, first) });
      else this.ongo(frame);
    });
    this.body.addEventListener("pointercancel", () => (began = null));
  }
}
