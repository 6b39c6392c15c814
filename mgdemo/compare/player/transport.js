/** Buttons of time: play, step, speed, and the loop. */

import { SPEEDS } from "./clock.js";
import { element, write } from "./dom.js";

const button = (words, label, onclick, key) =>
  element("button", { type: "button", title: `${label} (${key})`, "aria-label": label, onclick }, words);

export class Transport {
  /**
   * @param {{onplay: () => void, onstep: (frames: number) => void, onend: (last: boolean) => void,
   *   onspeed: (speed: number) => void, onunloop: () => void}} handlers
   */
  constructor({ onplay, onstep, onend, onspeed, onunloop }) {
    this.play = element("button.play", { type: "button", title: "Play (Space)", onclick: onplay }, "Play");
    this.speed = element(
      "select",
      { "aria-label": "Speed", title: "Speed (< and >)", onchange: () => onspeed(Number(this.speed.value)) },
      ...SPEEDS.map((speed) => element("option", { value: speed }, `${speed}x`)),
    );
    this.loop = element("button.loop", { type: "button", title: "Leave the loop (L)", onclick: onunloop });
    this.waits = element("span.waits.quiet");
    this.root = element(
      "div.transport",
      { role: "group", "aria-label": "Time" },
      button("|‹", "To the start", () => onend(false), "Home"),
      button("‹", "One frame back", () => onstep(-1), ","),
      this.play,
      button("›", "One frame forward", () => onstep(1), "."),
      button("›|", "To the end", () => onend(true), "End"),
      this.speed,
      this.loop,
      this.waits,
    );
  }

  /**
   * @param {{playing: boolean, speed: number, loop: import("./clock.js").Loop | null}} clock @param {number} fps
   * @param {number} fastest speed that may be chosen
   */
  render({ playing, speed, loop }, fps, fastest) {
    write(this.play, playing ? "Pause" : "Play");
    this.play.title = `${playing ? "Pause" : "Play"} (Space)`;
    this.speed.value = String(speed);
    for (const option of this.speed.options) option.disabled = Number(option.value) > fastest;
    this.loop.hidden = !loop;
    if (loop) write(this.loop, `Loop ${(loop.from / fps).toFixed(1)} to ${((loop.to + 1) / fps).toFixed(1)} s ×`);
  }
}
