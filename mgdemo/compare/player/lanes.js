/** Lanes of held controls: one group for all columns that hold the same, frame by frame. */

import { element } from "./dom.js";

/**
 * @param {import("./types.js").CellData[]} cells of a row
 * @returns {{columns: number[], lanes: import("./types.js").Lane[]}[]} in the order of the columns
 */
export function groups(cells) {
  /** @type {Map<string, {columns: number[], lanes: import("./types.js").Lane[]}>} */
  const found = new Map();
  cells.forEach(({ lanes }, column) => {
    const key = JSON.stringify(lanes);
    const group = found.get(key) ?? { columns: [], lanes };
    group.columns.push(column);
    found.set(key, group);
  });
  return [...found.values()];
}

/** What is held at a frame, in words. @param {import("./types.js").Lane[]} lanes @param {number} frame */
export function heldWords(lanes, frame) {
  const at = lanes.filter(({ spans }) => spans.some(([from, to]) => from <= frame && frame < to));
  const held = at.filter(({ lost }) => !lost).map(({ hint }) => hint);
  const lost = at.filter((lane) => lane.lost).map(({ hint }) => `${hint} (no counterpart)`);
  return [...held, ...lost].join(", ") || "nothing held";
}

/**
 * Rows of a timeline. @param {import("./types.js").CellData[]} cells @param {number} frames of the whole timeline
 * @returns {HTMLElement[]}
 */
export function laneRows(cells, frames) {
  const all = groups(cells);
  return all.flatMap(({ columns, lanes }) => {
    const rows = lanes.map((lane) => laneRow(lane, frames));
    if (all.length === 1) return rows;
    const dots = columns.map((column) => element(`i.dot.c${column}`));
    const names = columns.map((column) => cells[column].title).join(", ");
    const head = element("div.row.group", {}, element("span.label", { title: names }, ...dots, names));
    return [head, ...(rows.length ? rows : [element("div.row.control", {}, element("span.label.quiet", {}, "nothing held"), element("div.track"))])]; // prettier-ignore
  });
}

/** @param {import("./types.js").Lane} lane @param {number} frames */
function laneRow({ hint, label, lost, spans }, frames) {
  const bars = spans.map(([from, to]) => {
    const place = `left: ${(100 * from) / frames}%; width: ${(100 * (Math.min(to, frames) - from)) / frames}%`;
    return element("i.held", { style: place });
  });
  const words = element("span.label", { title: lost ? `${hint}: no counterpart in this mode` : hint }, hint, " ", element("kbd", {}, label)); // prettier-ignore
  return element(`div.row.control${lost ? ".lost" : ""}`, {}, words, element("div.track", {}, ...bars));
}
