/**
 * The lockstep player: runs of a grid side by side, all on one frame. Used by the page, and inside of the report.
 *
 * @typedef {import("./types.js").GridView} GridView
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Options} Options
 */

import { GridPlayer } from "./grid_player.js";

export { fromText, toText } from "./state.js";

/**
 * @param {HTMLElement} root what is in it is replaced; colors come from the page's theme (see player.css)
 * @param {GridView} data
 * @param {Options} [options]
 * @returns {{update(data: GridView): void, progress(cells: import("./types.js").Progress[]): void,
 *   goTo(frame: number): void, state(): State & {grid: string}, link(): string, close(): void}}
 *   update: the same grid with more finished runs, or another one; progress: how runs stand, see `progress` in view.py
 */
export function mountGrid(root, data, options = {}) {
  const player = new GridPlayer(root, data, options);
  return {
    update: (next) => player.update(next),
    progress: (cells) => player.rows.progress(cells),
    goTo: (frame) => player.lockstep.goTo(frame),
    state: () => ({ grid: player.data.id, ...player.now() }),
    link: () => player.link(),
    close: () => player.close(),
  };
}
