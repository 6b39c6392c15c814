import assert from "node:assert/strict";
import { test } from "node:test";

import { kindOf, send, sort } from "../../../mgdemo/ui/player/files.js";
import { MAX_UPLOAD_BYTES } from "../../../mgdemo/ui/player/protocol.js";

const file = (name, type) => ({ name, type });

test("files are known by their names, pictures by their type, too", () => {
  for (const name of ["a.png", "b.JPG", "c.jfif", "d.heic", "e.avif", "f.TIFF", "g.tif", "h.webp", "i.heif"])
    assert.equal(kindOf(file(name)), "picture", name);
  assert.equal(kindOf(file("picture", "image/x-unknown")), "picture");
  assert.equal(kindOf(file("a.yaml")), "scenario");
  assert.equal(kindOf(file("a.YML", "text/plain")), "scenario");
  assert.equal(kindOf(file("a.mp4", "video/mp4")), "film");
  for (const name of ["tax.pdf", "yaml", "a.png.exe", ""]) assert.equal(kindOf(file(name)), null, name);
});

test("a scenario and its picture, dropped together, belong together", () => {
  const [picture, scenario, text] = [file("crossing.png"), file("walk.yaml"), file("notes.txt")];
  assert.deepEqual(sort([picture, scenario]), { replay: scenario, picture, others: [], unknown: null });
  assert.deepEqual(sort([text, scenario, picture]).others, [text]);
});

test("of several of a kind one is opened and the others are named", () => {
  const [a, b, text] = [file("a.png"), file("b.png"), file("notes.txt")];
  assert.deepEqual(sort([a, b]), { replay: null, picture: a, others: [b], unknown: null });
  assert.deepEqual(sort([text]), { replay: null, picture: null, others: [], unknown: text });
  assert.deepEqual(sort([]), { replay: null, picture: null, others: [], unknown: null });
});

test("of a film only the tags travel, whatever its size", async () => {
  let sent = null;
  const upload = async (file) => {
    sent = file;
    return { path: "/there" };
  };
  const box = (type, size) => [...new Uint8Array([0, 0, 0, size]), ...new TextEncoder().encode(type)];
  const film = new File([Uint8Array.from([...box("moov", 8), ...box("free", 8)]), new Uint8Array(41e6).fill(0)], "long.mp4");
  assert.deepEqual(await send(film, upload), { name: "long.mp4", path: "/there" });
  assert.equal(await sent.text(), "{}");
  await send(new File(["no film"], "broken.mp4"), upload);
  assert.equal(await sent.text(), "null");
  assert.match(sent.name, /\.json$/);
});

test("what cannot be sent says why", async () => {
  const broken = async () => {
    throw new Error("offline");
  };
  assert.deepEqual(await send(new File(["x"], "a.png"), broken), { name: "a.png", problem: "connection" });
  const large = { name: "a.png", size: MAX_UPLOAD_BYTES + 1 };
  assert.deepEqual(await send(large, broken), { name: "a.png", problem: "size" });
});
