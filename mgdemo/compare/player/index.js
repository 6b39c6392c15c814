/**
 * The lockstep player: runs of a grid side by side, all on one frame.
 *
 * @typedef {import("./types.js").GridView} GridView
 * @typedef {import("./types.js").State} State
 */

import { Cell } from "./cell.js";
import { element } from "./dom.js";
import { Lockstep } from "./lockstep.js";

const MEMORY = 160 * 2 ** 20; // bytes of decoded frames, of all films together

/**
 * @param {HTMLElement} root filled by this
 * @param {GridView} data
 * @param {{}} [options]
 * @returns {{update(data: GridView): void, progress(cells: import("./types.js").Progress[]): void,
 *   goTo(frame: number): void, state(): object, close(): void}}
 */
export function mountGrid(root, data, options = {}) {
  const player = new GridPlayer(root, data, options);
  return {
    update: (next) => player.update(next),
    progress: (cells) => player.progress(cells),
    goTo: (frame) => player.lockstep.goTo(frame),
    state: () => player.state(),
    close: () => player.close(),
  };
}

class GridPlayer {
  constructor(root, data, _options) {
    this.row = 0;
    this.lockstep = new Lockstep(data.fps, { onshown: (frame) => this.shown(frame) });
    this.cells = [];
    this.stage = element("div.cells");
    this.playButton = element("button", { type: "button", onclick: () => this.play() }, "Play");
    this.slider = element("input", { type: "range", min: 0, step: 1, "aria-label": "Frame" });
    this.slider.addEventListener("input", () => this.lockstep.goTo(Number(this.slider.value)));
    this.time = element("output");
    this.root = element("section.lockstep", { "aria-label": "Comparison" }, this.stage, element("div.transport", {}, this.playButton, this.slider, this.time)); // prettier-ignore
    root.replaceChildren(this.root);
    this.update(data);
  }

  update(data) {
    const same = this.data?.id === data.id && this.cells.length;
    this.data = data;
    const row = data.rows[this.row];
    if (same) row.cells.forEach((cell, i) => this.cells[i].update(cell));
    else {
      for (const cell of this.cells) cell.close();
      this.cells = row.cells.map((cell) => new Cell(cell, data.modes[cell.mode], data.fps, { onfilm: () => this.arrange() }));
      this.stage.replaceChildren(...this.cells.map((cell) => cell.root));
    }
    this.slider.max = String(row.frames - 1);
    for (const cell of this.cells) cell.open(MEMORY / this.cells.length);
    this.arrange();
  }

  progress(progress) {
    const byKey = new Map(progress.map((one) => [one.key, one]));
    for (const cell of this.cells) if (byKey.has(cell.data.key)) cell.progress(byKey.get(cell.data.key));
  }

  arrange() {
    const screens = this.cells.filter((cell) => cell.film).map(({ film, context }) => ({ film, context }));
    this.lockstep.setScreens(screens, this.data.rows[this.row].frames);
  }

  play() {
    this.lockstep.play(!this.lockstep.clock.playing);
  }

  shown(frame) {
    for (const cell of this.cells) cell.show(frame);
    this.slider.value = String(frame);
    this.time.textContent = `${frame}`;
  }

  state() {
    return { grid: this.data.id, row: this.row, frame: this.lockstep.frame };
  }

  close() {
    this.lockstep.play(false);
    for (const cell of this.cells) cell.close();
    this.root.remove();
  }
}
