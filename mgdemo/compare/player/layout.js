/** How many cells to put beside each other, so that all can be seen at once and are as large as possible. */

const STACKED = 480; // pixels; on narrower pages cells lie below each other
const WORTH = 1.2; // times larger pictures are worth one more line of them

/**
 * @param {number} count of cells @param {number} width and @param {number} height that they may take, in pixels
 * @param {number} ratio width by height of a picture @param {number} [besides] pixels of a cell's words
 * @returns {{columns: number, width: number}} width: of a cell
 */
export function arrange(count, width, height, ratio, besides = 40, gap = 12) {
  if (width < STACKED) return { columns: 1, width };
  let best = { columns: count, width: 0 };
  for (let columns = count; columns >= 1; columns--) {
    const rows = Math.ceil(count / columns);
    const across = (width - gap * (columns - 1)) / columns;
    const down = ((height - gap * (rows - 1)) / rows - besides) * ratio;
    const size = Math.min(across, Math.max(down, 120));
    if (size > best.width * WORTH) best = { columns, width: size };
  }
  return best;
}
