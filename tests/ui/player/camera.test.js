import assert from "node:assert/strict";
import { test } from "node:test";

import { Camera, LIMIT } from "../../../mgdemo/ui/player/camera.js";

/** A camera with a clock of its own. @returns told: [milliseconds, [pitch, yaw]] */
function stage(axes = ["pitch", "yaw"]) {
  const told = [];
  let now = 0;
  let waiting = null;
  const clock = { now: () => now, setTimeout: (run, ms) => (waiting = { run, at: now + ms }) };
  const camera = new Camera(() => told.push([now, [...camera.value]]), clock);
  camera.setAxes(axes);
  const wait = (ms) => {
    for (const end = now + ms; now < end; now++)
      if (waiting && now >= waiting.at) {
        const { run } = waiting;
        waiting = null;
        run();
      }
  };
  return { camera, told, wait };
}

/** Drags evenly: shares of the width a second, for so many ms. */
function dragEvenly({ camera, wait }, right, up, ms) {
  for (let t = 0; t < ms; t += 8) {
    camera.drag((right * 8) / 1000, (up * 8) / 1000);
    wait(8);
  }
}

test("a tenth of the width a second is a held key, right and up positive", () => {
  for (const [right, up] of [[0.1, 0], [-0.1, 0.05]]) {
    const it = stage();
    dragEvenly(it, right, up, 2000);
    const [pitch, yaw] = it.camera.value;
    assert.ok(Math.abs(yaw - right) < 0.012 && Math.abs(pitch - up) < 0.012, `${pitch}, ${yaw}`);
  }
});

test("it turns as far as was dragged, and then stands: 0 is told last, and once", () => {
  const it = stage();
  dragEvenly(it, 0.2, 0, 300);
  it.wait(3000);
  assert.deepEqual(it.told.at(-1)[1], [0, 0]);
  const turned = it.told.slice(1).reduce((sum, [at], i) => sum + ((at - it.told[i][0]) / 1000) * it.told[i][1][1], 0);
  assert.ok(Math.abs(turned - 0.06) < 0.012, `${turned} of 0.06`);
  const count = it.told.length;
  it.wait(3000);
  assert.equal(it.told.length, count);
});

test("at most 30 changes a second are told, and no more than the limit", () => {
  const it = stage();
  dragEvenly(it, 5, -5, 1000);
  it.wait(1000);
  assert.ok(it.told.length <= 62);
  assert.ok(it.told.every(([at], i) => i === 0 || at - it.told[i - 1][0] >= 33));
  const highest = Math.max(...it.told.flatMap(([, value]) => value.map(Math.abs)));
  assert.equal(highest, LIMIT);
});

test("a mode turns only about its own axes", () => {
  const drive = stage(["yaw"]);
  dragEvenly(drive, 0.2, 0.2, 500);
  assert.ok(drive.camera.value[1] > 0.1 && drive.camera.value[0] === 0);
  const run = stage([]);
  dragEvenly(run, 0.2, 0.2, 500);
  run.camera.tilt(1, 1);
  assert.deepEqual(run.told, []);
  assert.equal(run.camera.turns, false);
});

test("the stick is steady, adds to the drag, and is let go at once", () => {
  const it = stage();
  it.camera.tilt(1, -0.5);
  it.wait(2000);
  assert.deepEqual(it.told.map(([, value]) => value), [[-0.05, 0.1]]);
  dragEvenly(it, -0.1, 0, 2000);
  assert.ok(Math.abs(it.camera.value[1]) < 0.02);
  it.camera.still();
  it.wait(50);
  assert.deepEqual(it.camera.value, [0, 0]);
});
