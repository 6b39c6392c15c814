import assert from "node:assert/strict";
import { test } from "node:test";

import { path } from "../../../mgdemo/compare/player/curve_chart.js";
import { groups, heldWords } from "../../../mgdemo/compare/player/lanes.js";
import { arrange } from "../../../mgdemo/compare/player/layout.js";
import { NotAFilm, readIndex } from "../../../mgdemo/compare/player/mp4.js";
import { zoomAt } from "../../../mgdemo/compare/player/pointer.js";
import { commandOf, taken } from "../../../mgdemo/compare/player/shortcuts.js";

test("cells are stacked on a phone, and all in sight elsewhere", () => {
  assert.equal(arrange(6, 344, 500, 1.8).columns, 1);
  for (const [width, height] of [[800, 500], [1280, 560], [1920, 670], [3840, 1300]])
    for (let count = 1; count <= 6; count++) {
      const { columns, width: size } = arrange(count, width, height, 1.8);
      const rows = Math.ceil(count / columns);
      assert.ok(columns * size + 12 * (columns - 1) <= width + 1, `${count} in ${width}: too wide`);
      assert.ok(rows * (size / 1.8 + 40) + 12 * (rows - 1) <= height + 1 || size <= 120, `${count} in ${width}x${height}: too high`);
    }
});

test("columns that hold the same share their lanes", () => {
  const lane = (spans) => ({ control: "forward", label: "W", hint: "Forward", lost: false, spans });
  const cell = (...lanes) => /** @type {any} */ ({ lanes });
  const found = groups([cell(lane([[0, 9]])), cell(lane([[0, 8]])), cell(lane([[0, 9]]))]);
  assert.deepEqual(found.map(({ columns }) => columns), [[0, 2], [1]]);
});

test("what is held is said, and what is lost", () => {
  const lanes = [
    { control: "forward", label: "W", hint: "Forward", lost: false, spans: [[0, 10]] },
    { control: "look_up", label: "I", hint: "Look up", lost: true, spans: [[5, 10]] },
  ];
  assert.equal(heldWords(/** @type {any} */ (lanes), 4), "Forward");
  assert.equal(heldWords(/** @type {any} */ (lanes), 9), "Forward, Look up (no counterpart)");
  assert.equal(heldWords(/** @type {any} */ (lanes), 10), "nothing held");
});

test("a curve is interrupted where nothing was measured, and stays in its box", () => {
  const curve = { name: "x", words: "", low: 0, high: 1, least: null, most: null, values: [0, 1, null, 7, null] };
  assert.equal(path(curve), "M0.5 97L1.5 3M3.5 3h.01");
});

test("the point under the pointer stays when it is enlarged", () => {
  const whole = { scale: 1, x: 0, y: 0 };
  const { scale, x } = zoomAt(whole, 2, 0.25, 0);
  assert.equal(scale, 2);
  assert.equal((0.25 - x) / scale, 0.25, "the same part of the picture lies there");
  assert.deepEqual(zoomAt(zoomAt(whole, 4, 0.4, 0.4), 1 / 16, 0, 0), whole);
});

test("keys mean one thing, and fields keep theirs", () => {
  assert.equal(commandOf({ key: "," }), "back");
  assert.equal(commandOf({ key: "W" }), "wipe");
  assert.equal(commandOf({ key: "3" }), "mark 3");
  assert.equal(commandOf({ key: "f" }), "");
  assert.equal(commandOf({ key: "s", ctrlKey: true }), "");
  assert.equal(commandOf({ key: "toString" }), "");
  const at = (tagName, type) => /** @type {any} */ ({ tagName, type });
  assert.ok(taken(at("SELECT"), ","));
  assert.ok(taken(at("INPUT", "text"), ","));
  assert.ok(taken(at("INPUT", "range"), "ArrowLeft") && !taken(at("INPUT", "range"), ","));
  assert.ok(taken(at("BUTTON"), " ") && !taken(at("BUTTON"), "."));
  assert.ok(!taken(at("SECTION"), " "));
});

test("what is no film says so", () => {
  const box = (type, ...content) => {
    const inside = Uint8Array.from(content.flatMap((part) => [...part]));
    const size = 8 + inside.length;
    return Uint8Array.from([size >> 24, size >> 16, size >> 8, size, ...new TextEncoder().encode(type), ...inside]);
  };
  const cut = box("moov", box("trak", box("mdia", new Uint8Array(4))));
  const endless = Uint8Array.from([255, 255, 255, 255, ...new TextEncoder().encode("moov")]);
  for (const bytes of [new Uint8Array(0), new Uint8Array(64), box("ftyp"), box("moov"), cut, endless])
    assert.throws(() => readIndex(bytes.slice().buffer), NotAFilm);
});
