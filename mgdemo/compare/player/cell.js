/** One run of a grid: its picture, its name and keys, and while there is no film, how it stands. */

import { element, write } from "./dom.js";
import { Keys } from "./keys.js";
import { Screen } from "./screen.js";
import { Strip } from "./strip.js";
import { Veil } from "./veil.js";

export class Cell {
  /**
   * @param {import("./types.js").CellData} data @param {number} column @param {import("./types.js").Mode} mode
   * @param {number} fps
   * @param {{onfilm: () => void, ongo: (frame: number) => void}} handlers  onfilm: its film is there, or is not any more
   */
  constructor(data, column, mode, fps, { onfilm, ongo }) {
    this.mode = mode;
    this.screen = new Screen(fps, () => {
      this.render();
      onfilm();
    });
    this.veil = new Veil();
    this.title = element("b");
    this.from = element("span.quiet");
    this.name = element("span.name", { "aria-hidden": "true" });
    this.picture = element("div.picture", {}, this.veil.preview, this.screen.canvas, this.name, this.veil.root);
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
    this.screen.canvas.ariaLabel = data.title;
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
  open(budget) {
    return this.screen.open(this.data, budget);
  }

  /** Lets go of its film. */
  close() {
    this.screen.close();
  }

  /** @param {number} frame */
  show(frame) {
    this.keys.show(Math.min(frame, this.data.frames - 1));
    this.strip.show(frame);
    this.root.toggleAttribute("data-ended", frame >= this.data.frames);
  }

  render() {
    const { film, problem, canvas } = this.screen;
    this.root.dataset.phase = problem ? "failed" : this.data.phase;
    canvas.hidden = !film;
    this.veil.render(this.data, { open: Boolean(film), problem });
  }
}
