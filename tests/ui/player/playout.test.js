import assert from "node:assert/strict";
import { test } from "node:test";

import { Playout } from "../../../mgdemo/ui/player/playout.js";

const FPS = 25;
const BLOCK = 12;
const PLAYING = (BLOCK * 1000) / FPS; // ms that a block plays

/**
 * Plays against a server that makes block n in `cost(n)` ms, and begins each one as late as it may if it takes
 * as long as the last one.
 * @returns {{playout: Playout, shown: {index: number, at: number}[], lows: number[]}}
 */
function play({ cost, blocks, live = true, ahead = false }) {
  const playout = new Playout({ fps: FPS, live });
  const shown = [];
  const lows = [];
  let made = 0;
  let ready = cost(0);
  for (let now = 0; made < blocks || playout.queue.length; now += 4) {
    for (const { index } of playout.due(now)) shown.push({ index, at: now });
    while (made < blocks && now >= ready) {
      lows.push(playout.buffered(now));
      playout.announce(BLOCK, cost(made));
      for (let i = 0; i < BLOCK; i++)
        playout.push({ index: made * BLOCK + i, block: made, key: i === 0, kind: 1, data: null }, now);
      made++;
      const start = ahead ? now : Math.max(now, now + playout.reported(now) - cost(made - 1) - 30);
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
      for (let i = 0; i < count; i++) playout.push({ index: index++, block }, now);
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
  for (let i = 0; i < 100; i++) playout.push({ index: i, block: Math.floor(i / BLOCK) }, 0);
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
  playout.push({ index: 0, block: 0 }, 0);
  playout.push({ index: 1, block: 0 }, 0);
  playout.clear();
  assert.equal(playout.buffered(10), 0);
  assert.deepEqual(playout.due(10), []);
  playout.push({ index: 7, block: 1 }, 1000);
  assert.deepEqual(
    playout.due(1000).map(({ index }) => index),
    [7],
  );
});
