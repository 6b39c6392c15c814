/**
 * The state of a session as its page sees it, and what follows from it.
 *
 * @typedef {"idle" | "starting" | "queued" | "loading" | "playing" | "buffering" | "standing" | "paused" |
 *   "rewinding" | "resting" | "lost" | "saving" | "ended" | "error" | "replaced"} Phase
 * @typedef {"hand" | "idle" | "rewound" | "hidden"} PauseReason  after all but "hand", any control resumes
 * @typedef {{id: string, token: string, path: string, live: boolean, choice: string}} Session  choice: what was started
 * @typedef {Session & {error?: string, ended?: boolean, saving?: boolean, text?: string}} Answer  of Gradio's events
 * @typedef {import("./protocol.js").Status} Status
 * @typedef {Pick<import("./protocol.js").End, "phase" | "text" | "recording">} End
 * @typedef {object} State
 * @property {Phase} phase
 * @property {Session | null} session
 * @property {string | null} asked  the token of an earlier session that was asked for
 * @property {string} text  the words of the phase, where it has no fixed ones
 * @property {Status | null} server  how the server said that the session stands
 * @property {boolean} pictures  whether a picture of the session has been shown
 * @property {PauseReason | null} pause
 * @property {boolean} stepping  whether one block is being made and shown during the pause
 * @property {{to: number, resume: boolean} | null} rewind  resume: it was wished meanwhile
 * @property {string | null} preview  the moment to which the slider would go, while it is moved
 * @property {boolean} hidden  whether the page is hidden, and that counts
 * @property {string} notice  what the server says of how the world runs
 * @property {string} read  the notice that the visitor has read; it is not shown again
 * @property {End | null} end  of a scenario whose last pictures are still to be shown
 */

/** @type {State} */
export const INITIAL = {
  phase: "idle",
  session: null,
  asked: null,
  text: "",
  server: null,
  pictures: false,
  pause: null,
  stepping: false,
  rewind: null,
  preview: null,
  hidden: false,
  notice: "",
  read: "",
  end: null,
};

const SHOWING = new Set(["playing", "buffering", "standing"]);
const RUNNING = new Set(["starting", "queued", "loading", "paused", "rewinding", "resting", "lost", ...SHOWING]);
const BEGINNING = new Set(["starting", "queued", "loading"]);

/** Whether pictures are shown as they come. @param {State} state */
export const showing = ({ phase }) => SHOWING.has(phase);
/** Whether they stand still, or will where the rewind arrives. @param {State} state */
export const pauses = ({ pause, rewind }) => (rewind ? !rewind.resume : pause !== null);
/** Whether there is something that can be stopped. @param {State} state */
export const running = ({ phase }) => RUNNING.has(phase);
/** Whether the button over the picture does something. @param {State} state */
export const pressable = (state) => startable(state) || state.phase === "resting";
/** Whether a session can be started, or (replaced) taken back. @param {State} state */
export const startable = (state) => !running(state) && state.phase !== "saving";
/** Whether the visitor can go to another moment now. @param {State} state */
export const rewindable = (state) =>
  Boolean(state.session?.live) && (showing(state) || state.phase === "paused" || state.phase === "rewinding");
/** Whether no picture of the session has been shown yet. @param {State} state */
export const beginning = ({ phase }) => BEGINNING.has(phase);

/** The connection is there again: what went on before goes on. @param {State} state @returns {State} */
export function back(state) {
  if (state.phase !== "lost") return state;
  const phase = state.rewind ? "rewinding" : state.pause ? "paused" : state.pictures ? "buffering" : "loading";
  return { ...state, phase, text: "" };
}
