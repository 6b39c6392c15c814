import assert from "node:assert/strict";
import { test } from "node:test";

import { places, read, stick } from "../../../mgdemo/ui/player/gamepad.js";

const at = (group, keys) =>
  Object.entries(keys).map(([code, [row, column]]) => ({ code, group, row, column, aliases: [] }));
const CROSS = (up, down, left, right) => ({ [up]: [0, 1], [down]: [1, 1], [left]: [1, 0], [right]: [1, 2] });
const WALK = [...at("move", CROSS("KeyW", "KeyS", "KeyA", "KeyD")), ...at("camera", CROSS("KeyI", "KeyK", "KeyJ", "KeyL"))];
const RUN = at("run", { ...CROSS("KeyW", "KeyS", "KeyA", "KeyD"), KeyZ: [0, 0], KeyC: [0, 2] });

function pad({ axes = [0, 0, 0, 0], pressed = [], values = {} }) {
  const buttons = [...Array(17).keys()].map((i) => ({ pressed: pressed.includes(i), value: values[i] ?? 0 }));
  return { axes, buttons };
}

test("a stick near its middle is still; all the way is 1, whichever way", () => {
  assert.deepEqual(stick(0.2, -0.1), [0, 0]);
  assert.deepEqual(stick(undefined, undefined), [0, 0]);
  assert.deepEqual(stick(1, 0), [1, 0]);
  const [right, up] = stick(0.8, 0.8);
  assert.ok(Math.abs(Math.hypot(right, up) - 1) < 1e-9 && up < 0);
  assert.ok(stick(0.3, 0)[0] < 0.1);
});

test("the left stick moves in eight directions", () => {
  const held = (x, y) => read(pad({ axes: [x, y, 0, 0] }), WALK).codes.sort();
  assert.deepEqual(held(0, -1), ["KeyW"]);
  assert.deepEqual(held(0.2, -0.9), ["KeyW"]);
  assert.deepEqual(held(0.7, -0.7), ["KeyD", "KeyW"]);
  assert.deepEqual(held(-0.7, 0.7), ["KeyA", "KeyS"]);
  assert.deepEqual(held(0.1, 0.1), []);
});

test("buttons follow the places of the controls", () => {
  const held = (controls, ...pressed) => read(pad({ pressed }), controls).codes;
  assert.deepEqual(held(WALK, 12, 15), ["KeyW", "KeyD"]); // directional pad
  assert.deepEqual(held(WALK, 3), ["KeyI"]); // Y: the second group
  assert.deepEqual(held(RUN, 3, 0), ["KeyW", "KeyS"]); // the only group
  assert.deepEqual(held(RUN, 4), ["KeyZ"]);
  assert.deepEqual(held(RUN, 5), ["KeyC"]);
  assert.deepEqual(held(WALK, 4, 5), []); // no such places
  assert.deepEqual(read(pad({ values: { 7: 0.8, 6: 0.1 } }), RUN).codes, ["KeyW"]); // triggers
  assert.deepEqual(places(RUN).length, 1);
});

test("the right stick looks, Start is told", () => {
  const { look, start } = read(pad({ axes: [0, 0, -1, -1], pressed: [9] }), WALK);
  assert.ok(look[0] < -0.7 && look[1] > 0.7 && start);
  assert.deepEqual(read({ axes: [0, 1], buttons: [] }, WALK), { codes: ["KeyS"], look: [0, 0], start: false });
});
