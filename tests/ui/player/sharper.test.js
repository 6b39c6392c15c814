import assert from "node:assert/strict";
import { test } from "node:test";

import { sizeFor } from "../../../mgdemo/ui/player/sharper.js";

const SMALL = { width: 256, height: 144 };
const box = (width, height) => ({ width, height });

test("a picture is drawn in the pixels of the screen", () => {
  assert.deepEqual(sizeFor(SMALL, box(840, 472), Infinity), box(840, 472));
  assert.deepEqual(sizeFor(SMALL, box(2520, 1417), 10), box(2520, 1417)); // a screen of high density
  assert.deepEqual(sizeFor(box(640, 352), box(840, 462), 1), box(840, 462));
});

test("nothing is drawn where nothing is enlarged, or nothing is seen", () => {
  assert.equal(sizeFor(SMALL, box(256, 144), Infinity), null);
  assert.equal(sizeFor(box(640, 352), box(360, 198), Infinity), null);
  assert.equal(sizeFor(SMALL, box(0, 0), Infinity), null);
});

test("a machine that cannot do as much draws a smaller picture, of the same shape", () => {
  const { width, height } = sizeFor(SMALL, box(2520, 1417), 1);
  assert.ok(width * height <= 1.001e6 && width * height > 0.99e6);
  assert.ok(Math.abs(width / height - 2520 / 1417) < 0.005);
});

test("and one that can do next to nothing leaves it to the browser", () => {
  assert.equal(sizeFor(SMALL, box(840, 472), 0.05), null);
  assert.equal(sizeFor(SMALL, box(840, 472), 0), null);
  assert.equal(sizeFor(SMALL, box(840, 472), NaN), null); // nobody knows
});
