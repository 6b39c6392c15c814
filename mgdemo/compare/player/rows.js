/** The cells of the rows that are shown, in the order of the page. */

import { Cell } from "./cell.js";
import { element, write } from "./dom.js";
import { arrange } from "./layout.js";

const MEMORY = 144 * 2 ** 20; // bytes of decoded frames, of all films together
const MOST = 48 * 2 ** 20; // and of one
const SHARE = 0.62; // of the window's height that the cells of a row may take

export class Rows {
  /** @param {{onfilm: () => void, ongo: (frame: number) => void}} handlers  onfilm: films came or went */
  constructor({ onfilm, ongo }) {
    this.onfilm = onfilm;
    this.ongo = ongo;
    this.root = element("div.rows-shown");
    /** @type {{index: number, title: HTMLElement, stage: HTMLElement, cells: Cell[]}[]} */
    this.shown = [];
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.root);
  }

  /** @returns {Cell[]} of all rows that are shown */
  get cells() {
    return this.shown.flatMap(({ cells }) => cells);
  }

  /** @param {import("./types.js").GridView} data @param {number} row -1 for all of them */
  update(data, row) {
    const wanted = row < 0 ? data.rows.map((_, i) => i) : [row];
    const same =
      this.id === data.id &&
      wanted.length === this.shown.length &&
      wanted.every((index, i) => this.shown[i].index === index);
    if (same) wanted.forEach((index, i) => data.rows[index].cells.forEach((cell, j) => this.shown[i].cells[j].update(cell)));
    else this.build(data, wanted);
    this.id = data.id;
    this.shown.forEach(({ index, title }) => {
      title.hidden = wanted.length < 2;
      write(title, data.rows[index].title);
    });
    const { cells } = this;
    for (const cell of cells) cell.open(Math.min(MOST, MEMORY / cells.length));
    this.fit();
    this.onfilm();
  }

  /** @param {import("./types.js").GridView} data @param {number[]} wanted */
  build(data, wanted) {
    this.close();
    const handlers = { onfilm: () => this.onfilm(), ongo: this.ongo };
    this.shown = wanted.map((index) => {
      const cells = data.rows[index].cells.map(
        (cell, column) => new Cell(cell, column, data.modes[cell.mode], data.fps, handlers),
      );
      const stage = element("div.cells", {}, ...cells.map((cell) => cell.root));
      return { index, title: element("h3.row-title"), stage, cells };
    });
    this.root.replaceChildren(...this.shown.flatMap(({ title, stage }) => [title, stage]));
  }

  /** @param {import("./types.js").Progress[]} progress */
  progress(progress) {
    const byKey = new Map(progress.map((one) => [one.key, one]));
    for (const cell of this.cells) {
      const now = byKey.get(cell.data.key);
      if (now) cell.progress(now);
    }
  }

  /** Which cells are seen, and how. @param {import("./types.js").PairView} view */
  look({ kind, a, b }) {
    this.pair = kind !== "side";
    for (const { cells, stage } of this.shown) {
      stage.dataset.view = kind;
      cells.forEach((cell, column) => {
        cell.root.hidden = this.pair && column !== a && column !== b;
        cell.root.toggleAttribute("data-above", this.pair && column === b && a !== b);
      });
    }
    this.fit();
  }

  /** As many beside each other as make the pictures largest. */
  fit() {
    const { width } = this.root.getBoundingClientRect();
    if (!width) return;
    for (const { cells, stage } of this.shown) {
      const seen = this.pair ? 1 : cells.length;
      const ratio = Math.min(...cells.map(({ data }) => data.width / data.height));
      const { columns, width: size } = arrange(seen, width, innerHeight * SHARE, ratio, this.pair ? 0 : 44);
      stage.style.setProperty("--columns", String(columns));
      stage.style.setProperty("--size", `${Math.floor(size)}px`);
    }
  }

  close() {
    for (const cell of this.cells) cell.close();
    this.shown = [];
  }
}
