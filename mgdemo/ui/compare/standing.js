/**
 * What all votes say: for each question a table of the columns, with the chance that one is preferred to another, as a
 * point with its 95 % interval.
 *
 * @typedef {{title: string, chance: number | null, low: number | null, high: number | null, strength: number,
 *   wins: number, ties: number, losses: number, bad: number}} Strength
 * @typedef {{question: string, asks: string, votes: number, both_bad: number, columns: Strength[]}} Standing
 */

import { element, svg } from "../../compare/player/dom.js";
import { addressOf } from "../player/connection.js";

/** @param {HTMLElement} root filled by this @param {Standing[]} standings */
export function drawStanding(root, standings) {
  root.replaceChildren(
    element("h3", {}, "All votes here on these columns"),
    ...standings.map(table),
    element("p.quiet", {}, "The chance is that of being preferred to another column (Bradley–Terry model, 95 % interval; a tie counts as half). “Both bad” is counted separately. ", element("a", { href: addressOf("gradio_api/compare/votes.csv").href, download: "votes.csv" }, "Save all votes as CSV")), // prettier-ignore
  );
}

/** @param {Standing} standing */
function table({ asks, votes, columns }) {
  const caption = element("caption", {}, asks, element("span.quiet", {}, ` ${votes} ${votes === 1 ? "vote" : "votes"}`));
  const titles = ["Column", "Chance", "", "Won", "Tie", "Lost", "Both bad"];
  const head = element("tr", {}, ...titles.map((title) => element(title ? "th" : "td", title ? { scope: "col" } : {}, title)));
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...columns.map(line)));
}

/** @param {Strength} column */
function line({ title, chance, low, high, wins, ties, losses, bad }) {
  const percent = (value) => `${Math.round(100 * value)} %`;
  const words = chance === null ? "–" : percent(chance);
  const interval = chance === null ? "" : ` (${percent(low)} to ${percent(high)})`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, title),
    element("td.number", {}, words, element("span.quiet", {}, interval)),
    element("td.chart", { "aria-hidden": "true" }, chance === null ? "" : chart(chance, low, high)),
    ...[wins, ties, losses, bad].map((count) => element("td.number", {}, String(count))),
  );
}

/** @param {number} chance @param {number} low @param {number} high */
function chart(chance, low, high) {
  const at = (value) => (100 * value).toFixed(1);
  return svg(
    "svg",
    { viewBox: "0 0 100 16", preserveAspectRatio: "none" },
    svg("line", { class: "even", x1: 50, x2: 50, y1: 0, y2: 16 }),
    svg("line", { class: "interval", x1: at(low), x2: at(high), y1: 8, y2: 8 }),
    svg("line", { class: "value", x1: at(chance), x2: at(chance), y1: 2, y2: 14 }),
  );
}
