/**
 * The tags of an mp4 film, read where the film is, so that a film of any size opens: only its tags travel.
 *
 * Boxes that matter: moov / udta / meta, and in it `keys` (the tags' names) and `ilst` (their texts, by the number
 * of the name). A box is its size (u32; 1: a u64 follows the type, 0: to the end), its type and its content.
 */

const MAX_META = 24 * 2 ** 20; // bytes: the start image's tag is the largest
const MAX_BOXES = 100_000; // side by side; a film that grew for hours has a few thousand
const TEXT = 1; // of a value: UTF-8

export class NotMp4 extends Error {}

const type = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));

/** The box that begins at `at`, which may not reach beyond `end`. @param {DataView} view of its first bytes */
function header(view, at, end) {
  if (view.byteLength < 8) throw new NotMp4("cut off");
  let size = view.getUint32(0);
  let head = 8;
  if (size === 1) {
    if (view.byteLength < 16) throw new NotMp4("cut off");
    size = Number(view.getBigUint64(8));
    head = 16;
  } else if (size === 0) size = end - at;
  if (size < head || at + size > end) throw new NotMp4("a box has no place");
  return { type: type(view, 4), from: at + head, to: at + size };
}

/** The first box of a type between two places of the file, or null. @param {Blob} file */
async function find(file, wanted, from, to) {
  for (let at = from, count = 0; at + 8 <= to; count++) {
    if (count > MAX_BOXES) throw new NotMp4("too many boxes");
    const bytes = await file.slice(at, Math.min(at + 16, to)).arrayBuffer();
    const box = header(new DataView(bytes), at, to);
    if (box.type === wanted) return box;
    at = box.to;
  }
  return null;
}

/** All boxes in memory between two places. @param {DataView} view */
function* boxes(view, from, to) {
  for (let at = from; at + 8 <= to; ) {
    const box = header(new DataView(view.buffer, view.byteOffset + at, to - at), at, to);
    yield box;
    at = box.to;
  }
}

/** @param {DataView} view the content of `meta` @returns {Record<string, string>} */
function parse(view) {
  const end = view.byteLength;
  // QuickTime's has no version and flags in front.
  const start = end >= 8 && type(view, 4) === "hdlr" ? 0 : 4;
  const parts = Object.fromEntries([...boxes(view, start, end)].map((box) => [box.type, box]));
  const { keys, ilst } = parts;
  if (!keys || !ilst) return {};
  const text = (from, to) => new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + from, to - from));
  const names = [...boxes(view, keys.from + 8, keys.to)].map((box) => text(box.from, box.to));
  /** @type {Record<string, string>} */
  const tags = {};
  for (const item of boxes(view, ilst.from, ilst.to)) {
    const name = names[view.getUint32(item.from - 4) - 1];
    const data = [...boxes(view, item.from, item.to)].find((box) => box.type === "data");
    if (name === undefined || !data || data.to - data.from < 8 || view.getUint32(data.from) !== TEXT) continue;
    tags[name] = text(data.from + 8, data.to);
  }
  return tags;
}

/**
 * @param {Blob} file
 * @returns {Promise<Record<string, string>>} name → text; none, if it is a film of others
 * @throws {NotMp4}
 */
export async function readTags(file) {
  const moov = await find(file, "moov", 0, file.size);
  if (!moov) throw new NotMp4("no index");
  const udta = await find(file, "udta", moov.from, moov.to);
  const meta = (udta && (await find(file, "meta", udta.from, udta.to))) ?? (await find(file, "meta", moov.from, moov.to));
  if (!meta) return {};
  if (meta.to - meta.from > MAX_META) throw new NotMp4("tags without end");
  return parse(new DataView(await file.slice(meta.from, meta.to).arrayBuffer()));
}
