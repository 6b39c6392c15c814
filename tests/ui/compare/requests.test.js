import assert from "node:assert/strict";
import { test } from "node:test";

import { answer, newElement } from "./fake_page.js";
import { ask } from "../../../mgdemo/ui/compare/ask.js";
import { Ballots } from "../../../mgdemo/ui/compare/ballots.js";
import { Files } from "../../../mgdemo/ui/compare/files.js";

const WAIT = "Too many requests: wait a few seconds.";
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the server's own sentence is told, and one of ours where it has none", async () => {
  const trouble = async (status, text) => {
    answer(status, text);
    return ask("x").catch((error) => error.message);
  };
  answer(200, '{"pairs": 3}');
  assert.deepEqual(await ask("x"), { pairs: 3 });
  assert.equal(await trouble(409, '{"error": "A vote is a JSON object."}'), "A vote is a JSON object.");
  assert.equal(await trouble(429, WAIT), WAIT);
  const unable = "The server cannot answer now: try again in a minute.";
  for (const text of ["", "Internal Server Error", "<html>Bad gateway.</html>", '{"detail": "Not Found"}'])
    assert.equal(await trouble(502, text), unable);
  assert.equal(await trouble(200, "no JSON"), unable);
  globalThis.fetch = () => Promise.reject(new TypeError("fetch failed"));
  assert.equal(await ask("x").catch((error) => error.message), "The server cannot be reached: try again.");
});

test("a file that the gate refuses is told in its words", async () => {
  const said = [];
  const files = new Files(newElement(), (text) => said.push(text));
  answer(429, WAIT);
  files.buttons[0].click();
  await settled();
  assert.equal(said.at(-1), WAIT);
  assert.equal(files.buttons[0].ariaBusy, "false");
});

test("a pair that could not be drawn can be asked for again", async () => {
  const said = [];
  const ballots = new Ballots(newElement(), (text) => said.push(text));
  answer(429, WAIT);
  ballots.show("g");
  await settled();
  assert.deepEqual([said, ballots.next.hidden, ballots.next.textContent], [[WAIT], false, "Try again"]);
  answer(200, '{"ballot": null, "view": null, "voted": 0, "pairs": 0}');
  ballots.next.click();
  await settled();
  assert.equal(ballots.words.textContent, "There are no two films to vote on yet.");
  assert.ok(ballots.next.hidden);
});
