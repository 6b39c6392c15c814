import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const kept = new Map();
let full = false;
globalThis.window = /** @type {any} */ ({ addEventListener() {} });
globalThis.localStorage = /** @type {any} */ ({
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => {
    if (full) throw new Error("QuotaExceededError");
    kept.set(key, value);
  },
});
const { ownScenarios } = await import("../../../mgdemo/ui/scenarios/own.js");
const WALK = { title: "Walk", mode: "universal", detail: "2.0 s", text: "title: Walk\n", picture: null };
const titles = () => ownScenarios.list().map(({ title }) => title);

beforeEach(() => {
  kept.clear();
  full = false;
  ownScenarios.open(null);
});

test("another scenario is another entry, the newest first; the open one is kept under its id", () => {
  assert.ok(ownScenarios.save(WALK));
  const first = ownScenarios.current;
  ownScenarios.open(null);
  assert.ok(ownScenarios.save({ ...WALK, title: "Run" }));
  assert.deepEqual(titles(), ["Run", "Walk"]);
  ownScenarios.open(first);
  assert.ok(ownScenarios.save({ ...WALK, title: "Walk on", text: "title: Walk on\n" }));
  assert.deepEqual(titles(), ["Walk on", "Run"]);
  assert.equal(ownScenarios.get(first).text, "title: Walk on\n");
});

test("what is removed and open stays open as an unsaved one", () => {
  ownScenarios.save(WALK);
  ownScenarios.remove(ownScenarios.current);
  assert.deepEqual(titles(), []);
  assert.equal(ownScenarios.current, null);
});

test("a browser that keeps nothing more says so, and what it keeps stays", () => {
  ownScenarios.save(WALK);
  ownScenarios.open(null);
  full = true;
  assert.equal(ownScenarios.save({ ...WALK, title: "Run" }), false);
  assert.deepEqual(titles(), ["Walk"]);
});

test("what others wrote into the storage is no scenario", () => {
  kept.set("mgdemo.scenarios", JSON.stringify({ items: [null, 3, { id: "a", title: "b" }, { ...WALK, id: "c" }] }));
  assert.deepEqual(titles(), ["Walk"]);
  kept.set("mgdemo.scenarios", "[1");
  assert.deepEqual(titles(), []);
});
