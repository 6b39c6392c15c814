/** One run of a grid: its picture, its name and keys, and while there is no film, how it stands. */

import { element, write } from "./dom.js";
import { openFilm } from "./films.js";
import { Keys } from "./keys.js";
import { Strip } from "./strip.js";

const SMALL = 512; // pixels; narrower pictures are drawn doubled, so that their edges stay crisp
const PHASES = { waiting: "Waits", running: "Runs", measuring: "Is measured", failed: "Failed", cancelled: "Cancelled" };

export class Cell {
  /**
   * @param {import("./types.js").CellData} data @param {number} column @param {import("./types.js").Mode} mode
   * @param {number} fps
   * @param {{onfilm: () => void, ongo: (frame: number) => void}} handlers  onfilm: its film is there, or is not any more
   */
  constructor(data, column, mode, fps, { onfilm, ongo }) {
    this.mode = mode;
    this.fps = fps;
    this.onfilm = onfilm;
    /** @type {import("./film.js").Film | null} */
    this.film = null;
    this.exact = true;
    this.problem = "";
    this.title = element("b");
    this.from = element("span.quiet");
    this.canvas = element("canvas", { role: "img" });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.preview = element("img.preview", { alt: "", hidden: true });
    this.bar = element("progress", { max: 1 });
    this.words = element("p");
    this.veil = element("div.veil", {}, this.words, this.bar);
    this.name = element("span.name", { "aria-hidden": "true" });
    this.picture = element("div.picture", {}, this.preview, this.canvas, this.name, this.veil);
    this.strip = new Strip(fps, ongo);
    const caption = element("figcaption", {}, element(`i.dot.c${column}`), this.title, " ", this.from);
    this.root = element("figure.cell", {}, caption, this.picture, this.strip.root);
    this.update(data);
  }

  /** @param {import("./types.js").CellData} data */
  update(data) {
    const changed = this.data?.video !== data.video || this.data?.key !== data.key;
    const lanes = JSON.stringify(data.lanes);
    this.data = data;
    write(this.title, data.title);
    write(this.name, data.title);
    write(this.from, data.image && `from ${data.image}, seed ${data.seed}`);
    this.canvas.ariaLabel = data.title;
    this.picture.style.setProperty("--ratio", String(data.width / data.height));
    if (lanes !== this.drawn) {
      this.drawn = lanes;
      this.keys?.root.remove();
      this.keys = new Keys(this.mode, data.lanes);
      this.picture.append(this.keys.root);
    }
    this.strip.draw(data);
    if (changed) this.close();
    this.render();
  }

  /** @param {import("./types.js").Progress} progress */
  progress(progress) {
    Object.assign(this.data, progress);
    this.render();
  }

  /** Opens its film, if there is one and it is not open. @param {number} budget bytes of decoded frames */
  async open(budget) {
    const { video, width, height } = this.data;
    if (!video || this.opening === video) return;
    this.opening = video;
    this.problem = "";
    const scale = width < SMALL ? 2 : 1;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    this.context.imageSmoothingEnabled = false;
    try {
      const { film, exact } = await openFilm(video, this.fps, budget);
      if (this.opening !== video) return film.close();
      film.onfail = (error) => this.fail(error);
      this.film = film;
      this.exact = exact;
    } catch (error) {
      if (this.opening === video) return this.fail(error);
    }
    this.render();
    this.onfilm();
  }

  fail(error) {
    console.error(`The film of ${this.data.title} cannot be shown:`, error);
    this.close();
    this.problem = "Its film cannot be shown in this browser.";
    this.render();
    this.onfilm();
  }

  /** Lets go of its film. */
  close() {
    this.opening = null;
    this.film?.close();
    this.film = null;
  }

  /** @param {number} frame */
  show(frame) {
    this.keys.show(Math.min(frame, this.data.frames - 1));
    this.strip.show(frame);
    this.root.toggleAttribute("data-ended", frame >= this.data.frames);
  }

  render() {
    const { data } = this;
    const { phase, share } = data;
    this.root.dataset.phase = this.problem ? "failed" : phase;
    this.veil.hidden = Boolean(this.film);
    this.canvas.hidden = !this.film;
    this.preview.hidden = Boolean(this.film) || !data.picture;
    if (data.picture && this.preview.src !== data.picture) this.preview.src = data.picture;
    this.bar.hidden = !["running", "measuring"].includes(phase);
    this.bar.value = share;
    this.bar.ariaLabel = `Progress of ${data.title}`;
    write(this.words, this.problem || stands(data));
  }
}

/** How a run stands, in words. @param {import("./types.js").Progress} data */
export function stands({ phase, words, error, share, fps, seconds_left: left }) {
  if (phase === "finished") return "Opening its film.";
  if (phase === "failed") return `Failed: ${error}`;
  if (phase !== "running") return words || `${PHASES[phase]}.`;
  const speed = fps ? `, ${fps.toFixed(1)} frames/s` : "";
  const rest = left ? `, ${left < 90 ? `${Math.round(left)} s` : `${Math.round(left / 60)} minutes`} left` : "";
  return `${Math.round(100 * share)} %${speed}${rest}. ${words}`.trim();
}
