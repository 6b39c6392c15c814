import assert from "node:assert/strict";
import { test } from "node:test";

import { Bindings } from "../../../mgdemo/ui/player/bindings.js";

const control = (name, code, ...aliases) => ({ name, code, aliases, hint: name });
const MODE = {
  name: "universal",
  controls: [control("forward", "KeyW"), control("left", "KeyA"), control("look_up", "KeyI", "ArrowUp")],
};
const [FORWARD, LEFT, UP] = MODE.controls;

test("as it comes, keys and aliases lead to the control's own code", () => {
  assert.deepEqual([...new Bindings().map(MODE)], [["KeyW", "KeyW"], ["KeyA", "KeyA"], ["KeyI", "KeyI"], ["ArrowUp", "KeyI"]]);
});

test("a free key is given, and the one before is free", () => {
  const bindings = new Bindings();
  assert.deepEqual(bindings.assign(MODE, FORWARD, "KeyE"), { lost: undefined });
  const keys = bindings.map(MODE);
  assert.equal(keys.get("KeyE"), "KeyW", "the server knows a control by its own code");
  assert.ok(!keys.has("KeyW"));
  assert.ok(bindings.changed(MODE));
  assert.ok(!bindings.changed({ ...MODE, name: "templerun" }), "each mode has its own");
});

test("a key that another control has is exchanged, so that none is without a key", () => {
  const bindings = new Bindings();
  assert.equal(bindings.assign(MODE, FORWARD, "KeyA").swapped, LEFT);
  assert.deepEqual([bindings.first(MODE, FORWARD), bindings.first(MODE, LEFT)], ["KeyA", "KeyW"]);
});

test("a further key of another control is taken from it", () => {
  const bindings = new Bindings();
  assert.equal(bindings.assign(MODE, FORWARD, "ArrowUp").lost, UP);
  assert.deepEqual(bindings.keys(MODE, UP), ["KeyI"]);
  assert.equal(bindings.map(MODE).get("ArrowUp"), "KeyW");
});

test("keys of the player and of the browser are refused", () => {
  const bindings = new Bindings();
  assert.equal(bindings.assign(MODE, FORWARD, "KeyP").problem, "pauses");
  for (const code of ["", "Escape", "MetaLeft", "AltRight", "F5", "Tab", "Unidentified"])
    assert.ok(bindings.assign(MODE, FORWARD, code).problem, code);
  assert.ok(!bindings.changed(MODE));
});

test("what was kept comes back, damaged or not, and can be reset", () => {
  const own = {};
  new Bindings(own).assign(MODE, FORWARD, "Space");
  const bindings = new Bindings(JSON.parse(JSON.stringify(own)));
  assert.equal(bindings.map(MODE).get("Space"), "KeyW");
  bindings.reset(MODE);
  assert.equal(bindings.first(MODE, FORWARD), "KeyW");
  assert.equal(new Bindings({ universal: { forward: 3 } }).first(MODE, FORWARD), "KeyW");
  assert.equal(new Bindings({ universal: "nonsense" }).first(MODE, FORWARD), "KeyW");
});
