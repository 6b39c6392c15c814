import assert from "node:assert/strict";
import { test } from "node:test";

import { Meter, median, words } from "../../../mgdemo/ui/player/stats.js";

const block = (node, input_seq, splice = null, more = {}) => ({
  ...{ node, parent: node - 1, block: node - 1, frames: 12, input_seq, splice, made_ms: 100, held: [] },
  timings: { dit: 60 + node, vae: 30 },
  ...more,
});

test("the median is the middle, and of nothing there is none", () => {
  assert.equal(median([]), null);
  assert.equal(median([10, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test("a press is measured up to the first picture of a block that obeys it", () => {
  const meter = new Meter(25);
  meter.input(1, 1000);
  meter.frame(20, block(2, 0), 1040);
  assert.equal(meter.summary(1100).latency_ms.last, null);
  meter.frame(21, block(3, 1), 1300);
  meter.frame(22, block(3, 1), 1340);
  assert.deepEqual(meter.summary(1400).latency_ms, { last: 300, median: 300, count: 1 });
});

test("a later input answers for the earlier ones that it replaced", () => {
  const meter = new Meter(25);
  meter.input(1, 1000);
  meter.input(2, 1100);
  meter.input(3, 1200);
  meter.frame(21, block(3, 2), 1300);
  assert.deepEqual(meter.latencies, [300, 200]);
  meter.frame(33, block(4, 9), 1500);
  assert.deepEqual(meter.latencies, [300, 200, 300]);
});

test("of a block made again only the frames from the splice on obey the new input", () => {
  const meter = new Meter(25);
  meter.input(5, 1000);
  meter.frame(24, block(3, 5, 25), 1040);
  assert.deepEqual(meter.latencies, []);
  meter.frame(25, block(3, 5, 25), 1080);
  assert.deepEqual(meter.latencies, [80]);
});

test("stalled is the time that the picture stood still beyond its frame, at the speed of the playback", () => {
  const meter = new Meter(25);
  let now = 0;
  for (let i = 0; i < 10; i++) meter.frame(i, undefined, (now += 40));
  assert.equal(meter.stalledMs, 0);
  meter.frame(10, undefined, (now += 240));
  assert.equal(meter.stalledMs, 200);
  assert.equal(meter.stalled, 200 / (9 * 40 + 240));
  meter.frame(11, undefined, (now += 100), 0.4); // slow, but even
  assert.equal(meter.stalledMs, 200);
});

test("a pause is neither stalled nor slow to answer", () => {
  const meter = new Meter(25);
  meter.frame(0, undefined, 0);
  meter.input(1, 10);
  meter.rest();
  meter.frame(1, block(1, 1), 60_000);
  assert.deepEqual([meter.stalledMs, meter.playedMs, meter.latencies], [0, 0, []]);
});

test("rates are of what was made and shown, stages are medians, regenerated blocks are counted apart", () => {
  const meter = new Meter(25);
  for (let i = 0; i < 6; i++) meter.block(block(i + 1, 0), 1000 + 480 * i, 50);
  meter.block(block(6, 1, 65), 3450, 50);
  for (let i = 0; i < 50; i++) meter.frame(i, undefined, 1000 + 40 * i);
  const summary = meter.summary(3450);
  assert.equal(Math.round(summary.frames_per_second_generated), 25);
  assert.equal(Math.round(summary.frames_per_second_displayed), 25);
  assert.equal(summary.blocks_regenerated, 1);
  assert.equal(summary.block, 5);
  assert.deepEqual(summary.stages_ms, { dit: 64, vae: 30, encode: null });
  assert.equal(meter.blocks.length, 7);
  assert.equal(meter.summary(60_000).frames_per_second_displayed, null);
});

test("the words name every figure, and say when the machine is slower than real time", () => {
  const rest = { buffer_ms: 41.6, speed: 0.625, slow: true, seed: 7, checkpoint: "universal-tiny", codec: "h264" };
  const text = words({ ...new Meter(25).summary(0), ...rest }).map((row) => row.join(": "));
  assert.ok(text.includes("Buffer: 42 ms"), text.join("\n"));
  assert.ok(text.includes("World: universal-tiny, seed 7"), text.join("\n"));
  assert.ok(text.some((row) => row.includes("slower than real time")), text.join("\n"));
});
