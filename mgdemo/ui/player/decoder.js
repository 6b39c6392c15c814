/**
 * From packets to pixels: H.264 by WebCodecs, JPEG where that is missing.
 *
 * @typedef {import("./playout.js").Packet} Packet
 */

export const H264 = 1;
export const JPEG = 2;
const HEADER = 16;
const SMALL = 512; // pixels; narrower pictures are drawn doubled

/**
 * Reads a binary message: u8 kind, u8 key, u16 0, u32 frame, u32 block, u32 node, payload (little-endian).
 * @param {ArrayBuffer} buffer @returns {Packet}
 */
export function parsePacket(buffer) {
  if (buffer.byteLength <= HEADER) throw new RangeError(`a packet of ${buffer.byteLength} bytes`);
  const view = new DataView(buffer);
  return {
    kind: view.getUint8(0),
    key: view.getUint8(1) !== 0,
    index: view.getUint32(4, true),
    block: view.getUint32(8, true),
    node: view.getUint32(12, true),
    data: new Uint8Array(buffer, HEADER),
  };
}

/** The codecs this browser can show, best first. @returns {Promise<string[]>} */
export async function supportedCodecs() {
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

/** Decodes packets in order onto a canvas. */
export class Screen {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{onshown: (packet: Packet) => void, onneedkey: () => void}} handlers
   */
  constructor(canvas, { onshown, onneedkey }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.onshown = onshown;
    this.onneedkey = onneedkey;
    this.decoder = null;
    this.waitsForKey = true;
    /** @type {Map<number, Packet>} those being decoded, by their ordinal */
    this.pending = new Map();
    this.ordinal = 0;
  }

  /** Whether a frame is still being decoded. */
  get busy() {
    return this.pending.size > 0;
  }

  /** Prepares for one play's pictures. @param {{codec_string: string, width: number, height: number}} format */
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
  }

  /** Decodes a packet and shows it, unless it is a silent one. @param {Packet} packet */
  show(packet) {
    if (packet.kind === JPEG) this.showJpeg(packet);
    else this.showH264(packet);
  }

  showH264(packet) {
    if (this.waitsForKey && !packet.key) return;
    this.waitsForKey = false;
    try {
      this.decoder ??= this.newDecoder();
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
        if (decoder === this.decoder) this.finish(frame.timestamp, frame);
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
    this.pending.set(++this.ordinal, packet);
    return this.ordinal;
  }

  /** A picture is decoded: draws it, unless it is silent or a later one was quicker. */
  finish(ordinal, image) {
    const packet = this.pending.get(ordinal);
    if (!packet) return;
    for (const each of this.pending.keys()) if (each <= ordinal) this.pending.delete(each);
    if (packet.silent) return;
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.onshown(packet);
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
    console.warn("the video decoder stopped and starts again:", error);
    this.close();
    this.onneedkey();
  }

  /** Forgets what is being decoded and goes on with the next key frame. */
  close() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.waitsForKey = true;
    this.pending.clear();
  }
}
