import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { sockets } from "./fake_page.js";
import { Following } from "../../../mgdemo/ui/compare/following.js";

const TOTALS = { runs: 2, finished: 0, failed: 0, cancelled: 0, share: 0, fps: null, seconds_left: null };
const PROGRESS = { type: "progress", totals: TOTALS, over: false };
let seen;

beforeEach(() => {
  sockets.length = 0;
  seen = [];
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => mock.timers.reset());

function follow(token = "mine") {
  return new Following({ grid: "g", token }, false, {
    onmessage: ({ type }) => seen.push(type),
    onlost: (reason) => seen.push(`lost: ${reason}`),
    onunknown: () => seen.push("unknown"),
  });
}

test("a page says first that it is there, on each socket; one that has only the link says nothing", () => {
  follow();
  sockets[0].accept();
  sockets[0].drop(1006);
  mock.timers.tick(300);
  sockets[1].accept();
  follow("");
  sockets[2].accept();
  const first = [{ type: "follow", token: "mine" }];
  assert.deepEqual(sockets.map(({ sent }) => sent), [first, first, []]);
});

test("a connection that falls silent is opened again; signs of life keep it and are no news", () => {
  follow();
  sockets[0].accept();
  for (let i = 0; i < 10; i++) {
    mock.timers.tick(10_000);
    sockets[0].bring({ type: "alive" });
  }
  assert.deepEqual([seen, sockets.length], [[], 1]);
  mock.timers.tick(20_000);
  assert.deepEqual(seen, ["lost: "]);
  assert.equal(sockets[0].readyState, 3);
  mock.timers.tick(300);
  assert.equal(sockets.length, 2);
});

test("a cancel without a connection is sent once there is one, until the server answers", () => {
  const following = follow();
  following.cancel();
  sockets[0].accept();
  assert.deepEqual(sockets[0].sent.at(-1), { type: "cancel", token: "mine" });
  sockets[0].bring(PROGRESS);
  sockets[0].drop(1006); // nobody knows whether it has arrived
  mock.timers.tick(300);
  sockets[1].accept();
  assert.equal(sockets[1].sent.at(-1).type, "cancel");
  sockets[1].bring({ type: "note", totals: TOTALS, text: "Others want it, too." });
  sockets[1].drop(1006);
  mock.timers.tick(300);
  sockets[2].accept();
  assert.deepEqual(sockets[2].sent.map(({ type }) => type), ["follow"]);
});

test("where too many pages follow, the server's sentence is given and tries are rare", () => {
  follow();
  for (let i = 1; i <= 5; i++) {
    sockets.at(-1).accept();
    sockets.at(-1).drop(4429, "Close one of them.");
    mock.timers.tick(9_000);
    assert.equal(sockets.length, i);
    mock.timers.tick(1_000);
  }
  assert.deepEqual(new Set(seen), new Set(["lost: Close one of them."]));
  sockets.at(-1).drop(1011, "keepalive ping timeout");
  assert.equal(seen.at(-1), "lost: ", "that is no sentence for visitors");
});

test("what is over or unknown is not tried again", () => {
  follow();
  sockets[0].bring({ ...PROGRESS, type: "done", text: "", over: true });
  follow();
  sockets[1].drop(4404);
  mock.timers.tick(600_000);
  assert.deepEqual([seen, sockets.length], [["done", "unknown"], 2]);
});
