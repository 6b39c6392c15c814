import assert from "node:assert/strict";
import { test } from "node:test";

import { Lockstep } from "../../../mgdemo/compare/player/lockstep.js";

/** A film whose frames are there when the test says so. */
function fake(frames, ready = () => true) {
  return {
    frames,
    drawn: -1,
    wanted: [],
    ready,
    has(frame) {
      return this.ready(frame);
    },
    want(frame, direction) {
      this.wanted.push([frame, direction]);
    },
    draw(_, frame) {
      this.drawn = frame;
    },
    close() {},
    onready() {},
    onfail() {},
  };
}

function together(films, handlers = {}) {
  const tasks = [];
  const it = new Lockstep(25, { ...handlers, schedule: (tick) => tasks.push(tick) });
  it.setScreens(films.map((film) => ({ film, context: null })), Math.max(...films.map(({ frames }) => frames)));
  const run = (now) => tasks.splice(0).forEach((tick) => tick(now));
  run(0);
  return { it, run, idle: () => tasks.length === 0 };
}

test("no film is drawn before all can be", () => {
  const films = [fake(50), fake(50, (frame) => frame < 10), fake(50)];
  const { it, run } = together(films);
  it.goTo(20);
  run(1);
  assert.deepEqual(films.map(({ drawn }) => drawn), [0, 0, 0]);
  films[1].ready = () => true;
  films[1].onready();
  run(2);
  assert.deepEqual(films.map(({ drawn }) => drawn), [20, 20, 20]);
});

test("while one is not ready, playing stands, and goes on from there", () => {
  const films = [fake(500), fake(500)];
  const { it, run } = together(films);
  it.play(true, 0);
  for (let now = 0; now <= 1000; now += 20) run(now);
  assert.equal(films[0].drawn, 25);
  films[1].ready = () => false;
  for (let now = 1020; now <= 5000; now += 20) run(now);
  assert.deepEqual(films.map(({ drawn }) => drawn), [25, 25]);
  films[1].ready = () => true;
  for (let now = 5020; now <= 6000; now += 20) run(now);
  assert.ok(films[0].drawn >= 48 && films[0].drawn <= 51, `${films[0].drawn}`);
  assert.equal(films[0].drawn, films[1].drawn);
});

test("a hand that drags sees pictures on its way, and the last place in the end", () => {
  const films = [fake(300), fake(300)];
  const { it, run } = together(films);
  const seen = [];
  let slow = 0;
  films[1].ready = () => slow++ % 4 === 3; // a frame needs four looks
  for (let frame = 0; frame < 200; frame += 5) {
    it.goTo(frame);
    run(frame);
    seen.push(films[0].drawn);
  }
  assert.ok(new Set(seen).size > 5, "the picture stood still");
  for (let i = 0; i < 10; i++) run(1000 + i);
  assert.equal(films[0].drawn, 195);
});

test("going back is asked for as going back", () => {
  const films = [fake(100)];
  const { it, run } = together(films);
  it.goTo(50);
  run(1);
  it.goTo(49);
  run(2);
  assert.deepEqual(films[0].wanted.at(-1), [49, -1]);
});

test("a shorter film stays on its last frame", () => {
  const films = [fake(100), fake(40)];
  const { it, run } = together(films);
  it.goTo(70);
  run(1);
  assert.deepEqual(films.map(({ drawn }) => drawn), [70, 39]);
});

test("at rest nothing is scheduled, and rest is said", () => {
  const rests = [];
  const { it, run, idle } = together([fake(10)], { onrest: (frame) => rests.push(frame) });
  it.goTo(4);
  run(1);
  assert.ok(idle());
  assert.equal(rests.at(-1), 4);
  it.play(true, 10);
  for (let now = 10; now < 2000; now += 20) run(now);
  assert.ok(idle(), "it has ended");
  assert.equal(rests.at(-1), 9);
});
