import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { newElement, sockets } from "./fake_page.js";

const { mount } = await import("../../../mgdemo/ui/compare/compare.js");
const PLAN = { summary: "2 runs", problem: "", lost: [], choice: "{}" };
const TOTALS = { runs: 2, finished: 1, failed: 0, cancelled: 0, share: 0.5, fps: null, seconds_left: null };
const PROGRESS = { type: "progress", totals: TOTALS, over: false };
const JOB = { id: "1", grid: "g", token: "mine", fragment: "compare=g" };

/** The tab as Gradio shows it. */
function tab() {
  const root = newElement();
  const page = root.querySelector(".compare");
  const watched = {};
  const props = { plan: PLAN, job: null };
  const asked = [];
  mount(root, { props, watch: (name, then) => (watched[name] = then), trigger: (event) => asked.push(event) });
  return {
    asked,
    press: (name) => page.querySelector(`.${name}`).click(),
    answer: (job) => ((props.job = job), watched.job()),
    get phase() {
      return page.dataset.phase;
    },
    get said() {
      return page.querySelector(".message").textContent;
    },
  };
}

beforeEach(() => {
  sockets.length = 0;
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => mock.timers.reset());

test("a run that nobody answers can be asked for again, and a late answer still counts", () => {
  const shown = tab();
  shown.press("run");
  shown.press("run");
  assert.deepEqual([shown.asked, shown.phase], [["run"], "starting"]);
  mock.timers.tick(600_000);
  assert.notEqual(shown.phase, "starting");
  assert.match(shown.said, /press Run again/);
  shown.press("run");
  assert.deepEqual([shown.asked, shown.phase], [["run", "run"], "starting"]);
  shown.answer(JOB);
  sockets[0].accept();
  sockets[0].bring(PROGRESS);
  assert.deepEqual([shown.phase, shown.said], ["running", "1 of 2 runs finished."]);
});

test("an answer in time is not overtaken by patience", () => {
  const shown = tab();
  shown.press("run");
  shown.answer({ id: "1", error: "Too many comparisons are running here." });
  mock.timers.tick(600_000);
  assert.equal(shown.said, "Too many comparisons are running here.");
});

test("Cancel says whether it has been sent, and is once the connection is back", () => {
  const shown = tab();
  shown.answer(JOB);
  sockets[0].accept();
  sockets[0].bring(PROGRESS);
  sockets[0].drop(1006);
  assert.match(shown.said, /connection .* was lost/);
  shown.press("cancel");
  assert.match(shown.said, /as soon as/);
  sockets[0].sent.length = 0;
  mock.timers.tick(300);
  sockets[1].drop(1006);
  assert.match(shown.said, /as soon as/);
  mock.timers.tick(600);
  sockets[2].accept();
  sockets[2].bring(PROGRESS);
  assert.deepEqual(sockets[2].sent.map(({ type }) => type), ["follow", "cancel"]);
  assert.match(shown.said, /^Canceling/);
  const totals = { ...TOTALS, cancelled: 1 };
  sockets[2].bring({ type: "done", totals, over: true, text: "" });
  assert.deepEqual([shown.phase, shown.said], ["ended", "1 of 2 runs finished, 1 not made. Run makes the rest."]);
});

test("what the server says at the end stays to be read", () => {
  const shown = tab();
  shown.answer(JOB);
  sockets[0].accept();
  sockets[0].bring({ type: "done", totals: { ...TOTALS, finished: 2 }, over: true, text: "See the log." });
  assert.equal(shown.said, "2 runs finished. See the log.");
});
