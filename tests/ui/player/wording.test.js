import assert from "node:assert/strict";
import { test } from "node:test";

import { reduce } from "../../../mgdemo/ui/player/lifecycle.js";
import { CLOSE, noteOf } from "../../../mgdemo/ui/player/notes.js";
import { INITIAL } from "../../../mgdemo/ui/player/phases.js";
import { words } from "../../../mgdemo/ui/player/wording.js";

const SESSION = { id: "1", token: "t", path: "p", live: true, choice: "grey 1" };
const facts = { live: true, blocked: "", frame: 49, fps: 25, total: null, displayed: 24.96 };
const say = (state, more = {}) => words({ ...INITIAL, ...state }, { ...facts, ...more });
const status = (phase, text = "", more = {}) => ({ server: { phase, text, ...more } });

test("a page at rest says how to begin, or why it cannot", () => {
  assert.match(say({}).status, /Press Start/);
  const blocked = say({}, { blocked: "Choose a start image first." });
  assert.deepEqual([blocked.message, blocked.status], ["Choose a start image first.", ""]);
});

test("what plays says its rate, and what the server has to say about it", () => {
  assert.equal(say({ phase: "playing", ...status("playing") }).status, "Playing 25.0 fps");
  assert.equal(say({ phase: "playing", ...status("playing", "Slow.") }).status, "Slow.");
  assert.equal(say({ phase: "playing", ...status("paused", "Paused.") }).status, "Playing 25.0 fps"); // of before
});

test("how long a GPU is lent, and that it is gone", () => {
  const lent = say({ phase: "playing", ...status("playing", "", { lease_seconds: 41.2 }) });
  assert.equal(lent.status, "Playing 25.0 fps · GPU for 42 s");
  const text = "Your 60 seconds on the GPU are over. Press Go on for more in the same world.";
  assert.deepEqual([say({ phase: "resting", text }).message, say({ phase: "resting", text }).status], [text, ""]);
});

test("a stall and a world that stands are not said to be playing", () => {
  const stalled = say({ phase: "buffering", ...status("buffering", "Your connection is slow.") });
  assert.deepEqual([stalled.message, stalled.status], ["Your connection is slow.", "Stalled"]);
  const stands = say({ phase: "standing", ...status("standing", "Standing still.", { seconds_left: null }) });
  assert.deepEqual([stands.message, stands.status], [
    "The world stands still. Press any control to move.",
    "Standing still",
  ]);
  assert.equal(say({ phase: "standing", ...status("standing", "Others wait.", { seconds_left: 9 }) }).status, "Others wait.");
});

test("each pause says how to resume, and where it is", () => {
  for (const [pause, text] of [["hand", /Press P/], ["idle", /degrades/], ["rewound", /back at/], ["hidden", /hidden/]]) {
    const { message, status: line } = say({ phase: "paused", pause });
    assert.match(message, text);
    assert.equal(line, "Paused at 2.0 s");
  }
  assert.equal(say({ phase: "paused", pause: "rewound", preview: "1.2 s" }).message, "Rewind to 1.2 s");
});

test("a scenario says how far it is", () => {
  const server = { phase: "playing", text: "", frames: 45, fps: 50.2, seconds_left: 1.2 };
  const line = say({ phase: "playing", server }, { live: false, total: 105 }).status;
  assert.equal(line, "45 of 105 frames generated · 50 fps · 2 s left");
});

test("only a running session says what has been chosen meanwhile, that its picture has collapsed, what the server says", () => {
  const state = { ...INITIAL, phase: "playing", session: SESSION };
  assert.deepEqual(noteOf(state, "grey 1"), { note: "", cure: "" });
  assert.match(noteOf(state, "blue 1").note, /next start/);
  assert.equal(noteOf({ ...state, phase: "ended" }, "blue 1").note, "");
  const collapsed = noteOf({ ...state, server: { phase: "playing", text: "", warning: "collapsed" } }, "grey 1");
  assert.match(collapsed.cure, /Rewind/);
  const drained = { phase: "paused", text: "Paused.", outlook: "The server is about to be restarted." };
  assert.equal(noteOf({ ...state, phase: "paused", server: drained }, "blue 1").note, drained.outlook);
});

test("what the server says of how a world runs is shown until it has been read", () => {
  const state = { ...INITIAL, phase: "playing", session: SESSION, notice: "Update the driver." };
  assert.deepEqual(noteOf(state, "grey 1"), { note: "Update the driver.", cure: CLOSE });
  assert.match(noteOf(state, "blue 1").note, /next start/);
  const { state: read } = reduce(state, { type: "read" });
  assert.deepEqual(noteOf(read, "grey 1"), { note: "", cure: "" });
  assert.equal(noteOf({ ...read, notice: "Another one." }, "grey 1").note, "Another one.");
});
