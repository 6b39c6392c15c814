import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../mgdemo/compare/player/clock.js";

function clock(length = 100, speed = 1) {
  const made = new Clock(25);
  made.setLength(length);
  made.speed = speed;
  return made;
}

test("time is frames a second, at each speed", () => {
  for (const [speed, frame] of [[1, 25], [0.25, 6], [2, 50], [0.1, 2]]) {
    const it = clock(100, speed);
    it.play(1000, true);
    assert.equal(Math.floor(it.due(2000)), frame);
  }
});

test("it ends at the last frame, and begins again from there", () => {
  const it = clock();
  it.play(0, true);
  it.showed(9000, it.due(9000));
  assert.equal(it.frame, 99);
  assert.equal(it.playing, false);
  it.play(10000, true);
  assert.equal(it.frame, 0);
});

test("while it waits no time passes", () => {
  const it = clock();
  it.play(0, true);
  it.showed(400, it.due(400));
  for (let now = 400; now < 5000; now += 16) it.wait(now);
  assert.equal(Math.floor(it.due(5000)), 10);
  assert.equal(Math.floor(it.due(5500)), 22);
});

test("a loop is entered at its beginning and goes around", () => {
  const it = clock();
  it.loop = { from: 20, to: 29 };
  it.play(0, true);
  assert.equal(it.frame, 20);
  const seen = new Set();
  for (let now = 0; now < 4000; now += 20) {
    it.showed(now, it.due(now));
    seen.add(it.frame);
  }
  assert.deepEqual([...seen].sort((a, b) => a - b), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  assert.equal(it.playing, true);
});

test("another speed goes on from where it is", () => {
  const it = clock();
  it.play(0, true);
  it.setSpeed(1000, 0.5);
  assert.equal(it.frame, 25);
  assert.equal(Math.floor(it.due(2000)), 37);
});

test("going beyond the ends is going to the end", () => {
  const it = clock();
  it.goTo(1e9);
  assert.equal(it.frame, 99);
  it.goTo(-5);
  assert.equal(it.frame, 0);
  it.goTo(60);
  it.setLength(30);
  assert.equal(it.frame, 29);
});
