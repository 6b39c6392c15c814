/**
 * The index of an mp4 film with one H.264 track: where each packet lies, and which picture it is.
 *
 * Boxes that matter: moov / trak / mdia / minf / stbl. A box is its size (u32; 1: a u64 follows the type, 0: to the
 * end), its type and its content.
 *
 * @typedef {{offset: number, size: number, key: boolean, frame: number}} Sample  a packet, in the order of decoding;
 *   frame: the number of its picture, in the order of showing
 * @typedef {{codec: string, description: Uint8Array, width: number, height: number, samples: Sample[]}} Index
 */

export class NotAFilm extends Error {}

/** The boxes directly inside a stretch of bytes. @param {DataView} view @param {number} from @param {number} to */
function* boxes(view, from, to) {
  for (let at = from; at + 8 <= to; ) {
    let size = view.getUint32(at);
    let head = 8;
    if (size === 1 && at + 16 <= to) {
      size = Number(view.getBigUint64(at + 8));
      head = 16;
    } else if (size === 0) size = to - at;
    if (size < head || at + size > to) throw new NotAFilm("a box is cut off");
    const type = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at + 4, 4));
    yield { type, from: at + head, to: at + size };
    at += size;
  }
}

/** The first box at the end of a path of types, or null. @param {DataView} view @param {string} path */
function find(view, path, from = 0, to = view.byteLength) {
  const [type, ...rest] = path.split("/");
  for (const box of boxes(view, from, to)) {
    if (box.type !== type) continue;
    const found = rest.length ? find(view, rest.join("/"), box.from, box.to) : box;
    if (found) return found;
  }
  return null;
}

/** @param {ArrayBuffer} bytes of a whole film @returns {Index} @throws {NotAFilm} */
export function readIndex(bytes) {
  const view = new DataView(bytes);
  try {
    return read(view);
  } catch (error) {
    throw error instanceof RangeError ? new NotAFilm("its index is cut off") : error;
  }
}

/** @param {DataView} view @returns {Index} */
function read(view) {
  const moov = find(view, "moov");
  if (!moov) throw new NotAFilm("no index");
  for (const trak of boxes(view, moov.from, moov.to)) {
    if (trak.type !== "trak") continue;
    const stbl = find(view, "mdia/minf/stbl", trak.from, trak.to);
    const stsd = stbl && find(view, "stsd", stbl.from, stbl.to);
    const avc1 = stsd && find(view, "avc1", stsd.from + 8, stsd.to);
    if (avc1) return { ...format(view, avc1), samples: samples(view, stbl) };
  }
  throw new NotAFilm("no H.264 track");
}

/** @param {DataView} view @param {{from: number, to: number}} avc1 */
function format(view, avc1) {
  const avcC = find(view, "avcC", avc1.from + 78, avc1.to);
  if (!avcC) throw new NotAFilm("no decoder settings");
  const description = new Uint8Array(view.buffer, view.byteOffset + avcC.from, avcC.to - avcC.from);
  const hex = [...description.subarray(1, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    codec: `avc1.${hex.toUpperCase()}`,
    description,
    width: view.getUint16(avc1.from + 24),
    height: view.getUint16(avc1.from + 26),
  };
}

/** @param {DataView} view @param {{from: number, to: number}} stbl @returns {Sample[]} */
function samples(view, stbl) {
  /** @param {string} type @param {number} width of an entry @param {boolean} [needed] */
  const table = (type, width, needed) => {
    const box = find(view, type, stbl.from, stbl.to);
    if (!box && needed) throw new NotAFilm(`no ${type}`);
    const count = box ? view.getUint32(box.from + 4) : 0;
    if (box && box.from + 8 + count * width > box.to) throw new NotAFilm(`${type} is cut off`);
    return { count, at: (i, field = 0) => view.getUint32(box.from + 8 + i * width + field), box };
  };
  const stsz = find(view, "stsz", stbl.from, stbl.to);
  if (!stsz) throw new NotAFilm("no stsz");
  const [fixed, count] = [view.getUint32(stsz.from + 4), view.getUint32(stsz.from + 8)];
  if (!fixed && stsz.from + 12 + count * 4 > stsz.to) throw new NotAFilm("stsz is cut off");
  const offsets = places(view, stbl, table, count, (i) => fixed || view.getUint32(stsz.from + 12 + i * 4));
  const keys = table("stss", 4);
  const isKey = new Set(Array.from({ length: keys.count }, (_, i) => keys.at(i) - 1));
  const found = offsets.map(({ offset, size }, i) => ({ offset, size, key: !keys.box || isKey.has(i), frame: i }));
  const shown = times(table("stts", 8, true), table("ctts", 8), count);
  shown.map((time, i) => ({ time, i })).sort((a, b) => a.time - b.time || a.i - b.i).forEach(({ i }, frame) => (found[i].frame = frame)); // prettier-ignore
  return found;
}

/** Where each packet lies. @returns {{offset: number, size: number}[]} */
function places(view, stbl, table, count, sizeOf) {
  const large = find(view, "co64", stbl.from, stbl.to);
  const chunks = table(large ? "co64" : "stco", large ? 8 : 4, true);
  const groups = table("stsc", 12, true);
  const found = [];
  for (let chunk = 0, group = 0; chunk < chunks.count && found.length < count; chunk++) {
    while (group + 1 < groups.count && groups.at(group + 1) <= chunk + 1) group++;
    let offset = large ? chunks.at(chunk) * 2 ** 32 + chunks.at(chunk, 4) : chunks.at(chunk);
    for (let i = 0; i < groups.at(group, 4) && found.length < count; i++) {
      const size = sizeOf(found.length);
      if (offset + size > view.byteLength) throw new NotAFilm("its packets are cut off");
      found.push({ offset, size });
      offset += size;
    }
  }
  if (found.length !== count) throw new NotAFilm("packets without a place");
  return found;
}

/** When each packet's picture is shown, in units of the track. @returns {number[]} */
function times(stts, ctts, count) {
  const found = [];
  for (let i = 0, time = 0; i < stts.count; i++)
    for (let n = stts.at(i); n > 0 && found.length < count; n--) {
      found.push(time);
      time += stts.at(i, 4);
    }
  if (found.length !== count) throw new NotAFilm("packets without a time");
  for (let i = 0, sample = 0; i < ctts.count; i++)
    for (let n = ctts.at(i); n > 0 && sample < count; n--) found[sample++] += ctts.at(i, 4) | 0;
  return found;
}
