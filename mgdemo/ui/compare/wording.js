/** What the tab says of a grid as a whole. @typedef {import("./following.js").Totals} Totals */

/** @param {number} count @param {string} noun */
const several = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** @param {number} seconds */
export function time(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

/** While runs are made: what changes seldom, for screen readers too. @param {Totals} totals */
export function underWay({ runs, finished, failed }) {
  return `${finished} of ${several(runs, "run")} finished${failed ? `, ${failed} failed` : ""}.`;
}

/** While runs are made: what changes all the time. @param {Totals} totals */
export function numbers({ fps, seconds_left: left }) {
  const parts = [];
  if (fps) parts.push(`${fps.toFixed(1)} frames/s`);
  if (left) parts.push(`about ${time(left)} left`);
  return parts.join(", ");
}

/** At the end. @param {Totals} totals */
export function ended({ runs, finished, failed, cancelled }) {
  if (finished === runs) return `${several(runs, "run")} finished.`;
  const parts = [`${finished} of ${several(runs, "run")} finished`];
  if (failed) parts.push(`${failed} failed`);
  if (cancelled) parts.push(`${cancelled} not made`);
  return `${parts.join(", ")}.${cancelled ? " Run makes the rest." : ""}`;
}
