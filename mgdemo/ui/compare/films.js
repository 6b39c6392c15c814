/** Where the films of a grid are on this page, which may lie behind a path prefix. */

import { addressOf } from "../player/connection.js";

/** @template {import("../../compare/player/types.js").GridView} V @param {V} view @returns {V} changed in place */
export function absolute(view) {
  for (const row of view.rows)
    for (const cell of row.cells) if (cell.video) cell.video = addressOf(cell.video).href;
  return view;
}
