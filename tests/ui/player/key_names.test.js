import assert from "node:assert/strict";
import { test } from "node:test";

import { KeyNames } from "../../../mgdemo/ui/player/key_names.js";

test("without knowledge the names are those of the letters' usual places", () => {
  const names = new KeyNames();
  assert.deepEqual(["KeyW", "ArrowUp", "Space", "Digit1", "Numpad4", "ShiftLeft"].map((code) => names.name(code)), [
    "W",
    "↑",
    "Space",
    "1",
    "Num 4",
    "Shift",
  ]);
  assert.equal(names.spoken("ArrowUp"), "arrow up");
});

test("one press on a French keyboard names all its letters", () => {
  const names = new KeyNames();
  assert.ok(names.learn("KeyQ", "a"));
  assert.deepEqual(["KeyW", "KeyA", "KeyS", "KeyD", "KeyZ"].map((code) => names.name(code)), ["Z", "Q", "S", "D", "W"]);
});

test("Dvorak and a keyboard of no known layout", () => {
  const dvorak = new KeyNames();
  dvorak.learn("KeyS", "o");
  assert.equal(dvorak.name("KeyW"), ",");
  assert.equal(dvorak.name("KeyP"), "L");
  const russian = new KeyNames();
  assert.ok(russian.learn("KeyW", "ц"));
  assert.equal(russian.name("KeyW"), "Ц");
  assert.equal(russian.name("KeyS"), "S");
});

test("a letter that contradicts what was learned tells of another layout", () => {
  const names = new KeyNames();
  names.learn("KeyQ", "a");
  assert.ok(names.learn("KeyW", "w"));
  assert.ok(names.learn("KeyQ", "q"));
  assert.deepEqual(["KeyQ", "KeyW", "KeyA"].map((code) => names.name(code)), ["Q", "W", "A"]);
  names.learn("KeyA", "q"); // which was elsewhere
  assert.deepEqual(["KeyQ", "KeyW", "KeyA"].map((code) => names.name(code)), ["A", "Z", "Q"]);
});

test("what the browser tells goes before a guess, and what was pressed before both", () => {
  const names = new KeyNames();
  names.told.set("KeyW", "z");
  assert.equal(names.name("KeyW"), "Z");
  names.learn("KeyW", ",");
  assert.equal(names.name("KeyW"), ",");
});

test("keys without a letter teach nothing", () => {
  const names = new KeyNames({ KeyQ: 5, KeyW: "long" });
  for (const [code, key] of [["KeyQ", "Dead"], ["Space", " "], ["", "a"], ["ArrowUp", "ArrowUp"], ["KeyQ", undefined]])
    assert.ok(!names.learn(code, key), code);
  assert.equal(names.learned.size, 0);
  names.learn("KeyA", "Q");
  assert.ok(!names.learn("KeyA", "q"), "nothing new");
  assert.deepEqual([...new KeyNames(Object.fromEntries(names.learned)).learned], [["KeyA", "q"]]);
});
