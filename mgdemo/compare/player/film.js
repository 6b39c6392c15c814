/**
 * A film of which any frame can be had: decoded by WebCodecs into a cache that is bounded in bytes.
 *
 * @typedef {{frames: number, has(frame: number): boolean, want(frame: number, direction: number, speed?: number): void,
 *   draw(context: CanvasRenderingContext2D, frame: number): void, close(): void, onready: () => void,
 *   onfail: (why: unknown) => void}} Film
 *   want: asks for a frame and for those that come next in that direction (1 or -1; speed: 0 at rest); onready: a
 *   frame that was wanted is there; draw: over the whole canvas, only what it `has`
 */

import { readIndex } from "./mp4.js";
import { BYTES, pictureOf } from "./pictures.js";

const AHEAD = 12; // frames that are decoded before they are due
const LEAST = 8; // frames that a cache holds at least
const IN_FLIGHT = 20; // packets in the decoder; more than the 16 frames by which H.264 may reorder
const FAILURES = 3; // of a decoder, without a frame in between

/** Whether this browser decodes a film like that. @param {import("./mp4.js").Index} index */
async function configFor({ codec, description, width, height }) {
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

/**
 * @param {ArrayBuffer} bytes of an mp4
 * @param {number} budget bytes of decoded frames
 * @returns {Promise<DecodedFilm | null>} null: this browser cannot decode it so
 * @throws {import("./mp4.js").NotAFilm}
 */
export async function openDecoded(bytes, budget) {
  const index = readIndex(bytes);
  const config = await configFor(index);
  return config && index.samples.length ? new DecodedFilm(bytes, index, config, budget) : null;
}

/** @implements {Film} */
export class DecodedFilm {
  /** @param {ArrayBuffer} bytes @param {import("./mp4.js").Index} index @param {VideoDecoderConfig} config @param {number} budget */
  constructor(bytes, index, config, budget) {
    this.bytes = bytes;
    this.samples = index.samples;
    this.config = config;
    this.frames = this.samples.length;
    /** Where each frame's packet is among the samples. */
    this.places = new Array(this.frames);
    this.samples.forEach((sample, i) => (this.places[sample.frame] = i));
    this.frameBytes = index.width * index.height * BYTES;
    this.setBudget(budget);
    /** @type {Map<number, import("./pictures.js").Picture>} */
    this.cache = new Map();
    /** @type {Set<number>} frames in the decoder */
    this.inFlight = new Set();
    /** @type {VideoDecoder | null} */
    this.decoder = null;
    this.fed = 0; // the next sample for the decoder
    this.target = 0;
    this.direction = 1;
    this.failures = 0;
    this.onready = () => {};
    /** @type {(why: unknown) => void} */
    this.onfail = () => {};
  }

  /** @param {number} budget bytes of decoded frames */
  setBudget(budget) {
    this.capacity = Math.max(LEAST, Math.floor(budget / this.frameBytes));
  }

  has(frame) {
    return this.cache.has(frame);
  }

  want(frame, direction) {
    this.target = frame;
    this.direction = direction;
    this.pump();
  }

  draw(context, frame) {
    this.cache.get(frame).draw(context);
  }

  close() {
    this.closed = true;
    this.stop();
    for (const picture of this.cache.values()) picture.close();
    this.cache.clear();
  }

  /** The next frame to decode: the target, or one that will be wanted soon; -1: all are there. */
  missing() {
    const many = Math.min(AHEAD, this.capacity - 2);
    for (let i = 0; i <= many; i++) {
      const frame = this.target + i * this.direction;
      if (frame < 0 || frame >= this.frames) break;
      if (!this.cache.has(frame)) return frame;
    }
    return -1;
  }

  /** Feeds the decoder what the next missing frame needs. */
  pump() {
    if (this.closed) return;
    const frame = this.missing();
    if (frame < 0 || this.flushing) return;
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
    this.pump();
  }

  /** @param {number} sample a key frame's */
  restart(sample) {
    this.stop();
    const decoder = new VideoDecoder({
      output: (frame) => this.keep(decoder, frame),
      error: (error) => decoder === this.decoder && this.fail(error),
    });
    decoder.configure(this.config);
    this.decoder = decoder;
    this.fed = sample;
  }

  stop() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.flushing = false;
    this.inFlight.clear();
  }

  /** A decoded frame goes into the cache. @param {VideoDecoder} decoder @param {VideoFrame} frame */
  async keep(decoder, frame) {
    const number = frame.timestamp;
    let picture;
    try {
      picture = await pictureOf(frame);
    } catch (error) {
      return decoder === this.decoder ? this.fail(error) : undefined;
    }
    if (decoder === this.decoder) this.inFlight.delete(number);
    if (this.closed || this.cache.has(number)) return picture.close();
    this.failures = 0;
    this.cache.set(number, picture);
    this.evict();
    this.onready();
    this.pump();
  }

  /** Lets go of the frames that are furthest from the wanted one; behind it they are further. */
  evict() {
    const far = (frame) => {
      const ahead = (frame - this.target) * this.direction;
      return ahead >= 0 ? ahead : -2 * ahead;
    };
    while (this.cache.size > this.capacity) {
      let worst = -1;
      for (const frame of this.cache.keys()) if (worst < 0 || far(frame) > far(worst)) worst = frame;
      this.cache.get(worst).close();
      this.cache.delete(worst);
    }
  }

  fail(error) {
    this.stop();
    if (++this.failures >= FAILURES) return this.onfail(error);
    console.warn("a film's decoder stopped and starts again:", error);
    this.pump();
  }
}
