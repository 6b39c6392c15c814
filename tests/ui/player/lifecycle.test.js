import assert from "node:assert/strict";
import { test } from "node:test";

import { reduce } from "../../../mgdemo/ui/player/lifecycle.js";
import { INITIAL, rewindable, running, startable } from "../../../mgdemo/ui/player/phases.js";

const SESSION = { id: "1", token: "t", path: "gradio_api/live/t", live: true, choice: "c" };
const SCENARIO = { ...SESSION, live: false };

/** A page on which things happen one after the other; `done` are the effects of the last event, in words. */
class Page {
  state = INITIAL;
  done = [];

  on(type, fields = {}) {
    const { state, effects } = reduce(this.state, { type, ...fields });
    this.state = state;
    this.done = effects.map(({ type, ...rest }) => {
      if (type === "send") return `send ${Object.values(rest.message).join(" ")}`;
      if (type === "ask") return `ask ${rest.event}${rest.data ? ` ${rest.data.token}` : ""}`;
      return type === "release" && rest.once ? "release once" : type;
    });
    return this;
  }

  status(phase, text = "", more = {}) {
    return this.on("status", { status: { phase, text, progress: null }, draining: false, ...more });
  }

  get phase() {
    return this.state.phase;
  }

  is(phase, ...done) {
    assert.equal(this.phase, phase);
    assert.deepEqual(this.done, done);
    return this;
  }
}

const started = (session = SESSION) => new Page().on("start").on("answered", { answer: session });
const playing = (session = SESSION) =>
  started(session).status("playing").on("welcome", { paused: false, again: false }).on("block", { news: {} }).on("shown");
const rewound = (page, node = 3) => page.on("rewind", { node }).on("rewound", { node });

test("from Start by the queue and the loading to the first picture", () => {
  const page = new Page().on("start").is("starting", "focus", "ask start");
  assert.ok(running(page.state) && !startable(page.state));
  page.on("start").is("starting"); // once is enough
  page.on("answered", { answer: SESSION }).is("starting", "remember", "open", "connect");
  page.status("queued", "You're number 2 in the queue.").is("queued");
  assert.equal(page.state.text, "You're number 2 in the queue.");
  page.status("loading", "Reading weights").is("loading");
  page.status("playing").is("loading"); // its pictures are on their way
  assert.equal(page.state.text, "");
  page.on("welcome", { paused: false, again: false }).is("loading");
  page.on("block", { news: {} }).on("shown").is("playing");
});

test("an error at Start is said, and Start works again", () => {
  const page = new Page().on("start").on("answered", { answer: { id: "1", error: "Choose another image." } });
  page.is("error", "disconnect", "close");
  assert.equal(page.state.text, "Choose another image.");
  page.on("start").is("starting", "focus", "ask start");
});

test("a server that does not answer is given up; a session that it gives later is stopped", () => {
  const page = new Page().on("start").on("timeout").is("error", "disconnect", "close");
  assert.match(page.state.text, /isn't responding/);
  page.on("answered", { answer: SESSION }).is("error", "stop");
  assert.equal(playing().on("timeout").phase, "playing");
});

test("stopped before it is there, it is stopped when it is", () => {
  const page = new Page().on("start").on("stop").is("saving");
  page.on("answered", { answer: SESSION }).is("saving", "remember", "open", "connect", "stop");
  page.on("end", { end: { phase: "ended", text: "Stopped.", recording: false }, draining: false });
  page.is("ended", "disconnect", "close");
});

test("Stop saves, and the films are asked for when they are written", () => {
  const page = playing().on("stop").is("saving", "clear", "stop");
  page.on("stop").is("saving");
  page.on("start").is("saving");
  page.on("input", { waiting: 0 }).is("saving");
  page.status("saving").is("saving");
  page.on("end", { end: { phase: "ended", text: "Stopped.", recording: true }, draining: false });
  page.is("ended", "disconnect", "close", "ask finished t");
  assert.ok(startable(page.state));
});

test("without a socket, Gradio's own answer to Stop ends it", () => {
  const page = started().on("lost", { long: false }).is("lost", "rest");
  page.on("stop").is("saving", "clear", "stop");
  page.on("answered", { answer: { id: "2", token: "t", ended: true, text: "Stopped." } });
  page.is("ended", "disconnect", "close");
});

test("a pause by hand outlasts what is pressed; each other one ends with any control", () => {
  const page = playing().on("toggle", { waiting: 3 }).is("paused", "hold", "send pause true");
  page.on("input", { waiting: 3 }).is("paused");
  page.on("toggle", { waiting: 3 }).is("playing", "release", "acknowledge", "send pause false");
  page.on("idle").is("paused", "hold", "send pause true");
  page.on("input", { waiting: 0 }).is("buffering", "release", "acknowledge", "send pause false");
  page.on("shown").is("playing");
});

test("a step is one block, shown to its end", () => {
  const page = playing().on("step").is("paused", "hold", "send pause true"); // first it pauses
  page.on("step").is("paused", "release once", "send step");
  page.on("step").is("paused"); // one at a time
  page.on("shown").on("stepped").is("paused", "hold");
  page.on("step").on("resume", { waiting: 0 }).is("buffering", "release", "acknowledge", "send pause false");
  page.on("stepped").is("buffering");
});

test("a scenario is paused on the page only, and has no steps and no way back", () => {
  const page = playing(SCENARIO).on("toggle", { waiting: 9 }).is("paused", "hold");
  page.on("step").is("paused");
  page.on("rewind", { node: 0 }).is("paused");
  assert.ok(!rewindable(page.state));
  page.on("toggle", { waiting: 9 }).is("playing", "release");
});

test("rewinding stands still there until a control is pressed", () => {
  const page = playing().on("rewind", { node: 3 }).is("rewinding", "hold", "send rewind 3");
  page.status("rewinding").is("rewinding");
  page.on("block", { news: {} }).is("rewinding"); // of what was left
  page.on("rewound", { node: 3 }).is("paused", "hold");
  assert.equal(page.state.pause, "rewound");
  page.on("input", { waiting: 0 }).is("buffering", "release", "acknowledge", "send pause false");
});

test("a control pressed on the way resumes there at once", () => {
  const page = playing().on("rewind", { node: 3 }).on("input", { waiting: 0 }).is("rewinding");
  page.on("rewound", { node: 3 }).is("buffering", "hold", "release", "acknowledge", "send pause false");
});

test("P pressed on the way counts there, and pressed twice it does not", () => {
  const page = playing().on("rewind", { node: 3 }).on("toggle", { waiting: 0 }).is("rewinding");
  page.on("rewound", { node: 3 }).is("buffering", "hold", "release", "acknowledge", "send pause false");
  page.on("rewind", { node: 2 }).on("toggle", { waiting: 0 }).on("toggle", { waiting: 0 }).is("rewinding");
  page.on("rewound", { node: 2 }).is("paused", "hold");
});

test("a control pressed on a way in two parts resumes at its end", () => {
  const page = playing().on("rewind", { node: 5 }).on("rewind", { node: 3 }).on("input", { waiting: 0 });
  page.on("rewound", { node: 5 }).is("rewinding", "hold", "send rewind 3");
  page.on("rewound", { node: 3 }).is("buffering", "hold", "release", "acknowledge", "send pause false");
});

test("whoever chooses another moment on the way gets there", () => {
  const page = playing().on("rewind", { node: 5 }).on("rewind", { node: 4 }).is("rewinding");
  page.on("rewind", { node: 3 }).is("rewinding");
  page.on("rewound", { node: 5 }).is("rewinding", "hold", "send rewind 3");
  page.on("rewound", { node: 3 }).is("paused", "hold");
});

test("moving the slider pauses and shows the moment; let go where it was, the pause stays", () => {
  const page = playing().on("preview", { at: "2.4 s" }).is("paused", "hold", "send pause true");
  assert.equal(page.state.preview, "2.4 s");
  page.on("preview", { at: "2.8 s" }).is("paused");
  page.on("preview", { at: null }).is("paused");
  assert.deepEqual([page.state.preview, page.state.pause], [null, "rewound"]);
});

test("late pictures are a stall, until the next one", () => {
  playing().on("dry").is("buffering").on("dry").is("buffering").on("shown").is("playing");
});

test("a world that stands is no stall, and moves on with its next block", () => {
  const page = playing().status("standing").is("standing", "stand");
  page.on("shown").is("standing"); // what was still to be shown
  page.on("dry").is("standing");
  page.on("idle").is("standing");
  page.status("standing").is("standing");
  page.on("input", { waiting: 0 }).is("standing"); // the server hears of it by itself
  page.on("block", { news: {} }).is("playing");
  page.status("standing").status("playing").is("playing");
  page.status("standing").on("toggle", { waiting: 0 }).is("paused", "hold", "send pause true");
});

test("a lost connection comes back to what went on", () => {
  const page = playing().on("lost", { long: false }).is("lost", "rest");
  page.on("toggle", { waiting: 2 }).is("lost");
  page.on("lost", { long: true });
  assert.match(page.state.text, /its film will appear here/);
  page.on("welcome", { paused: false, again: true }).is("buffering").on("shown").is("playing");
  page.on("lost", { long: false }).status("playing").is("buffering");
});

test("a pause and a way back outlast a lost connection, whichever side knows of them", () => {
  const page = playing().on("toggle", { waiting: 2 }).on("lost", { long: false });
  page.on("welcome", { paused: false, again: true }).is("paused", "send pause true");
  page.on("lost", { long: false }).on("welcome", { paused: true, again: true }).is("paused");
  page.on("rewound", { node: 9 }).is("paused", "hold");
  assert.equal(page.state.pause, "hand");
  page.on("toggle", { waiting: 2 }).on("rewind", { node: 3 }).on("lost", { long: false });
  page.on("welcome", { paused: false, again: true }).is("rewinding", "send rewind 3");
  page.on("lost", { long: false }).on("welcome", { paused: true, again: true }).is("rewinding");
  page.on("rewound", { node: 3 }).is("paused", "hold");
});

test("whoever was playing on goes on, though the server has not heard of it, or its world stands", () => {
  const page = rewound(playing()).on("input", { waiting: 0 }).on("lost", { long: false });
  page.on("welcome", { paused: true, again: true }).is("buffering");
  page.on("rewound", { node: 3 }).is("buffering", "hold", "release", "acknowledge", "send pause false");
  page.on("shown").status("standing").is("standing", "stand").on("lost", { long: false });
  page.on("welcome", { paused: false, again: true }).is("buffering");
  page.on("rewound", { node: 4 }).is("buffering", "hold", "release", "acknowledge", "send pause false");
  page.status("standing").is("standing", "stand");
});

test("a page that was loaded again takes its session up", () => {
  const page = new Page().on("restore", { token: "t" }).is("starting", "ask resume t");
  page.on("answered", { answer: SESSION }).is("starting", "remember", "open", "connect");
  page.status("paused").on("welcome", { paused: true, again: false }).is("loading", "hold");
  page.on("rewound", { node: 7 }).is("paused", "hold");
  const standing = started().status("playing").on("welcome", { paused: false, again: false }).is("loading");
  standing.on("rewound", { node: 7 }).is("paused", "hold"); // until somebody is there to play
});

test("a session that ended meanwhile gives its film", () => {
  const page = new Page().on("restore", { token: "t" });
  page.on("answered", { answer: { id: "2", token: "t", ended: true, text: "Your session has ended." } });
  page.is("ended", "disconnect", "close");
  assert.equal(page.state.text, "Your session has ended.");
  const long = playing().on("lost", { long: true });
  long.on("end", { end: { phase: "ended", text: "Connection lost.", recording: true }, draining: false });
  long.is("ended", "disconnect", "close", "ask finished t");
});

test("a token that nothing is known of leaves the page as it is", () => {
  const page = new Page().on("restore", { token: "t" });
  page.on("answered", { answer: { id: "2", token: "t", ended: true, text: "" } }).is("idle", "disconnect", "close");
});

test("the late end of a session before is not that of the next one", () => {
  const late = { id: "2", token: "t", ended: true, text: "Stopped." };
  const page = new Page().on("start").on("stop").on("answered", { answer: SESSION });
  page.on("end", { end: { phase: "ended", text: "Stopped.", recording: false }, draining: false });
  page.on("start").on("answered", { answer: late }).is("starting");
  page.on("answered", { answer: { ...SESSION, token: "next" } }).on("answered", { answer: late }).is("starting");
});

test("when the connection goes while the film is saved, Gradio's event waits for it", () => {
  const page = playing().on("stop").on("lost", { long: false }).is("saving");
  page.on("lost", { long: true }).is("saving", "stop");
  page.on("answered", { answer: { id: "2", token: "t", ended: true, text: "Stopped." } });
  page.is("ended", "disconnect", "close");
});

test("a film that takes long is asked for until it is there", () => {
  const page = started().on("lost", { long: false }).on("stop").is("saving", "clear", "stop");
  page.on("answered", { answer: { id: "2", token: "t", saving: true } }).is("saving", "stop");
  page.on("lost", { long: true }).is("saving", "stop");
  page.on("answered", { answer: { id: "3", token: "t", saving: true } }).is("saving", "stop");
  page.on("answered", { answer: { id: "4", token: "another", saving: true } }).is("saving");
  page.on("answered", { answer: { id: "5", error: "You already have 2 films being written" } }).is("saving");
  page.on("lost", { long: true }).is("saving", "stop");
  page.on("end", { end: { phase: "ended", text: "Stopped.", recording: true }, draining: false });
  page.is("ended", "disconnect", "close", "ask finished t");
  page.on("answered", { answer: { id: "6", token: "t", saving: true } }).is("ended");
});

test("if nobody answers while the film is saved, the page says where to find it", () => {
  const page = playing().on("stop").on("lost", { long: true }).on("timeout").is("error", "disconnect", "close");
  assert.match(page.state.text, /reload this page/);
});

test("a Stop that was lost with its connection is said again", () => {
  playing().on("stop").on("lost", { long: false }).on("welcome", { paused: false, again: true }).is("saving", "stop");
});

test("a block's news come before the status of every second; a rewind ends the warning", () => {
  const page = playing().status("playing").on("block", { news: { frames: 33, warning: "collapsed", rewind_to: 2 } });
  assert.deepEqual([page.state.server.frames, page.state.server.rewind_to], [33, 2]);
  rewound(page, 2);
  assert.equal(page.state.server.warning, null);
});

test("a session that the server does not know any more is over", () => {
  const page = playing().on("gone", { reason: "This session is unknown." });
  page.is("error", "disconnect", "close", "ask finished t").on("start").is("starting", "focus", "ask start");
});

test("a session that goes on in another window can be taken back", () => {
  const page = playing().on("replaced").is("replaced", "disconnect", "close");
  assert.ok(startable(page.state));
  page.on("start").is("starting", "ask resume t");
});

test("a hidden page pauses its live session, and says so when it is back", () => {
  const page = playing().on("visibility", { hidden: true }).is("paused", "hold", "send pause true");
  page.on("visibility", { hidden: false }).is("paused");
  assert.equal(page.state.pause, "hidden");
  page.on("input", { waiting: 4 }).is("playing", "release", "acknowledge", "send pause false");
  const scenario = playing(SCENARIO).on("visibility", { hidden: true }).is("playing");
  scenario.on("block", { news: {} }).is("playing");
});

test("a session that begins while the page is hidden pauses at its first block", () => {
  const page = started().on("visibility", { hidden: true }).is("starting").status("loading", "Reading");
  page.status("playing").on("welcome", { paused: false, again: false }).is("loading");
  page.on("block", { news: {} }).is("paused", "hold", "send pause true");
  page.on("visibility", { hidden: false }).on("input", { waiting: 9 });
  page.is("playing", "release", "acknowledge", "send pause false");
});

test("a scenario is seen to its end while its films are there already", () => {
  const page = playing(SCENARIO).status("saving", "Writing", { draining: true }).is("playing");
  page.on("end", { end: { phase: "ended", text: "Complete.", recording: true }, draining: true });
  page.is("playing", "disconnect", "ask finished t");
  page.on("toggle", { waiting: 30 }).on("toggle", { waiting: 30 }).is("playing", "release");
  page.on("lost", { long: false }).is("playing");
  page.on("drained").is("ended", "disconnect", "close");
  assert.equal(page.state.text, "Complete. Your film is ready.");
});

test("a scenario that has been seen before its films are written waits for them", () => {
  const page = playing(SCENARIO).status("saving", "Writing", { draining: true });
  page.on("drained").is("saving");
  page.on("end", { end: { phase: "ended", text: "Complete.", recording: true }, draining: false });
  page.is("ended", "disconnect", "close", "ask finished t");
  const stopped = playing(SCENARIO).on("end", { end: { phase: "ended", text: "Complete." }, draining: true });
  stopped.on("stop").is("ended", "disconnect", "close", "clear");
});

test("of a scenario that was stopped, what still arrives is not waited for", () => {
  const page = playing(SCENARIO).on("stop");
  page.on("end", { end: { phase: "ended", text: "Stopped.", recording: true }, draining: true });
  page.is("ended", "disconnect", "close", "ask finished t");
});

test("a browser that cannot decode connects again for another codec", () => {
  playing().on("undecodable").is("playing", "clear", "connect");
  new Page().on("undecodable").is("idle");
});

test("what is chosen or refused is said while nothing runs", () => {
  const page = playing().on("stop").on("end", { end: { phase: "ended", text: "Stopped." }, draining: false });
  page.on("say", { text: "Choose a start image first." }).is("idle");
  assert.equal(page.state.text, "Choose a start image first.");
  assert.equal(playing().on("say", { text: "x" }).phase, "playing");
});

test("what comes late, after the end, changes nothing", () => {
  const page = playing().on("replaced");
  for (const [type, fields] of [
    ["shown", {}], ["dry", {}], ["drained", {}], ["stepped", {}], ["idle", {}], ["lost", { long: false }],
    ["gone", { reason: "x" }], ["rewound", { node: 1 }], ["rewind", { node: 1 }], ["replaced", {}],
    ["welcome", { paused: true, again: true }], ["stop", {}], ["step", {}], ["toggle", { waiting: 0 }],
    ["end", { end: { phase: "error", text: "x", recording: true }, draining: false }],
  ]) {
    page.on(type, fields);
    assert.deepEqual([page.phase, page.done], ["replaced", []], type);
  }
  assert.throws(() => page.on("nonsense"), TypeError);
});

test("where GPUs are lent, the page asks for one once, rests when it is gone, and goes on when that is wanted", () => {
  const page = started().status("loading", "Asking for a GPU", {}).is("loading");
  const lease = (phase, text, fields) =>
    page.on("status", { status: { phase, text, progress: null, ...fields }, draining: false });
  lease("loading", "Asking for a GPU", { lease: "wanted" }).is("loading", "lease");
  assert.equal(page.state.text, "Asking for a GPU");
  lease("loading", "Asking for a GPU", { lease: "wanted" }).is("loading");
  lease("playing", "", { lease_seconds: 55 }).on("welcome", { paused: false, again: false });
  page.on("block", { news: {} }).on("shown").is("playing");
  lease("buffering", "Press Go on.", { lease: "over" }).is("resting", "hold");
  assert.equal(page.state.text, "Press Go on.");
  assert.ok(running(page.state) && !startable(page.state) && !rewindable(page.state));
  lease("buffering", "Press Go on.", { lease: "over" }).is("resting");
  page.on("start").is("resting", "focus", "send go_on");
  lease("buffering", "Asking for a GPU", { lease: "wanted" }).is("buffering", "release", "lease");
  page.on("shown").is("playing");
  page.on("toggle", { waiting: 0 });
  lease("buffering", "Press Go on.", { lease: "over" }).is("resting", "hold");
  lease("buffering", "Asking for a GPU", { lease: "wanted" }).is("paused", "lease");
  page.on("stop").is("saving", "clear", "stop");
});
