/**
 * The life of a session as its page sees it: a pure function from what happens to what is shown and what is done.
 * It knows no page, no clock and no socket; player.js feeds it events and carries out its effects.
 *
 *   idle ─ start ─► starting ─► queued ─► loading ─► playing ◄─► buffering, standing, paused, rewinding
 *                                                        └─► saving ─► ended | error
 *   resting: its GPU was only lent, and is gone until the visitor goes on
 *   lost: the connection is away, and what ran before resumes when it is back; replaced: in another window
 *
 * @typedef {import("./phases.js").State} State
 * @typedef {import("./phases.js").Phase} Phase
 * @typedef {import("./phases.js").Session} Session
 * @typedef {import("./phases.js").PauseReason} PauseReason
 * @typedef {import("./phases.js").Status} Status
 * @typedef {import("./phases.js").End} End
 * @typedef {{type: string} & Record<string, any>} Event
 * @typedef {{type: string} & Record<string, any>} Effect
 * @typedef {{state: State, effects: Effect[]}} Step
 */

import { INITIAL, back, beginning, pauses, rewindable, running, showing, startable } from "./phases.js";

const READY = "Your film is ready.";
const SILENT = "The server isn't responding. Check your connection, then press Start to try again.";
const UNSAVED = "The connection was lost. Your film will be here when you reload this page.";

/** @param {State} state @param {Partial<State>} changes @param {...Effect} effects @returns {Step} */
const to = (state, changes, ...effects) => ({ state: { ...state, ...changes }, effects });
/** @param {State} state @returns {Step} */
const stay = (state) => ({ state, effects: [] });
/** @param {State} state the same page, with no session */
const fresh = ({ hidden, read }) => ({ ...INITIAL, hidden, read });

const send = (type, fields = {}) => ({ type: "send", message: { type, ...fields } });
const ask = (event, data = undefined) => ({ type: "ask", event, data });
/** Has the session stopped, and its film waited for. @param {State} state */
const stopping = (state) => to(state, {}, { type: "stop", token: state.session.token });
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
    if (state.phase === "resting") return to(state, {}, { type: "focus" }, send("go_on"));
    if (!startable(state)) return stay(state);
    if (state.phase === "replaced") return HANDLERS.restore(state, { token: state.session.token });
    return to(fresh(state), { phase: "starting" }, { type: "focus" }, ask("start"));
  },

  /** Asks for an earlier session: the page was loaded again, or it went to another window. */
  restore(state, { token, earlier = [] }) {
    if (!startable(state)) return stay(state);
    return to(fresh(state), { phase: "starting", asked: token }, ask("resume", { token, earlier }));
  },

  stop(state) {
    if (!running(state)) return stay(state);
    const clear = { type: "clear" };
    if (state.end) return conclude(state, state.end, clear);
    if (!state.session) return to(state, { phase: "saving" }); // it is not there yet: stopped when it is
    /** @type {Partial<State>} */
    const saving = { phase: "saving", pause: null, stepping: false, rewind: null, preview: null };
    return to(state, saving, clear, { type: "stop", token: state.session.token });
  },

  toggle(state, event) {
    if (state.rewind) return to(state, { rewind: { ...state.rewind, resume: pauses(state) } });
    return state.pause ? HANDLERS.resume(state, event) : pause(state, "hand");
  },

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
    /** @type {Partial<State>} */
    const rewinding = { phase: "rewinding", rewind, pause: "rewound", stepping: false, preview: null };
    return to(state, rewinding, HOLD, send("rewind", { node }));
  },

  /** The slider is moved to a moment; null: it was let go. */
  preview(state, { at }) {
    const { state: paused, effects } = at === null ? stay(state) : pause(state, "rewound");
    return to(paused, { preview: at }, ...effects);
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

  /** Something else was chosen, or what is wanted cannot be. */
  say: (state, { text }) => (startable(state) ? to(fresh(state), { text }) : stay(state)),

  /** The notice has been read. */
  read: (state) => to(state, { read: state.notice }),

  // What Gradio's events answer

  /** @param {State} state @param {{answer: import("./phases.js").Answer}} event */
  answered(state, { answer }) {
    const { error, ended, saving, text = "", ...session } = answer;
    const waits = state.phase === "starting" || (state.phase === "saving" && !state.session);
    if (error) return waits ? conclude(state, { phase: "error", text: error }) : stay(state);
    const mine = session.token === (state.session?.token ?? state.asked); // else that of one before comes late
    if (saving) return mine && state.phase === "saving" ? stopping(state) : stay(state); // its film takes long
    if (ended) {
      const over = mine && (waits || state.phase === "saving");
      return over ? conclude(state, { phase: text ? "ended" : "idle", text }) : stay(state);
    }
    if (!waits) return to(state, {}, { type: "stop", token: session.token }); // it was given up
    const begin = [{ type: "remember", token: session.token }, { type: "open" }, { type: "connect", session }];
    if (state.phase === "saving") begin.push({ type: "stop", token: session.token });
    return to(state, { session }, ...begin);
  },

  timeout(state) {
    if (!["starting", "saving"].includes(state.phase)) return stay(state);
    const text = state.phase === "saving" && state.session ? UNSAVED : SILENT;
    return conclude(state, { phase: "error", text });
  },

  // What the connection brings

  /** @param {State} state @param {{status: Status, draining: boolean}} event draining: see `end` */
  status(state, { status, draining }) {
    const lending = lent(state, { ...back(state), server: status });
    const { state: now, effects } = standing(lending.state, draining);
    return to(now, {}, ...lending.effects, ...effects);
  },

  /** @param {State} state @param {{paused: boolean, again: boolean, notice?: string}} event again: this page had it before */
  welcome(state, { paused, again, notice = "" }) {
    const now = { ...back(state), notice };
    if (state.phase === "saving") return stopping(now); // it was not heard
    if (!now.session?.live || !running(now)) return stay(now);
    // Both may have moved on while they were disconnected. A paused server says by itself where it stands (`rewound`).
    if (paused) return again ? stay(now) : to(now, { pause: "rewound" }, HOLD);
    if (now.rewind) return to(now, {}, send("rewind", { node: now.rewind.to }));
    return to(now, {}, ...(now.pause ? [send("pause", { on: true })] : []));
  },

  /** @param {State} state @param {{news: Partial<Status>}} event news: sooner than the status of every second */
  block(state, { news }) {
    const phase = state.phase === "standing" ? "playing" : state.phase;
    const now = { ...state, phase, server: { ...state.server, ...news } };
    return now.hidden && now.session.live && !now.pause ? pause(now, "hidden") : stay(now);
  },

  rewound(state, { node }) {
    if (!running(state) || !state.session?.live) return stay(state);
    const { rewind } = state;
    if (rewind && rewind.to !== node) return to(state, {}, HOLD, send("rewind", { node: rewind.to }));
    // Unasked, it follows a new connection: a page that was playing goes on, one that was loaded again waits.
    const resumes = rewind ? rewind.resume : state.pictures && !state.pause;
    const pause = state.pause ?? "rewound";
    const server = { ...state.server, warning: null };
    const arrived = to(state, { phase: "paused", pause, server, rewind: null, stepping: false, pictures: true }, HOLD);
    if (!resumes) return arrived;
    const resumed = HANDLERS.resume(arrived.state, { waiting: 0 });
    return to(resumed.state, {}, ...arrived.effects, ...resumed.effects);
  },

  /** @param {State} state @param {{end: End, draining: boolean}} event draining: a scenario is still being shown */
  end(state, { end, draining }) {
    if (!running(state) && state.phase !== "saving") return stay(state);
    if (!draining || state.phase === "saving") return conclude(state, end, ...finished(state, end));
    return to(back(state), { end }, { type: "disconnect" }, ...finished(state, end));
  },

  /** The connection dropped and is being tried again; long: for longer than the server waits. */
  lost(state, { long }) {
    if (state.end) return stay(state);
    if (state.phase === "saving" && long) return stopping(state); // by Gradio's event, which waits for the film
    if (!running(state)) return stay(state);
    const text = long
      ? "Still trying to reconnect. Your session has ended by now; its film will appear here."
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
    const begins = beginning(state) || state.phase === "buffering";
    return begins ? to(state, { pictures: true, phase: "playing" }) : stay(state);
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

/** What follows from how the server says that the session stands. @param {State} now @param {boolean} draining */
function standing(now, draining) {
  const { phase, text } = now.server;
  if (!running(now) || now.phase === "resting") return stay(now);
  if (phase === "saving") return draining ? stay(now) : to(now, { phase: "saving" });
  if (phase === "standing") return stand(now);
  if (now.phase === "standing") return to(now, { phase: "playing" });
  if (!beginning(now)) return stay(now);
  const begun = !["queued", "loading"].includes(phase); // and its pictures are on their way
  return to(now, begun ? { phase: "loading", text: "" } : { phase, text });
}

/**
 * Where GPUs are only lent: asks for one when there is a place for the session, and rests when it is gone.
 *
 * @param {State} before @param {State} now
 */
function lent(before, now) {
  const { lease = null } = now.server;
  if (!now.session || !running(now)) return stay(now);
  if (lease === "over")
    return to(now, { phase: "resting", text: now.server.text }, ...(now.phase === "resting" ? [] : [HOLD]));
  const again = now.phase === "resting" ? back({ ...now, phase: "lost" }) : now;
  const effects = now.phase === "resting" && !again.pause ? [{ type: "release" }] : [];
  const asks = lease === "wanted" && before.server?.lease !== "wanted";
  return to(again, {}, ...effects, ...(asks ? [{ type: "lease", token: now.session.token }] : []));
}

/** The server makes no blocks until a control is pressed. @param {State} state */
function stand(state) {
  if (state.phase === "standing" || !showing(state)) return stay(state);
  return to(state, { phase: "standing" }, { type: "stand" });
}

/** @param {State} state @param {{phase: Phase, text: string, recording?: boolean}} end @param {...Effect} effects */
function conclude(state, { phase, text, recording }, ...effects) {
  const over = { session: state.session, phase, text: recording ? `${text} ${READY}` : text };
  return to(fresh(state), over, { type: "disconnect" }, { type: "close" }, ...effects);
}

/** @param {State} state @param {End} end */
function finished({ session }, { recording }) {
  return recording ? [ask("finished", { token: session.token })] : [];
}
