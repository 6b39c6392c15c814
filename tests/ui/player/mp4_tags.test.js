import assert from "node:assert/strict";
import { test } from "node:test";

import { NotMp4, readTags } from "../../../mgdemo/ui/player/mp4_tags.js";

const bytes = (text) => new TextEncoder().encode(text);
const u32 = (value) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const box = (type, ...content) => {
  const inside = join(...content);
  return join(u32(8 + inside.length), bytes(type), inside);
};
const longBox = (type, content) => join(u32(1), bytes(type), u32(0), u32(16 + content.length), content);

/** What FFmpeg writes with movflags=use_metadata_tags. */
function meta(tags, kind = 1) {
  const names = Object.keys(tags).map((name) => join(u32(8 + bytes(name).length), bytes("mdta"), bytes(name)));
  const items = Object.values(tags).map((text, i) => {
    const data = box("data", u32(kind), u32(0), typeof text === "string" ? bytes(text) : text);
    return join(u32(8 + data.length), u32(i + 1), data);
  });
  const keys = box("keys", u32(0), u32(names.length), ...names);
  return box("meta", u32(0), box("hdlr", u32(0), u32(0), bytes("mdta"), u32(0), u32(0), u32(0), [0]), keys, box("ilst", ...items));
}
const film = (...inMoov) =>
  new Blob([box("ftyp", bytes("isom")), box("moov", box("mvhd", new Uint8Array(100)), ...inMoov), box("mdat", new Uint8Array(5000))]);

const TAGS = { title: "Über & <b>", checkpoint: "universal-tiny", scenario: "title: x\nmode: universal\n", empty: "" };

test("all tags of a film of ours", async () => {
  assert.deepEqual(await readTags(film(box("trak", new Uint8Array(900)), box("udta", meta(TAGS)))), TAGS);
});

test("the index may be last, behind gigabytes that are not read", async () => {
  const index = box("moov", box("udta", meta(TAGS)));
  const head = join(box("ftyp", bytes("isom")), u32(1), bytes("mdat"), u32(5), u32(16)); // 20 GB
  const at = head.length - 16 + 5 * 2 ** 32 + 16;
  const read = [];
  const file = {
    size: at + index.length,
    slice(from, to) {
      read.push(to - from);
      const inside = from >= at ? index.slice(from - at, to - at) : head.slice(from, to);
      return { arrayBuffer: async () => inside.slice().buffer };
    },
  };
  assert.deepEqual(await readTags(file), TAGS);
  assert.ok(read.reduce((a, b) => a + b) < 2000);
});

test("large tags, 64-bit sizes, and QuickTime's way", async () => {
  const large = { start_image: "A".repeat(3_000_000) };
  assert.deepEqual(await readTags(film(longBox("udta", meta(large)))), large);
  const quicktime = meta(TAGS);
  const plain = join(u32(quicktime.length - 4), bytes("meta"), quicktime.slice(12));
  assert.deepEqual(await readTags(film(plain)), TAGS);
});

test("films without tags of ours have none", async () => {
  assert.deepEqual(await readTags(film()), {});
  assert.deepEqual(await readTags(film(box("udta", box("name", bytes("x"))))), {});
  assert.deepEqual(await readTags(film(box("udta", meta(TAGS, 21)))), {}, "numbers are not text");
});

test("text that is not UTF-8 is read with marks in its place", async () => {
  const { scenario } = await readTags(film(box("udta", meta({ scenario: Uint8Array.from([65, 0xff, 66]) }))));
  assert.equal(scenario, "A\ufffdB");
});

test("what is no film says so", async () => {
  const whole = await film(box("udta", meta(TAGS))).arrayBuffer();
  const endless = new Uint8Array(whole.slice(0));
  endless.set(u32(0xffffffff), 12);
  for (const data of [bytes(""), bytes("not a film at all, but some text"), new Uint8Array(64), endless])
    await assert.rejects(readTags(new Blob([data])), NotMp4);
  const index = new TextDecoder("latin1").decode(whole).indexOf("mdat") - 4;
  for (let length = 1; length < index; length++)
    await readTags(new Blob([whole.slice(0, length)])).then(
      () => assert.fail(`cut off after ${length}`),
      (error) => assert.ok(error instanceof NotMp4, `${length}: ${error}`),
    );
});
