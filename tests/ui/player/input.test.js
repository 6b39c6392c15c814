import assert from "node:assert/strict";
import { test } from "node:test";

import { Held } from "../../../mgdemo/ui/player/held.js";
import { isTyping } from "../../../mgdemo/ui/player/input.js";

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

test("a finger that moves on tells it once", () => {
  const { held, seen } = recorder();
  held.press("KeyA", "pointer 1");
  held.move("KeyA", "KeyD", "pointer 1");
  held.press("KeyA", "KeyA");
  held.move("KeyD", "KeyA", "pointer 1");
  held.release("KeyA", "pointer 1");
  assert.deepEqual(seen, [["KeyA"], ["KeyD"], ["KeyD", "KeyA"], ["KeyA"]]);
});

const W = { code: "KeyW", key: "w" };
const DIGIT = { code: "Digit5", key: "5" };
const DOWN = { code: "ArrowDown", key: "ArrowDown" };
const SPACE = { code: "Space", key: " " };
const NUMBER = { tagName: "INPUT", type: "number" };
const LIST = { tagName: "INPUT", type: "text", readOnly: true };
const byKey = (tagName) => ({ tagName, matches: () => true });
const byClick = (tagName) => ({ tagName, matches: (selector) => selector !== ":focus-visible" });

test("text fields keep their keys, whether a session runs or not", () => {
  for (const target of [
    { tagName: "INPUT", type: "text" },
    { tagName: "TEXTAREA" },
    { tagName: "SELECT" },
    { tagName: "DIV", isContentEditable: true },
    { tagName: "BUTTON", closest: () => ({}) }, // asks for a key
  ])
    for (const playing of [true, false]) assert.ok(isTyping({ target, ...W }, playing), JSON.stringify(target));
});

test("while a session runs, only text is typing", () => {
  for (const [target, event, typing] of [
    [NUMBER, DIGIT, true],
    [NUMBER, { code: "Backspace", key: "Backspace" }, true],
    [NUMBER, DOWN, true],
    [NUMBER, W, false],
    [NUMBER, { code: "KeyP", key: "p" }, false],
    [NUMBER, SPACE, false],
    [LIST, W, false],
    [LIST, DOWN, false],
    [{ ...LIST, ariaExpanded: "true" }, DOWN, true],
    [{ ...LIST, ariaExpanded: "true" }, W, false],
    [{ tagName: "INPUT", type: "radio" }, DOWN, false],
    [{ tagName: "INPUT", type: "range" }, DOWN, true],
    [{ tagName: "INPUT", type: "range" }, W, false],
    [{ tagName: "BODY" }, W, false],
    [null, W, false],
  ])
    assert.equal(isTyping({ target, ...event }, true), typing, JSON.stringify([target, event]));
});

test("before a session every field keeps its keys", () => {
  assert.ok(isTyping({ target: NUMBER, ...W }, false));
  assert.ok(isTyping({ target: LIST, ...W }, false));
  assert.ok(!isTyping({ target: { tagName: "BUTTON" }, ...W }, false));
});

test("Space presses a button that was reached by key, and is free after a click", () => {
  assert.ok(isTyping({ target: byKey("BUTTON"), ...SPACE }, true));
  assert.ok(!isTyping({ target: byKey("BUTTON"), ...W }, true));
  assert.ok(!isTyping({ target: byClick("BUTTON"), ...SPACE }, true));
});
