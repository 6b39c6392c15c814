/**
 * Gives a decoder the packets that a frame needs: from its key frame on, and some that follow.
 *
 * @typedef {import("./mp4.js").Index} Index
 */

import { pictureOf } from "./pictures.js";

const IN_FLIGHT = 20; // packets in the decoder; more than the 16 frames by which H.264 may reorder
const FAILURES = 3; // of a decoder, without a frame in between

/** Whether this browser decodes a film like that. @param {Index} index @returns {Promise<VideoDecoderConfig | null>} */
export async function configFor({ codec, description, width, height }) {
  if (typeof VideoDecoder === "undefined") return null;
  const base = { codec, description, codedWidth: width, codedHeight: height };
  // Small pictures decode quickly in software, and hardware has few decoders.
  for (const hardwareAcceleration of /** @type {HardwareAcceleration[]} */ (["prefer-software", "no-preference"])) {
    const config = { ...base, hardwareAcceleration };
    try {
      if ((await VideoDecoder.isConfigSupported(config)).supported) return config;
    } catch {
      return null;
    }
  }
  return null;
}

export class Packets {
  /**
   * @param {ArrayBuffer} bytes of an mp4 @param {Index} index @param {VideoDecoderConfig} config
   * @param {{onpicture: (frame: number, picture: import("./pictures.js").Picture) => boolean, onidle: () => void,
   *   onfail: (why: unknown) => void}} hooks
   *   onpicture: a frame is decoded; returns whether it is a new one; onidle: the next can be asked for; onfail: for good
   */
  constructor(bytes, { samples }, config, { onpicture, onidle, onfail }) {
    this.bytes = bytes;
    this.samples = samples;
    this.config = config;
    this.onpicture = onpicture;
    this.onidle = onidle;
    this.onfail = onfail;
    /** Where each frame's packet is among the samples. */
    this.places = new Array(samples.length);
    samples.forEach((sample, i) => (this.places[sample.frame] = i));
    /** @type {Set<number>} frames in the decoder */
    this.inFlight = new Set();
    /** @type {VideoDecoder | null} */
    this.decoder = null;
    this.fed = 0; // the next sample for the decoder
    this.failures = 0;
  }

  /** Feeds the decoder what a frame needs. @param {number} frame */
  decode(frame) {
    if (this.flushing) return;
    const place = this.places[frame];
    if (!this.inFlight.has(frame)) {
      let key = place;
      while (key > 0 && !this.samples[key].key) key--;
      if (!this.decoder || this.fed > place || this.fed < key) this.restart(key);
    }
    try {
      // A decoder may keep a frame until it has seen those after it.
      while (this.inFlight.size < IN_FLIGHT && this.fed < this.samples.length && this.fed <= place + IN_FLIGHT)
        this.feed();
      if (this.fed === this.samples.length && this.inFlight.size) this.flush();
    } catch (error) {
      this.fail(error);
    }
  }

  feed() {
    const { offset, size, key, frame } = this.samples[this.fed++];
    this.inFlight.add(frame);
    const data = new Uint8Array(this.bytes, offset, size);
    // A timestamp is only an ordinal here: the clock says when.
    this.decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: frame, data }));
  }

  /** After the last packet: have the decoder give what it keeps. */
  flush() {
    const { decoder } = this;
    this.flushing = true;
    decoder.flush().then(
      () => decoder === this.decoder && this.ended(),
      () => {}, // it was stopped, or `error` says why
    );
  }

  /** The decoder has given all it has; it continues only at a key frame. */
  ended() {
    this.stop();
    this.onidle();
  }

  /** @param {number} sample a key frame's */
  restart(sample) {
    this.stop();
    const decoder = new VideoDecoder({
      output: (frame) => this.decoded(decoder, frame),
      error: (error) => decoder === this.decoder && this.fail(error),
    });
    decoder.configure(this.config);
    this.decoder = decoder;
    this.fed = sample;
  }

  /** @param {VideoDecoder} decoder @param {VideoFrame} frame */
  async decoded(decoder, frame) {
    const number = frame.timestamp;
    let picture;
    try {
      picture = await pictureOf(frame);
    } catch (error) {
      return decoder === this.decoder ? this.fail(error) : undefined;
    }
    if (decoder === this.decoder) this.inFlight.delete(number);
    if (!this.onpicture(number, picture)) return; // a decoder that comes no further has still failed
    this.failures = 0;
    this.onidle();
  }

  stop() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.flushing = false;
    this.inFlight.clear();
  }

  fail(error) {
    this.stop();
    if (++this.failures >= FAILURES) return this.onfail(error);
    console.warn("a film's decoder stopped and starts again:", error);
    this.onidle();
  }
}
