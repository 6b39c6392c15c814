/**
 * From packets to pixels: H.264 by WebCodecs, JPEG where that is missing.
 *
 * @typedef {import("./playout.js").Packet} Packet
 */

export const H264 = 1;
export const JPEG = 2;
const HEADER = 16;

/**
 * Reads a binary message: u8 kind, u8 key, u16 0, u32 frame, u32 block, u32 0, payload (little-endian).
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
   * @param {{onshown: (index: number) => void, onneedkey: () => void}} handlers
   */
  constructor(canvas, { onshown, onneedkey }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.onshown = onshown;
    this.onneedkey = onneedkey;
    this.decoder = null;
    this.waitsForKey = true;
    this.lastAsked = this.lastShown = -1;
  }

  /** Whether a frame is still being decoded. */
  get busy() {
    return this.decoder !== null && this.lastShown < this.lastAsked;
  }

  /** Prepares for one play's pictures. @param {{codec_string: string, width: number, height: number}} format */
  configure({ codec_string, width, height }) {
    this.close();
    this.codec = codec_string;
    if (this.canvas.width !== width || this.canvas.height !== height)
      Object.assign(this.canvas, { width, height }); // also clears it, so only when it must
    this.lastAsked = this.lastShown = -1;
  }

  /** @param {Packet} packet */
  show(packet) {
    if (packet.kind === JPEG) this.showJpeg(packet);
    else this.showH264(packet);
  }

  showH264(packet) {
    if (this.waitsForKey && !packet.key) return;
    this.waitsForKey = false;
    this.lastAsked = packet.index;
    try {
      this.decoder ??= this.newDecoder();
      this.decoder.decode(
        new EncodedVideoChunk({
          type: packet.key ? "key" : "delta",
          timestamp: packet.index * 1000, // only an ordinal: the playout clock says when
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
        if (decoder === this.decoder) this.draw(frame, frame.timestamp / 1000);
        frame.close();
      },
      error: (error) => decoder === this.decoder && this.fail(error),
    });
    decoder.configure({ codec: this.codec, optimizeForLatency: true });
    return decoder;
  }

  async showJpeg(packet) {
    try {
      const bitmap = await createImageBitmap(new Blob([packet.data], { type: "image/jpeg" }));
      if (packet.index > this.lastShown) this.draw(bitmap, packet.index);
      bitmap.close();
    } catch (error) {
      console.warn("a frame could not be shown:", error); // the next one stands alone
    }
  }

  draw(image, index) {
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.lastShown = index;
    this.onshown(index);
  }

  fail(error) {
    console.warn("the video decoder stopped and starts again:", error);
    this.close();
    this.onneedkey();
  }

  /** Goes on with the next key frame. */
  close() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.waitsForKey = true;
  }
}
