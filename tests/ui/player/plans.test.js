import assert from "node:assert/strict";
import { test } from "node:test";

import { Plans } from "../../../mgdemo/ui/compare/plans.js";

const plan = (choice, more = {}) => ({ summary: "", problem: "", lost: [], choice, ...more });
const opening = (choice) => plan(choice, { opening: true });
const REFUSED = plan("", { problem: "FP8 needs another GPU." });

function opened() {
  const asked = [];
  return { asked, plans: new Plans(opening(""), () => asked.push("again")) };
}

test("both answers to the opening are shown while nothing else is chosen", () => {
  const { plans, asked } = opened();
  assert.ok(plans.take(opening("a")) && plans.take({ ...opening("a"), summary: "2 s" }));
  assert.deepEqual([plans.current.summary, asked], ["2 s", []]);
});

test("an opening that is answered after a choice is not shown, and the choice is planned anew once", () => {
  const { plans, asked } = opened();
  assert.ok(plans.take(plan("b")));
  assert.ok(!plans.take(opening("a")) && !plans.take(opening("a")));
  assert.deepEqual([plans.current.choice, asked], ["b", ["again"]]);
  assert.ok(plans.take(opening("b")), "it knows of the choice");
});

test("nor after a choice that cannot be run, which stays", () => {
  const { plans, asked } = opened();
  plans.take(opening("a"));
  assert.ok(plans.take(REFUSED) && !plans.take(opening("a")));
  assert.deepEqual([plans.current, asked], [REFUSED, []]);
  assert.ok(plans.take(plan("c")));
});
