/**
 * The words of the operator's page. Pure.
 *
 * @typedef {object} Session
 * @property {string} id @property {"live" | "scenario" | "comparison"} kind @property {string} checkpoint
 * @property {string} mode @property {string} phase @property {string} text @property {string} visitor a name, not who it is
 * @property {number | null} engine @property {number | null} position in the queue @property {number} seconds since it began
 * @property {number | null} placed_seconds @property {number} frames @property {number | null} fps
 * @property {boolean} connected @property {string} picture base64 of a JPEG, or ""
 *
 * @typedef {{engine: number, device: string, state: string, memory_bytes: number | null, checkpoints: number, trouble: string,
 *   failures: number, aside_seconds: number, reason: string}} Engine
 */

const KINDS = { live: "played live", scenario: "a scenario", comparison: "a run of a comparison" };
const STATES = {
  ok: "Ready",
  degraded: "A device fails",
  failing: "No device works",
  stuck: "Stuck: start it again",
  draining: "Draining: no new sessions",
  closing: "Ending",
};
const REFUSALS = {
  sessions: "Too many sessions from one visitor",
  starts: "Too many sessions begun by one visitor",
  queue: "The queue was full",
  draining: "No new sessions while draining",
  closing: "The server was ending",
  requests: "Too many requests",
  open: "Too many requests open at once",
  unread: "Too many answers that nobody reads",
  uploads: "Too many files from one visitor",
  pages: "Too many new pages from one visitor",
  remote: "A file from elsewhere",
  size: "Too large or too slow",
  json: "Not JSON in UTF-8",
  events: "Too much text from one visitor",
  connections: "Too many connections",
  messages: "Too many messages",
  origin: "Another site's page",
  token: "Wrong operator token",
  logins: "Too many passwords tried",
  followers: "Too many pages on one comparison",
};

/** @param {string} status */
export const stateOf = (status) => STATES[status] ?? status;

/** @param {string} reason */
export const refusalOf = (reason) => REFUSALS[reason] ?? reason;

/** @param {number} seconds "0:07", "12:30", "1:02:03" */
export function clock(seconds) {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** @param {number} bytes "0 MB", "512 MB", "1.4 GB" */
export const size = (bytes) => (bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

/** @param {Session} session "universal-tiny, played live" */
export const titleOf = ({ checkpoint, kind }) => `${checkpoint}, ${KINDS[kind]}`;

/** @param {Session} session @returns {string} where it is, and how it goes */
export function lineOf({ phase, position, placed_seconds, seconds, fps, frames, connected, kind }) {
  if (position !== null) return `Number ${position} in the queue for ${clock(seconds)}`;
  const parts = [`${phase[0].toUpperCase()}${phase.slice(1)} for ${clock(placed_seconds ?? seconds)}`, `${frames} frames`];
  if (fps) parts.push(`${fps.toFixed(1)} frames/s`);
  if (!connected && kind !== "comparison") parts.push("no page connected");
  return parts.join(" · ");
}

/** @param {Session} session @returns {[string, string][]} */
export function factsOf({ id, visitor, engine, mode }) {
  /** @type {[string, string][]} */
  const facts = [["Session", id]];
  if (visitor) facts.push(["Visitor", visitor]);
  if (engine !== null) facts.push(["Engine", String(engine)]);
  if (mode) facts.push(["Mode", mode]);
  return facts;
}

/** @param {Engine} engine */
export function engineLine({ state, memory_bytes, checkpoints, aside_seconds, failures }) {
  const parts = [state === "aside" ? `set aside for ${clock(aside_seconds)}` : state];
  if (memory_bytes !== null) parts.push(size(memory_bytes));
  if (checkpoints) parts.push(`${checkpoints} checkpoint${checkpoints === 1 ? "" : "s"} in memory`);
  if (failures) parts.push(`failed ${failures === 1 ? "once" : `${failures} times`} in a row`);
  return parts.join(" · ");
}
