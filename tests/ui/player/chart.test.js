import assert from "node:assert/strict";
import { test } from "node:test";

import { heldAt, nextChange, wordsAt } from "../../../mgdemo/ui/scenarios/chart.js";

const LANES = [
  { label: "Forward", starts: [0, 50], ends: [20, 60] },
  { label: "Look left", starts: [10], ends: [55] },
];

test("what is held is what the bars cover, their ends excluded", () => {
  assert.deepEqual(heldAt(LANES, 0), ["Forward"]);
  assert.deepEqual(heldAt(LANES, 10), ["Forward", "Look left"]);
  assert.deepEqual(heldAt(LANES, 20), ["Look left"]);
  assert.deepEqual(heldAt(LANES, 54), ["Forward", "Look left"]);
  assert.deepEqual(heldAt(LANES, 60), []);
  assert.deepEqual(heldAt([], 3), []);
});

test("the next change is the nearest edge on that side, or the end", () => {
  assert.equal(nextChange(LANES, 0, 1, 99), 10);
  assert.equal(nextChange(LANES, 20, 1, 99), 50);
  assert.equal(nextChange(LANES, 60, 1, 99), 99);
  assert.equal(nextChange(LANES, 50, -1, 99), 20);
  assert.equal(nextChange(LANES, 5, -1, 99), 0);
  assert.equal(nextChange([{ label: "Jump", starts: [0], ends: [100] }], 3, 1, 99), 99);
});

test("a moment in words", () => {
  assert.equal(wordsAt(81, 25, ["Forward", "Left"]), "3.24 s, frame 81: Forward, Left");
  assert.equal(wordsAt(0, 25, []), "0.00 s, frame 0: nothing held");
});
