import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Events } from "../../../mgdemo/ui/player/events.js";

/** The events of a page, what it asks Python for, and what comes of that. */
function stage(t) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const asked = [];
  const heard = [];
  const gradio = { trigger: (event) => asked.push(event), props: /** @type {any} */ ({}), options: { name: "play" } };
  const events = new Events(gradio, ({ type }) => heard.push(type));
  const answer = (fields) => {
    gradio.props.session = fields;
    events.onanswer();
  };
  return { events, asked, heard, answer, wait: (ms) => mock.timers.tick(ms) };
}

test("an event without an answer is given up; an answer is heard once", (t) => {
  const { events, heard, answer, wait } = stage(t);
  events.ask("start");
  wait(20_000);
  assert.deepEqual(heard, ["timeout"]);
  events.ask("start");
  answer({ id: "1" });
  answer({ id: "1" });
  wait(200_000);
  assert.deepEqual(heard, ["timeout", "answered"]);
});

test("the page waits longer for a film than the server does at once, and asks once at a time", (t) => {
  const { events, asked, heard, answer, wait } = stage(t);
  events.ask("stop", { token: "t" });
  wait(50_000);
  events.ask("stop", { token: "t" });
  assert.deepEqual([asked, heard], [["stop"], []]);
  answer({ id: "1", saving: true });
  events.ask("stop", { token: "t" });
  wait(50_000);
  assert.deepEqual([asked, heard], [["stop", "stop"], ["answered"]]);
  wait(10_000);
  events.ask("stop", { token: "t" });
  assert.deepEqual([asked.length, heard], [3, ["answered", "timeout"]]);
});

test("to show a film is not waited for", (t) => {
  const { events, asked, heard, wait } = stage(t);
  events.ask("finished", { token: "t" });
  wait(200_000);
  assert.deepEqual([asked, heard], [["finished"], []]);
});
