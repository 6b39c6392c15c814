/**
 * The life of a session as its page sees it: a pure function from what happens to what is shown and what is done.
 * It knows no page, no clock and no socket; player.js feeds it events and carries out its effects.
 *
 *   idle ─ start ─► starting ─► queued ─► loading ─► playing ◄─► buffering, standing, paused, rewinding
 *                                                        └─► saving ─► ended | error
 *   lost: the connection is away, and what went on before goes on when it is back; replaced: in another window
 *
 * @typedef {"idle" | "starting" | "queued" | "loading" | "playing" | "buffering" | "standing" | "paused" |
 *   "rewinding" | "lost" | "saving" | "ended" | "error" | "replaced"} Phase
 * @typedef {"hand" | "idle" | "rewound" | "hidden"} PauseReason  after all but "hand", any control resumes
 * @typedef {{id: string, token: string, path: string, live: boolean}} Session
 * @typedef {{phase: string, text: string, progress: number | null, warning?: string | null,
 *   warning_node?: number | null}} Status  as the server sends it
 * @typedef {{phase: "ended" | "error", text: string, recording: boolean}} End
 * @typedef {object} State
 * @property {Phase} phase
 * @property {Session | null} session
 * @property {string} text  the words of the phase, where it has no fixed ones
 * @property {Status | null} server  how the server said that the session stands
 * @property {boolean} pictures  whether a picture of the session has been shown
 * @property {PauseReason | null} pause
 * @property {boolean} stepping  whether one block is being made and shown during the pause
 * @property {{to: number, resume: boolean} | null} rewind  resume: a control was pressed meanwhile
 * @property {string | null} preview  the moment to which the slider would go, while it is moved
 * @property {boolean} hidden  whether the page is hidden, and that counts
 * @property {End | null} end  of a scenario whose last pictures are still to be shown
 * @typedef {{type: string} & Record<string, any>} Event
 * @typedef {{type: string} & Record<string, any>} Effect
 * @typedef {{state: State, effects: Effect[]}} Step
 */

/** @type {State} */
export const INITIAL = {
  phase: "idle",
  session: null,
  text: "",
  server: null,
  pictures: false,
  pause: null,
  stepping: false,
  rewind: null,
  preview: null,
  hidden: false,
  end: null,
};

const SHOWING = new Set(["playing", "buffering", "standing"]);
const RUNNING = new Set(["starting", "queued", "loading", "paused", "rewinding", "lost", ...SHOWING]);
const BEFORE = new Set(["starting", "queued", "loading"]); // the first picture

/** Whether pictures are shown as they come. @param {State} state */
export const showing = ({ phase }) => SHOWING.has(phase);
/** Whether there is something that can be stopped. @param {State} state */
export const running = ({ phase }) => RUNNING.has(phase);
/** Whether a session can be started, or (replaced) taken back. @param {State} state */
export const startable = (state) => !running(state) && state.phase !== "saving";
/** Whether the visitor can go to another moment now. @param {State} state */
export const rewindable = (state) =>
  Boolean(state.session?.live) && (showing(state) || state.phase === "paused" || state.phase === "rewinding");

/** @param {State} state @param {Partial<State>} changes @param {...Effect} effects @returns {Step} */
const to = (state, changes, ...effects) => ({ state: { ...state, ...changes }, effects });
/** @param {State} state @returns {Step} */
const stay = (state) => ({ state, effects: [] });
/** @param {State} state the same page, with no session */
const fresh = ({ hidden }) => ({ ...INITIAL, hidden });

const send = (type, fields = {}) => ({ type: "send", message: { type, ...fields } });
const ask = (event, data = undefined) => ({ type: "ask", event, data });
const HOLD = { type: "hold" }; // the clock of the pictures
const RESUME = [{ type: "release" }, { type: "acknowledge" }, send("pause", { on: false })];

/** @param {State} state @param {Event} event @returns {Step} */
export function reduce(state, event) {
  const handler = HANDLERS[event.type];
  if (!handler) throw new TypeError(`no such event: ${event.type}`);
  return handler(state, event);
}

const HANDLERS = {
  // What the visitor does

  start(state) {
    if (!startable(state)) return stay(state);
    if (state.phase === "replaced") return HANDLERS.restore(state, { token: state.session.token });
    return to(fresh(state), { phase: "starting" }, { type: "focus" }, ask("start"));
  },

  /** Asks for a session of before: the page was loaded again, or it went to another window. */
  restore(state, { token }) {
    if (!startable(state)) return stay(state);
    return to(fresh(state), { phase: "starting" }, ask("resume", { token }));
  },

  stop(state) {
    if (!running(state)) return stay(state);
    const clear = { type: "clear" };
    if (state.end) return conclude(state, state.end, clear);
    if (!state.session) return to(state, { phase: "saving" }); // it is not there yet: stopped when it is
    const stopping = { phase: "saving", pause: null, stepping: false, rewind: null, preview: null };
    return to(state, stopping, clear, { type: "stop", token: state.session.token });
  },

  toggle: (state, event) => (state.pause ? HANDLERS.resume(state, event) : pause(state, "hand")),

  /** @param {State} state @param {{waiting: number}} event waiting: pictures that are there to be shown */
  resume(state, { waiting }) {
    if (state.phase !== "paused") return stay(state);
    const effects = state.session.live ? RESUME : RESUME.slice(0, 1);
    return to(state, { phase: waiting ? "playing" : "buffering", pause: null, stepping: false }, ...effects);
  },

  /** Pauses; in a pause, makes one more block. */
  step(state) {
    if (state.phase !== "paused") return pause(state, "hand");
    if (!state.session.live || state.stepping) return stay(state);
    return to(state, { pause: "hand", stepping: true }, { type: "release", once: true }, send("step"));
  },

  rewind(state, { node }) {
    if (!rewindable(state)) return stay(state);
    const rewind = { to: node, resume: false };
    if (state.rewind) return to(state, { rewind }); // it arrives at the earlier one first
    const rewinding = { phase: "rewinding", rewind, pause: "rewound", stepping: false, preview: null };
    return to(state, rewinding, HOLD, send("rewind", { node }));
  },

  /** The slider is moved to a moment; null: it was let go. */
  preview(state, { at }) {
    const paused = at === null ? stay(state) : pause(state, "rewound");
    return to(paused.state, { preview: at }, ...paused.effects);
  },

  /** A control was pressed, or the camera turned. */
  input(state, event) {
    if (state.rewind) return to(state, { rewind: { ...state.rewind, resume: true } });
    return state.pause && state.pause !== "hand" ? HANDLERS.resume(state, event) : stay(state);
  },

  /** Nothing was pressed for so long that the picture would suffer. */
  idle: (state) => (state.phase === "playing" ? pause(state, "idle") : stay(state)),

  visibility(state, { hidden }) {
    const paused = hidden && state.session?.live && showing(state) ? pause(state, "hidden") : stay(state);
    return to(paused.state, { hidden }, ...paused.effects);
  },

  /** Something else was chosen, or what was asked for cannot be. */
  say: (state, { text }) => (startable(state) ? to(fresh(state), { text }) : stay(state)),

  // What Gradio's events answer

  /** @param {State} state @param {{answer: Session & {error?: string, ended?: boolean, text?: string}}} event */
  answered(state, { answer }) {
    const { error, ended, text = "", ...session } = answer;
    const waits = state.phase === "starting" || (state.phase === "saving" && !state.session);
    if (error) return waits ? conclude(state, { phase: "error", text: error }) : stay(state);
    if (ended) return waits || state.phase === "saving" ? conclude(state, { phase: "ended", text }) : stay(state);
    if (!waits) return to(state, {}, { type: "stop", token: session.token }); // it was given up
    const begin = [{ type: "remember", token: session.token }, { type: "open" }, { type: "connect", session }];
    if (state.phase === "saving") begin.push({ type: "stop", token: session.token });
    return to(state, { session }, ...begin);
  },

  timeout(state) {
    if (state.session || !["starting", "saving"].includes(state.phase)) return stay(state);
    const text = "The server does not answer. Check the connection and press Start again.";
    return conclude(state, { phase: "error", text });
  },

  // What the connection brings

  /** @param {State} state @param {{status: Status, draining: boolean}} event draining: see `end` */
  status(state, { status, draining }) {
    const now = { ...back(state), server: status };
    if (!running(now)) return stay(now);
    if (status.phase === "saving") return draining ? stay(now) : to(now, { phase: "saving" });
    if (status.phase === "standing") return stand(now);
    if (now.phase === "standing") return to(now, { phase: "playing" });
    if (!BEFORE.has(now.phase)) return stay(now);
    const begun = !["queued", "loading"].includes(status.phase); // and its pictures are on their way
    return to(now, begun ? { phase: "loading", text: "" } : { phase: status.phase, text: status.text });
  },

  /** @param {State} state @param {{paused: boolean, again: boolean}} event again: this page had it before */
  welcome(state, { paused, again }) {
    const now = back(state);
    if (!now.session?.live || !running(now)) return stay(now);
    if (!again && paused) return to(now, { pause: "rewound" }, HOLD);
    // Both may have gone on while they were apart. A paused server says by itself where it stands (`rewound`).
    if (now.rewind && !paused) return to(now, {}, send("rewind", { node: now.rewind.to }));
    const on = Boolean(now.pause);
    return to(now, {}, ...(on === paused ? [] : [send("pause", { on })]));
  },

  block(state) {
    const now = state.phase === "standing" ? { ...state, phase: "playing" } : state;
    return now.hidden && now.session.live && !now.pause ? pause(now, "hidden") : stay(now);
  },

  rewound(state, { node }) {
    if (!running(state) || !state.session?.live) return stay(state);
    const { rewind } = state;
    if (rewind && rewind.to !== node)
      return to(state, { rewind: { ...rewind, resume: false } }, HOLD, send("rewind", { node: rewind.to }));
    const pause = state.pause ?? "rewound";
    const there = { phase: "paused", pause, rewind: null, stepping: false, pictures: true };
    const arrived = to(state, /** @type {Partial<State>} */ (there), HOLD);
    if (!rewind?.resume) return arrived;
    const resumed = HANDLERS.resume(arrived.state, { waiting: 0 });
    return to(resumed.state, {}, ...arrived.effects, ...resumed.effects);
  },

  /** @param {State} state @param {{end: End, draining: boolean}} event draining: a scenario is still being shown */
  end(state, { end, draining }) {
    if (!running(state) && state.phase !== "saving") return stay(state);
    if (!draining) return conclude(state, end, ...finished(state, end));
    return to(state, { end }, { type: "disconnect" }, ...finished(state, end));
  },

  /** The connection dropped and is being tried again; long: for longer than the server waits. */
  lost(state, { long }) {
    if (!running(state) || state.end) return stay(state);
    const text = long
      ? "Still trying to reconnect. Your session has ended meanwhile; its film appears here afterwards."
      : "Lost the connection. Reconnecting.";
    return to(state, { phase: "lost", text }, { type: "rest" });
  },

  /** It will not come back: the server does not know the session any more. */
  gone(state, { reason }) {
    if (state.end || (!running(state) && state.phase !== "saving")) return stay(state);
    return conclude(state, { phase: "error", text: reason }, ask("finished", { token: state.session.token }));
  },

  /** Another window has taken the session up. */
  replaced(state) {
    return running(state) || state.phase === "saving" ? conclude(state, { phase: "replaced", text: "" }) : stay(state);
  },

  /** This browser says that it can show H.264, and cannot. */
  undecodable(state) {
    if (!running(state) || !state.session) return stay(state);
    return to(state, {}, { type: "clear" }, { type: "connect", session: state.session });
  },

  // What the clock of the pictures sees

  shown(state) {
    const { phase } = state;
    const begins = BEFORE.has(phase) || phase === "buffering";
    return to(state, { pictures: true, phase: begins ? "playing" : phase });
  },

  /** The next picture is late. */
  dry: (state) => (state.phase === "playing" ? to(state, { phase: "buffering" }) : stay(state)),

  /** One more block has been shown. */
  stepped: (state) => (state.stepping ? to(state, { stepping: false }, HOLD) : stay(state)),

  /** All pictures of a scenario have been shown. */
  drained(state) {
    if (state.end) return conclude(state, state.end);
    return state.server?.phase === "saving" && showing(state) ? to(state, { phase: "saving" }) : stay(state);
  },
};

/** Stops showing at once; a live session also stops making blocks. @param {State} state @param {PauseReason} why */
function pause(state, why) {
  const unseen = why === "hidden" && state.phase === "loading"; // its first blocks come
  if (!showing(state) && !unseen) return stay(state);
  const telling = state.session.live ? [send("pause", { on: true })] : [];
  return to(state, { phase: "paused", pause: why, stepping: false }, HOLD, ...telling);
}

/** The server makes no blocks until a control is pressed. @param {State} state */
function stand(state) {
  if (showing(state)) return to(state, { phase: "standing" }, { type: "rest" });
  // A page that has just come has nothing to show yet: one block, please.
  return BEFORE.has(state.phase) ? to(state, { phase: "loading", text: "" }, send("step")) : stay(state);
}

/** The connection is there again: what went on before goes on. @param {State} state @returns {State} */
function back(state) {
  if (state.phase !== "lost") return state;
  const phase = state.rewind ? "rewinding" : state.pause ? "paused" : state.pictures ? "buffering" : "loading";
  return { ...state, phase, text: "" };
}

/** It is over. @param {State} state @param {{phase: Phase, text: string}} end @param {...Effect} effects */
function conclude(state, { phase, text }, ...effects) {
  const over = { session: state.session, phase, text };
  return to(fresh(state), over, { type: "disconnect" }, { type: "close" }, ...effects);
}

/** @param {State} state @param {End} end */
function finished({ session }, { recording }) {
  return recording ? [ask("finished", { token: session.token })] : [];
}
