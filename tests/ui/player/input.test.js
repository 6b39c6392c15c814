import assert from "node:assert/strict";
import { test } from "node:test";

import { Held, keyMap, takesText } from "../../../mgdemo/ui/player/input.js";

function recorder() {
  const seen = [];
  return { held: new Held((codes) => seen.push(codes)), seen };
}

test("the whole held set is told at each change, in the order of pressing", () => {
  const { held, seen } = recorder();
  held.press("KeyW", "KeyW");
  held.press("KeyD", "KeyD");
  held.release("KeyW", "KeyW");
  assert.deepEqual(seen, [["KeyW"], ["KeyW", "KeyD"], ["KeyD"]]);
});

test("a control held twice is let go with the last one", () => {
  const { held, seen } = recorder();
  held.press("KeyW", "KeyW");
  held.press("KeyW", "pointer 1");
  held.release("KeyW", "KeyW");
  assert.deepEqual(held.codes, ["KeyW"]);
  held.release("KeyW", "pointer 1");
  assert.deepEqual(seen, [["KeyW"], []]);
});

test("a release of what is not held says nothing", () => {
  const { held, seen } = recorder();
  held.release("KeyW", "KeyW");
  held.press("KeyW", "KeyW");
  held.release("KeyW", "pointer 1");
  held.releaseAll();
  held.releaseAll();
  assert.deepEqual(seen, [["KeyW"], []]);
});

test("aliases lead to the control's own code", () => {
  const keys = keyMap([
    { code: "KeyI", aliases: ["ArrowUp"] },
    { code: "KeyW", aliases: [] },
  ]);
  assert.deepEqual([...keys], [["KeyI", "KeyI"], ["ArrowUp", "KeyI"], ["KeyW", "KeyW"]]);
});

test("text fields keep their keys, buttons and choices do not", () => {
  for (const target of [
    { tagName: "INPUT", type: "text" },
    { tagName: "INPUT", type: "number" },
    { tagName: "TEXTAREA" },
    { tagName: "SELECT" },
    { tagName: "DIV", isContentEditable: true },
  ])
    assert.ok(takesText(target), JSON.stringify(target));
  for (const target of [{ tagName: "INPUT", type: "radio" }, { tagName: "BUTTON" }, { tagName: "BODY" }, null])
    assert.ok(!takesText(target), JSON.stringify(target));
});
