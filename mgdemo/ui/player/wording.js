/**
 * What the page says about its session: over the picture, in the line below it, and to a screen reader. Pure.
 *
 * @typedef {import("./phases.js").State} State
 * @typedef {object} Facts  what is not part of the state
 * @property {boolean} live  whether what is shown, or would be started, is steered
 * @property {string} blocked  why nothing can be started, or nothing
 * @property {number | null} [frame]  the index of the frame that is shown
 * @property {number} fps  nominal
 * @property {number | null} total  frames of a scenario
 * @property {number | null} displayed  frames per second that are shown
 */

import { pauses } from "./phases.js";

const FIRST = "Generating the first frames";
const WAITING = "Waiting for the next frames";
const HINT = "Press Start, then hold the keys shown here or press the buttons.";

/** Why the session is paused. */
const PAUSES = {
  hand: "Paused. Press P or the button to resume.",
  idle: "Paused: the picture degrades when idle. Press any control to resume.",
  rewound: "You're back at this moment. Press any control to continue from here.",
  hidden: "Paused while this page was hidden. Press any control to resume.",
};

/** The words of each phase; one that is missing says `State.text`. @type {Record<string, (state: State) => string>} */
const MESSAGES = {
  starting: () => "Starting",
  loading: ({ text }) => text || FIRST,
  playing: () => "",
  buffering: ({ server }) => (server?.phase === "buffering" && server.text) || WAITING,
  standing: () => "The world stands still. Press any control to move.",
  paused: ({ pause, preview }) => (preview ? `Rewind to ${preview}` : PAUSES[pause]),
  rewinding: (state) => (pauses(state) ? "Rewinding" : "Rewinding, then resuming"),
  saving: () => "Saving your film",
  ended: () => "", // it is said below, where the film is
  replaced: () => "Your session continues in another window. Press the button to take it back to this one.",
};

/** @param {State} state @param {Facts} facts @returns {{message: string, status: string, announcement: string}} */
export function words(state, facts) {
  const said = (MESSAGES[state.phase] ?? (({ text }) => text))(state);
  const message = said || (["idle", "ended"].includes(state.phase) ? facts.blocked : "");
  const status = statusLine(state, facts);
  const announcement = said || (state.phase === "playing" ? "Playing" : state.text) || message;
  return { message, status, announcement };
}

/** @param {State} state @param {Facts} facts */
function statusLine(state, { live, blocked, frame, fps, total, displayed }) {
  const { phase, server, text } = state;
  if (phase === "idle") return live && !blocked && !text ? HINT : "";
  if (phase === "ended") return text;
  if (phase === "paused") return `Paused at ${(((frame ?? -1) + 1) / fps).toFixed(1)} s`;
  if (phase === "standing") return server?.phase === "standing" && ends(server) ? server.text : "Standing still";
  if (phase !== "playing" && phase !== "buffering") return ""; // it is said over the picture
  if (!live) return progressOf(server, total);
  const lease = server?.lease_seconds ?? null;
  const lent = lease === null ? "" : ` · GPU for ${Math.ceil(lease)} s`;
  if (phase === "buffering") return "Stalled";
  const spoken = server?.phase === "playing" && server.text; // else it is about another moment
  return (spoken || (displayed ? `Playing ${displayed.toFixed(1)} fps` : "Playing")) + lent;
}

/** Whether others wait for the place. @param {import("./protocol.js").Status} server */
const ends = ({ seconds_left = null }) => seconds_left !== null;

/** How far the making of a scenario is. @param {State["server"]} server @param {number | null} total */
function progressOf(server, total) {
  const parts = [`${server?.frames ?? 0} of ${total} frames generated`];
  if (server?.fps) parts.push(`${server.fps.toFixed(0)} fps`);
  if (server?.seconds_left) parts.push(`${Math.ceil(server.seconds_left)} s left`);
  return parts.join(" · ");
}
