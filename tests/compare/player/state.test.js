import assert from "node:assert/strict";
import { test } from "node:test";

import { clampZoom, fromText, initial, toText } from "../../../mgdemo/compare/player/state.js";

test("a link says all, and nothing that is as it begins", () => {
  assert.equal(toText(initial()), "");
  const state = {
    row: 2,
    frame: 120,
    view: { kind: "wipe", a: 1, b: 3, gain: 4, wipe: 0.25 },
    loop: { from: 10, to: 40 },
    speed: 0.25,
    zoom: { scale: 2.5, x: 0.5, y: -0.25 },
    names: true,
    keys: true,
    curve: "color drift",
  };
  assert.deepEqual(fromText(`#${toText(state)}`), state);
  const difference = { ...state, row: -1, view: { kind: "difference", a: 0, b: 1, gain: 8, wipe: 0.5 } };
  assert.deepEqual(fromText(toText(difference)), difference);
});

test("what a link says wrongly is as it begins", () => {
  const wrong = "#row=x&frame=-3&view=<script>&pair=9&loop=40-10&speed=99&zoom=NaN_1_2&names=yes&gain=1e9";
  assert.deepEqual(fromText(wrong), initial());
  assert.deepEqual(fromText("frame=1e99&row=0&speed=Infinity"), initial());
});

test("what is enlarged stays within its frame", () => {
  assert.deepEqual(clampZoom({ scale: 2, x: 9, y: -9 }), { scale: 2, x: 0.5, y: -0.5 });
  assert.deepEqual(clampZoom({ scale: 0.2, x: 1, y: 1 }), { scale: 1, x: 0, y: 0 });
});
