/** What is seen of a run while there is no film: its latest picture, and how it stands. */

import { element, write } from "./dom.js";

const PHASES = { waiting: "Waiting", running: "Running", measuring: "Measuring", failed: "Failed", cancelled: "Canceled" };

export class Veil {
  constructor() {
    this.preview = element("img.preview", { alt: "", hidden: true });
    this.words = element("p");
    this.bar = element("progress", { max: 1 });
    this.root = element("div.veil", {}, this.words, this.bar);
  }

  /** @param {import("./types.js").CellData} data @param {{open: boolean, problem: string}} film */
  render(data, { open, problem }) {
    const { phase, share, title, picture } = data;
    this.root.hidden = open;
    this.preview.hidden = open || !picture;
    if (picture && this.preview.src !== picture) this.preview.src = picture;
    this.bar.hidden = !["running", "measuring"].includes(phase);
    this.bar.value = share;
    this.bar.ariaLabel = `Progress of ${title}`;
    write(this.words, problem || stands(data));
  }
}

/** How a run stands, in words. @param {import("./types.js").Progress} data */
function stands({ phase, words, error, share, fps, seconds_left: left }) {
  if (phase === "finished") return "Opening its film.";
  if (phase === "failed") return `Failed: ${error}`;
  if (phase !== "running") return words || `${PHASES[phase]}.`;
  const speed = fps ? `, ${fps.toFixed(1)} frames/s` : "";
  const rest = left ? `, ${left < 90 ? `${Math.round(left)} s` : `${Math.round(left / 60)} minutes`} left` : "";
  return `${Math.round(100 * share)} %${speed}${rest}. ${words}`.trim();
}
