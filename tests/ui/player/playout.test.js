import assert from "node:assert/strict";
import { test } from "node:test";

import { CODECS } from "../../../mgdemo/ui/player/protocol.js";
import { Playout } from "../../../mgdemo/ui/player/playout.js";

const FPS = 25;
const BLOCK = 12;
const PLAYING = (BLOCK * 1000) / FPS; // ms that a block plays

/**
 * Plays against a server that makes block n in `cost(n)` ms, and begins each one as late as it may if it takes
 * as long as the last one.
 * @returns {{playout: Playout, shown: {index: number, at: number}[], lows: number[]}}
 */
function play({ cost, blocks, live = true, ahead = false, early = 0, told = early }) {
  const playout = new Playout({ fps: FPS, live });
  const shown = [];
  const lows = [];
  let made = 0;
  let ready = cost(0);
  for (let now = 0; made < blocks || playout.queue.length; now += 4) {
    for (const { index } of playout.due(now)) shown.push({ index, at: now });
    while (made < blocks && now >= ready) {
      lows.push(playout.buffered(now));
      playout.announce({ node: made, frames: BLOCK, made_ms: cost(made), early_ms: told, splice: null });
      for (let i = 0; i < BLOCK; i++)
        playout.push({ index: made * BLOCK + i, node: made, key: i === 0, kind: CODECS.h264, data: null }, now);
      made++;
      const start = ahead ? now : Math.max(now, now + playout.reported(now) - cost(made - 1) - 30 - early);
      ready = start + cost(made);
    }
  }
  return { playout, shown, lows };
}

const gaps = (shown, from = 0) => shown.slice(from).flatMap(({ at }, i, all) => (i ? [at - all[i - 1].at] : []));

test("every frame is shown once, in order, at the nominal rate", () => {
  const { shown } = play({ cost: () => 120, blocks: 20 });
  assert.deepEqual(
    shown.map(({ index }) => index),
    [...Array(20 * BLOCK).keys()],
  );
  assert.ok(gaps(shown).every((gap) => gap >= 36 && gap <= 44), `gaps ${[...new Set(gaps(shown))]}`);
});

test("blocks that come early on purpose are no reason to play faster", () => {
  assert.equal(play({ cost: () => 30, blocks: 20, early: 120 }).playout.speed, 1);
  assert.ok(play({ cost: () => 30, blocks: 20, early: 120, told: 0 }).playout.speed > 1.02, "others are");
});

test("a server slower than real time is played evenly, at its own rate", () => {
  const { shown, playout } = play({ cost: () => 800, blocks: 30 });
  const late = gaps(shown, 6 * BLOCK);
  const even = 800 / BLOCK;
  assert.ok(Math.max(...late) < 1.6 * even, `the longest gap is ${Math.max(...late)} ms, of ${even}`);
  assert.ok(playout.speed > 0.5 && playout.speed <= 0.62, `speed ${playout.speed}`);
});

test("when the server is quick again, so is playback", () => {
  const { playout } = play({ cost: (n) => (n < 10 ? 800 : 120), blocks: 40 });
  assert.equal(playout.speed, 1);
});

test("one late block costs little, and builds up a reserve for the next one", () => {
  const { shown, playout } = play({ cost: (n) => (n === 10 ? 400 : 120), blocks: 11 });
  assert.ok(playout.reserve > 0);
  assert.ok(playout.reported(shown.at(-1).at) <= playout.buffered(shown.at(-1).at));
  const after = play({ cost: (n) => (n === 10 ? 400 : 120), blocks: 60 }).playout;
  assert.equal(after.speed, 1);
});

test("a live buffer that stays too full is trimmed to about a frame", () => {
  const playout = new Playout({ fps: FPS, live: true });
  let index = 0;
  let low = Infinity;
  for (let now = 0, block = 0; now < 60_000; now += 4) {
    playout.due(now);
    if (now >= block * PLAYING) {
      low = playout.buffered(now);
      const count = block === 0 ? 3 * BLOCK : BLOCK; // two blocks too many at the start
      for (let i = 0; i < count; i++) playout.push({ index: index++, node: block }, now);
      block++;
    }
    assert.ok(playout.speed <= 1.25);
  }
  assert.ok(low < 100, `${low} ms too many are left`);
});

test("a scenario made ahead of time plays at the nominal rate, whole", () => {
  const { shown, playout } = play({ cost: () => 20, blocks: 20, live: false, ahead: true });
  assert.equal(shown.length, 20 * BLOCK);
  assert.equal(playout.speed, 1);
  assert.ok(Math.max(...gaps(shown)) <= 44);
});

function hiddenFor(ms, live) {
  const playout = new Playout({ fps: FPS, live });
  for (let i = 0; i < 100; i++) playout.push({ index: i, node: Math.floor(i / BLOCK) }, 0);
  return { playout, due: playout.due(ms) };
}

test("after a hidden tab a scenario goes on where it was", () => {
  const { playout, due } = hiddenFor(5000, false);
  assert.equal(due.length, 1);
  assert.equal(playout.due(5040).length, 1);
});

test("after a hidden tab live play skips what is old, but decodes every frame", () => {
  const { playout, due } = hiddenFor(5000, true);
  assert.deepEqual(
    due.map(({ index }) => index),
    [...Array(due.length).keys()],
  );
  assert.ok(playout.buffered(5000) <= 400 && playout.queue.length >= 5);
  assert.equal(playout.due(5040).length, 1);
});

test("clear forgets the pictures; the next ones start at once", () => {
  const playout = new Playout({ fps: FPS, live: true });
  playout.push({ index: 0, node: 0 }, 0);
  playout.push({ index: 1, node: 0 }, 0);
  playout.clear();
  assert.equal(playout.buffered(10), 0);
  assert.deepEqual(playout.due(10), []);
  playout.push({ index: 7, node: 1 }, 1000);
  assert.deepEqual(
    playout.due(1000).map(({ index }) => index),
    [7],
  );
});

// Blocks made again

/** A player at frame `shown` of block 1 (frames 12 to 23) of which all is received, and how to make it again. */
function midBlock(shown, kind = CODECS.h264, live = true) {
  const playout = new Playout({ fps: FPS, live });
  let now = 0;
  const send = (node, splice, count = BLOCK) => {
    playout.announce({ node, frames: BLOCK, first_frame: node * BLOCK, made_ms: 100, early_ms: 0, splice });
    const first = splice ?? node * BLOCK;
    for (let index = first; index < node * BLOCK + count; index++)
      playout.push({ index, node, key: index === first, kind, data: splice }, now);
  };
  const until = (index) => {
    const out = [];
    for (; playout.next <= index; now += 4) out.push(...playout.due(now));
    return out;
  };
  send(0, null);
  send(1, null);
  until(shown);
  return { playout, send, until, seconds: () => now };
}

const told = (packets) =>
  packets.map(({ index, data, silent }) => `${index}${data === null ? "" : "'"}${silent ? " silent" : ""}`);

test("a block made again is shown from the splice on", () => {
  const { send, until } = midBlock(15);
  send(1, 18);
  assert.deepEqual(told(until(20)), ["16", "17", "18'", "19'", "20'"]);
});

test("what was shown is not shown again, only decoded, if the new block comes too late for its splice", () => {
  const { send, until, playout } = midBlock(17);
  const before = playout.waiting;
  send(1, 15);
  assert.equal(playout.waiting, before);
  assert.deepEqual(told(until(19)), ["15' silent", "16' silent", "17' silent", "18'", "19'"]);
});

test("until it is whole, the first making goes on", () => {
  const { playout, send, until } = midBlock(15);
  send(1, 18, BLOCK - 1);
  assert.deepEqual(told(until(19)), ["16", "17", "18", "19"]);
  playout.push({ index: 23, node: 1, kind: CODECS.h264, data: 18 }, 2000);
  assert.deepEqual(
    told(playout.queue.filter(({ silent }) => !silent)),
    ["20'", "21'", "22'", "23'"],
  );
});

test("when all of it has been shown, it is still decoded: the next block builds on it", () => {
  const { playout, send } = midBlock(23);
  send(1, 21);
  assert.equal(playout.waiting, 0);
  assert.equal(playout.buffered(2000), 0);
  const out = playout.due(2000);
  assert.deepEqual(out.map(({ silent }) => silent), [true, true, true]);
  assert.equal(playout.next, 24);
});

test("JPEG pictures stand alone: those that come too late are dropped", () => {
  const { send, until } = midBlock(17, CODECS.jpeg);
  send(1, 15);
  assert.deepEqual(told(until(19)), ["18'", "19'"]);
});

test("a block may be made again more than once", () => {
  const { send, until } = midBlock(13);
  send(1, 16);
  send(1, 20);
  const shown = until(22);
  assert.deepEqual(
    told(shown.filter(({ silent }) => !silent)),
    "14 15 16' 17' 18' 19' 20' 21' 22'".split(" "),
  );
  assert.deepEqual(
    shown.filter(({ silent, data }) => !silent && data === 20).map(({ index }) => index),
    [20, 21, 22],
  );
});

test("one that never becomes whole is forgotten with the next block", () => {
  const { playout, send, until } = midBlock(15);
  send(1, 18, 5);
  send(2, null);
  assert.deepEqual(told(until(25)), "16 17 18 19 20 21 22 23 24 25".split(" "));
  assert.equal(playout.regenerated, null);
});

test("it is no new block for the pacing", () => {
  const { playout, send } = midBlock(15);
  const { lows, speed, ceiling } = playout;
  send(1, 18);
  assert.deepEqual([playout.lows, playout.speed, playout.ceiling], [lows, speed, ceiling]);
});

// Pause, step, rewind

test("a pause holds the buffer, and afterwards goes on where it was", () => {
  const { playout } = midBlock(15);
  playout.due(1000);
  const { waiting } = playout;
  playout.pause(1000);
  const held = playout.buffered(1000);
  assert.deepEqual(playout.due(5000), []);
  assert.equal(playout.buffered(5000), held);
  assert.equal(playout.dryFor(9000), 0);
  playout.resume(9000);
  assert.equal(playout.buffered(9000), held);
  assert.equal(playout.waiting, waiting);
  const out = [];
  for (let now = 9000; playout.waiting; now += 4) out.push(...playout.due(now).map(({ index }) => index));
  assert.deepEqual(out, [...Array(waiting).keys()].map((i) => 24 - waiting + i));
});

test("after a pause with an empty buffer the next block is not late", () => {
  const { playout, send } = midBlock(23);
  playout.due(5000);
  playout.pause(5100);
  playout.resume(60_000);
  send(2, null);
  assert.deepEqual([playout.speed, playout.reserve], [1, 0]);
  assert.ok(playout.started);
});

test("a step is not paced", () => {
  const { playout, send, until } = midBlock(15);
  playout.pause(1000);
  playout.resume(1000, false);
  until(23);
  playout.due(60_000);
  send(2, null); // long after the buffer ran dry
  assert.deepEqual([playout.speed, playout.reserve], [1, 0]);
});

test("over a new connection a scenario goes on with what it has, and a wait for more is nobody's fault", () => {
  const { playout, until } = midBlock(15, CODECS.h264, false);
  playout.connect();
  assert.deepEqual(told(until(23)), "16 17 18 19 20 21 22 23".split(" "));
  playout.due(60_000);
  playout.connect();
  playout.announce({ node: 3, frames: BLOCK, first_frame: 36, made_ms: 100, early_ms: 0, splice: null });
  playout.push({ index: 36, node: 3, key: true, kind: CODECS.h264, data: null }, 60_000);
  assert.deepEqual([playout.speed, playout.reserve], [1, 0]);
  assert.deepEqual(told(playout.due(60_000)), ["36"]);
});

test("over a new connection a live world goes on with what comes now", () => {
  const { playout } = midBlock(15);
  playout.connect();
  assert.equal(playout.waiting, 0);
});

test("after a rewind frames are counted from there", () => {
  const { playout } = midBlock(15);
  playout.pause(1000);
  playout.rewind(9);
  assert.equal(playout.waiting, 0);
  playout.resume(2000);
  playout.announce({ node: 5, frames: BLOCK, first_frame: 9, made_ms: 100, early_ms: 0, splice: null });
  for (let i = 0; i < BLOCK; i++) playout.push({ index: 9 + i, node: 5, kind: CODECS.h264, key: i === 0 }, 2100);
  assert.deepEqual(
    playout.due(2100).map(({ index }) => index),
    [9],
  );
});

test("it is asked again when the next frame is due, and often while nothing is there", () => {
  const playout = new Playout({ fps: FPS, live: true });
  assert.equal(playout.wait(0), 16);
  playout.announce({ node: 0, frames: BLOCK, made_ms: 100, early_ms: 0, splice: null });
  for (let index = 0; index < 3; index++) playout.push({ index, node: 0, key: index === 0, kind: CODECS.h264, data: null }, 0);
  assert.equal(playout.wait(0), 0);
  const shown = [];
  for (let now = 0; shown.length < 3; now += playout.wait(now)) shown.push(...playout.due(now).map(({ index }) => [index, now]));
  assert.deepEqual(shown, [[0, 0], [1, 40], [2, 80]]);
  assert.equal(playout.wait(81), 16);
  playout.push({ index: 3, node: 0, key: false, kind: CODECS.h264, data: null }, 90);
  playout.pause(90);
  assert.equal(playout.wait(95), 16);
});
