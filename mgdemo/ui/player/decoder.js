/**
 * From packets to pixels: H.264 by WebCodecs, JPEG where that is missing.
 *
 * @typedef {import("./playout.js").Packet} Packet
 */

import { CODECS, PACKET_HEADER_BYTES } from "./protocol.js";
import { Sharper } from "./sharper.js";
import { remember, remembered } from "./storage.js";

const FAILURES = 3; // without a picture in between: this browser says that it can show H.264, and cannot
const SILENT_MS = 2000; // and so many frames without a picture mean the same
const SILENT_FRAMES = 10;
const DISTRUST_MS = 7 * 86_400_000; // for which H.264 is not tried again
const KEY = "mgdemo.h264-failed";
const SMALL = 512; // pixels; narrower pictures are drawn doubled

/**
 * Reads a binary message: u8 kind, u8 key, u16 0, u32 frame, u32 block, u32 node, payload (little-endian).
 * @param {ArrayBuffer} buffer @returns {Packet}
 */
export function parsePacket(buffer) {
  if (buffer.byteLength <= PACKET_HEADER_BYTES) throw new RangeError(`a packet of ${buffer.byteLength} bytes`);
  const view = new DataView(buffer);
  return {
    kind: view.getUint8(0),
    key: view.getUint8(1) !== 0,
    index: view.getUint32(4, true),
    block: view.getUint32(8, true),
    node: view.getUint32(12, true),
    data: new Uint8Array(buffer, PACKET_HEADER_BYTES),
  };
}

/** The codecs this browser can show, best first. @returns {Promise<string[]>} */
export async function supportedCodecs() {
  if (h264Failed()) return ["jpeg"];
  try {
    const { supported } = await VideoDecoder.isConfigSupported({
      codec: "avc1.42E01F",
      optimizeForLatency: true,
    });
    return supported ? ["h264", "jpeg"] : ["jpeg"];
  } catch {
    return ["jpeg"]; // no WebCodecs: an old browser, or a page that came by plain http
  }
}

/** Whether H.264 failed here not long ago, against what the browser says. */
export function h264Failed() {
  const { at = 0 } = remembered(KEY);
  return Date.now() - Math.max(at, failedAt) < DISTRUST_MS;
}

let failedAt = 0; // where the browser may not remember it

function distrustH264() {
  failedAt = Date.now();
  remember(KEY, { at: failedAt });
}

/** Decodes packets in order onto a canvas. */
export class Screen {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{onshown: (packet: Packet) => void, onneedkey: () => void, onbroken: () => void,
   *   onblunt: (why: string) => void}} handlers  onneedkey: the decoder starts again; onbroken: it never will work,
   *   ask for JPEG; onblunt: pictures cannot be made sharper here
   */
  constructor(canvas, { onshown, onneedkey, onbroken, onblunt }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.scale = 1;
    this.sharper = new Sharper(canvas, { current: () => this.picture(), onunable: onblunt });
    this.onshown = onshown;
    this.onneedkey = onneedkey;
    this.onbroken = onbroken;
    this.decoder = null;
    this.failures = 0;
    this.waitingSince = 0; // for a picture from the decoder
    this.waitsForKey = true;
    /** @type {Map<number, Packet>} those being decoded, by their ordinal */
    this.pending = new Map();
    this.ordinal = 0;
  }

  /** Whether a frame is still being decoded. */
  get busy() {
    return this.pending.size > 0;
  }

  /** Prepares for a session's pictures. @param {{codec_string: string, width: number, height: number}} format */
  configure({ codec_string, width, height }) {
    this.close();
    this.codec = codec_string;
    // Browsers scale smoothly, which blurs a small picture, and pixelated ones show their noise. Square pixels
    // doubled first keep the edges crisp, and the rest is smooth.
    this.scale = width < SMALL ? 2 : 1;
    const size = { width: width * this.scale, height: height * this.scale };
    if (this.canvas.width !== size.width || this.canvas.height !== size.height)
      Object.assign(this.canvas, size); // also clears it, so only when it must
    this.context.imageSmoothingEnabled = false;
    this.sharper.configure(width, height);
  }

  /** Decodes a packet and shows it, unless it is a silent one. @param {Packet} packet */
  show(packet) {
    if (packet.kind === CODECS.jpeg) this.showJpeg(packet);
    else this.showH264(packet);
  }

  showH264(packet) {
    if (this.waitsForKey && !packet.key) return;
    this.waitsForKey = false;
    try {
      this.decoder ??= this.newDecoder();
      if (this.pending.size >= SILENT_FRAMES && performance.now() - this.waitingSince > SILENT_MS)
        return this.giveUp("no picture for too long");
      this.decoder.decode(
        new EncodedVideoChunk({
          type: packet.key ? "key" : "delta",
          timestamp: this.begin(packet), // only an ordinal: the playout clock says when
          data: packet.data,
        }),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  newDecoder() {
    const decoder = new VideoDecoder({
      output: (frame) => {
        if (decoder === this.decoder) {
          this.failures = 0;
          this.waitingSince = performance.now();
          this.finish(frame.timestamp, frame);
        }
        frame.close();
      },
      error: (error) => decoder === this.decoder && this.fail(error),
    });
    decoder.configure({ codec: this.codec, optimizeForLatency: true });
    return decoder;
  }

  async showJpeg(packet) {
    const ordinal = this.begin(packet);
    try {
      const bitmap = await createImageBitmap(new Blob([packet.data], { type: "image/jpeg" }));
      this.finish(ordinal, bitmap);
      bitmap.close();
    } catch (error) {
      this.pending.delete(ordinal);
      console.warn("a frame could not be shown:", error); // the next one stands alone
    }
  }

  begin(packet) {
    if (!this.pending.size) this.waitingSince = performance.now();
    this.pending.set(++this.ordinal, packet);
    return this.ordinal;
  }

  /** A picture is decoded: draws it, unless it is silent or a later one was quicker. */
  finish(ordinal, image) {
    const packet = this.pending.get(ordinal);
    if (!packet) return;
    for (const each of this.pending.keys()) if (each <= ordinal) this.pending.delete(each);
    if (packet.silent) return;
    this.draw(image);
    this.onshown(packet);
  }

  /** @param {VideoFrame | ImageBitmap} image */
  draw(image) {
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.sharper.show(image);
  }

  /** The shown picture in the world's own size. @returns {HTMLCanvasElement} */
  picture() {
    const { width, height } = this.canvas;
    const out = document.createElement("canvas");
    Object.assign(out, { width: width / this.scale, height: height / this.scale });
    const context = out.getContext("2d", { alpha: false });
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, out.width, out.height);
    return out;
  }

  fail(error) {
    if (++this.failures >= FAILURES) return this.giveUp(error);
    console.warn("the video decoder stopped and starts again:", error);
    this.close();
    this.onneedkey();
  }

  giveUp(why) {
    console.warn("the video decoder does not work; JPEG takes its place:", why);
    this.close();
    this.failures = 0;
    distrustH264();
    this.onbroken();
  }

  /** Forgets what is being decoded and resumes at the next key frame. */
  close() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.waitsForKey = true;
    this.pending.clear();
  }
}
